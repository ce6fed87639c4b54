"""A scripted person on Telegram: a real Telethon client with real ntgcalls media.

They speak phone.* on their own, not through `ari_app.telegram`, so that a mistake there has a second opinion. They do
what a test or the demo tells them, also what no official app would do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from telethon import TelegramClient, errors, events
from telethon.tl import functions, types

from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.telegram import LocalTelegram, device
from ari_app.tasks import background_tasks
from ari_app.telegram.connections import Connections, call_protocol
from ari_app.telegram.phone import UPDATES, DiscardReason
from media.pool import MediaPool, MediaProcess
from media.types import DhConfig

ANSWER_S = 30.0  # whatever a person waits for comes within this, or the script fails
CHAT_LENGTH = 20
P = TypeVar("P")
M = TypeVar("M")


class PersonCall:
    """One call as the person has it; every update of it is kept in ``updates``."""

    def __init__(self, person: "Person", call: Any, peer_id: int) -> None:
        self.person = person
        self.id: int = call.id
        self.peer_id = peer_id
        self.updates: list[Any] = []
        self.audio: MediaProcess | None = None
        self.asked_at = 0.0
        """When the caller asked Telegram for it, by time.monotonic()."""
        self._opened = AsyncExitStack()
        self._input = types.InputPhoneCall(call.id, call.access_hash)
        self._changed = asyncio.Condition()
        self._signals: asyncio.Queue[bytes] = asyncio.Queue()

    async def until(self, kind: type[P], timeout_s: float = ANSWER_S) -> P:
        """Wait for the first update of a TL type, such as PhoneCallAccepted.

        Raises SandboxError when the call ends first, or nothing comes in time.
        """

        def found() -> Any:
            wanted = (each for each in self.updates if isinstance(each, kind | types.PhoneCallDiscarded))
            return next(wanted, None)

        try:
            async with asyncio.timeout(timeout_s), self._changed:
                update = await self._changed.wait_for(found)
        except TimeoutError:
            raise SandboxError(f"{self!r}: no {kind.__name__} within {timeout_s:g} s") from None
        if not isinstance(update, kind):
            raise SandboxError(f"{self!r}: ended, while {kind.__name__} was awaited: {update.reason}")
        return update

    def __repr__(self) -> str:
        seen = ", ".join(type(each).__name__ for each in self.updates)
        return f"<PersonCall of {self.person.phone}: {seen}>"

    async def rings(self) -> None:
        """Caller: wait until the other side rings."""
        async with asyncio.timeout(ANSWER_S), self._changed:
            await self._changed.wait_for(lambda: any(getattr(each, "receive_date", None) for each in self.updates))

    async def ring(self) -> None:
        """Callee: the app has got the call."""
        await self.person.client(functions.phone.ReceivedCallRequest(self._input))

    async def accept(self, play: Path | None, record: Path | None, *, loop: bool = False) -> None:
        """Callee: press Accept, and come back when the audio is connected; ``loop``: play over and over."""
        requested = await self.until(types.PhoneCallRequested)
        audio = await self._media(play, record, loop=loop)
        g_b = await audio.answer(await self.person.dh_config(), requested.g_a_hash)
        await self.person.client(functions.phone.AcceptCallRequest(self._input, g_b, self.person.protocol))
        call = await self.until(types.PhoneCall)
        await audio.agree(call.g_a_or_b, call.key_fingerprint)
        await self._connect(audio, call)

    async def accept_without_media(self) -> None:
        """Callee: press Accept on a phone whose audio never comes up; the key is agreed all the same."""
        requested = await self.until(types.PhoneCallRequested)
        audio = await self._media(None, None)
        g_b = await audio.answer(await self.person.dh_config(), requested.g_a_hash)
        await self.person.client(functions.phone.AcceptCallRequest(self._input, g_b, self.person.protocol))
        await self.until(types.PhoneCall)

    async def accepted(self) -> None:
        """Caller: wait until the other side has pressed Accept."""
        await self.until(types.PhoneCallAccepted)

    async def confirm(
        self, play: Path | None, record: Path | None, *, connect: bool = True, loop: bool = False
    ) -> None:
        """Caller: wait for Accept, confirm, and come back when the audio is connected; ``loop``: play over and over."""
        assert self.audio is not None
        accepted = await self.until(types.PhoneCallAccepted)
        agreement = await self.audio.agree(accepted.g_b, 0)
        confirmed = await self.person.client(
            functions.phone.ConfirmCallRequest(
                self._input, agreement.g_a_or_b, agreement.key_fingerprint, self.person.protocol
            )
        )
        if connect:
            await self.audio.attach_files(play, record, loop=loop)
            await self._connect(self.audio, confirmed.phone_call)

    async def hang_up(self, reason: DiscardReason = DiscardReason.HANGUP, duration_s: int = 0) -> None:
        """End it; Busy before accepting is what pressing Decline sends."""
        await self.person.client(
            functions.phone.DiscardCallRequest(
                peer=self._input, duration=duration_s, reason=reason.value(), connection_id=0
            )
        )

    async def ended(self, timeout_s: float = ANSWER_S) -> types.PhoneCallDiscarded:
        """Wait until the call is over, whoever ended it."""
        return await self.until(types.PhoneCallDiscarded, timeout_s)

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end, but not for longer than this; whether it has come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(
                    lambda: any(isinstance(each, types.PhoneCallDiscarded) for each in self.updates)
                )
                return True
        return False

    async def close_audio(self) -> None:
        """Put the phone down; what it recorded is whole then."""
        await self._opened.aclose()

    async def take(self, update: Any) -> None:
        """A phoneCall* update of this call, or signalling."""
        if isinstance(update, bytes):
            self._signals.put_nowait(update)
            return
        async with self._changed:
            self.updates.append(update)
            self._changed.notify_all()

    async def offer(self) -> bytes:
        """Caller: g_a_hash."""
        audio = await self._media(None, None, attach=False)
        return await audio.offer(await self.person.dh_config())

    async def _media(
        self, play: Path | None, record: Path | None, *, attach: bool = True, loop: bool = False
    ) -> MediaProcess:
        self.person.stack.push_async_callback(self.close_audio)
        self.audio = await self._opened.enter_async_context(self.person.pool.process(f"person-{self.id}"))
        if attach:
            await self.audio.attach_files(play, record, loop=loop)
        return self.audio

    async def _connect(self, audio: MediaProcess, call: types.PhoneCall) -> None:
        for pump in (self._send_signals(audio), self._take_signals(audio)):
            self._opened.callback(self.person.tasks.create_task(pump).cancel)
        named = Connections.of(call)
        await audio.connect(named.servers, named.library_versions, named.p2p_allowed, named.custom_parameters)
        async with asyncio.timeout(ANSWER_S):
            await audio.connected()

    async def _send_signals(self, audio: MediaProcess) -> None:
        async for data in audio.signals():
            with suppress(errors.CallAlreadyDeclinedError):  # its phoneCallDiscarded is on its way
                await self.person.client(functions.phone.SendSignalingDataRequest(self._input, data))

    async def _take_signals(self, audio: MediaProcess) -> None:
        while True:
            await audio.signal(await self._signals.get())


class Person:
    """One user of the local Telegram, signed in by `person(...)`."""

    def __init__(
        self,
        client: TelegramClient,
        phone: str,
        pool: MediaPool,
        protocol: types.PhoneCallProtocol,
        stack: AsyncExitStack,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.client = client
        self.phone = phone
        self.pool = pool
        self.protocol = protocol
        self.stack = stack
        self.tasks = tasks
        self.calls: dict[int, PersonCall] = {}
        self._offers: asyncio.Queue[PersonCall] = asyncio.Queue()
        self._changed = asyncio.Event()
        client.add_event_handler(self._on_update, events.Raw(UPDATES))
        client.add_event_handler(self._on_any_update, events.Raw())

    async def call(self, phone: str) -> PersonCall:
        """Dial somebody; raises Telethon's RPCError where Telegram refuses."""
        found = await self.client(functions.contacts.ResolvePhoneRequest(phone))
        peer = types.InputUser(found.users[0].id, found.users[0].access_hash)
        call = PersonCall(self, types.InputPhoneCall(0, 0), peer.user_id)
        g_a_hash = await call.offer()
        call.asked_at = time.monotonic()
        answer = await self.client(functions.phone.RequestCallRequest(peer, g_a_hash, self.protocol))
        waiting = answer.phone_call
        call.id, call._input = waiting.id, types.InputPhoneCall(waiting.id, waiting.access_hash)
        early = self.calls.get(call.id)
        self.calls[call.id] = call
        for update in [waiting, *(early.updates if early else ())]:
            await call.take(update)
        return call

    async def incoming(self, timeout_s: float = ANSWER_S) -> PersonCall:
        """Wait until somebody calls."""
        async with asyncio.timeout(timeout_s):
            return await self._offers.get()

    def forget_offers(self) -> None:
        """Wait for none of the calls that have come so far."""
        while not self._offers.empty():
            self._offers.get_nowait()

    async def chat_with(self, phone: str) -> list[Any]:
        """Their messages with somebody, the newest first, without those that say that there was a call."""
        found = await self.client(functions.contacts.ResolvePhoneRequest(phone))
        messages = await self.client.get_messages(found.users[0], limit=CHAT_LENGTH)
        return [each for each in messages if each.message]

    async def sees(self, phone: str, what: Callable[[list[Any]], M | None], timeout_s: float = ANSWER_S) -> M:
        """Wait until something is true of their chat with somebody; gives what `what` gives, which looks again after
        each change. Raises SandboxError when it does not come true in time."""
        messages: list[Any] = []
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._changed.clear()
                    messages = await self.chat_with(phone)
                    if seen := what(messages):
                        return seen
                    await self._changed.wait()
        except TimeoutError:
            texts = [each.message for each in messages]
            raise SandboxError(f"{self.phone} did not see it within {timeout_s:g} s; their chat: {texts}") from None

    async def keypad(self, phone: str) -> Any:
        """The message with buttons, once it is in their chat with somebody."""
        return await self.sees(phone, lambda messages: next((each for each in messages if each.buttons), None))

    async def dh_config(self) -> DhConfig:
        """messages.getDhConfig."""
        answer = await self.client(functions.messages.GetDhConfigRequest(version=0, random_length=256))
        return DhConfig(answer.g, answer.p, answer.random)

    async def _on_any_update(self, update: Any) -> None:
        self._changed.set()

    async def _on_update(self, update: Any) -> None:
        if isinstance(update, types.UpdatePhoneCallSignalingData):
            if call := self.calls.get(update.phone_call_id):
                await call.take(update.data)
            return
        phone_call = update.phone_call
        if phone_call.id not in self.calls:
            access_hash = getattr(phone_call, "access_hash", 0)
            peer_id = getattr(phone_call, "admin_id", 0)
            self.calls[phone_call.id] = PersonCall(self, types.InputPhoneCall(phone_call.id, access_hash), peer_id)
            if isinstance(phone_call, types.PhoneCallRequested):
                self._offers.put_nowait(self.calls[phone_call.id])
        await self.calls[phone_call.id].take(phone_call)


@asynccontextmanager
async def person(telegram: LocalTelegram, phone: str, pool: MediaPool) -> AsyncIterator[Person]:
    """A person, signed in and listening for calls; everything is let go on leaving."""
    async with (
        device(telegram, phone, sequential_updates=True) as theirs,
        background_tasks() as tasks,
        AsyncExitStack() as stack,
    ):
        yield Person(theirs.client, phone, pool, call_protocol(await pool.protocol()), stack, tasks)
