"""The phone.* state machine of one account, each call keyed by its id.

Source: core.telegram.org/api/end-to-end/video-calls, and the TL names used below. The key exchange and the media are
not here: a `Keys` (the call's media process) makes g_a, g_b and the key.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from telethon import TelegramClient, events
from telethon.tl import functions, types

from ari_app.telegram.connections import Connections, call_protocol
from ari_app.telegram.errors import CallDiscarded, TelegramError, Unreachable, translated
from ari_app.telegram.limits import tl_name
from media.types import Agreement, DhConfig, EngineProtocol

log = logging.getLogger(__name__)

REQUEST_S = 10.0  # one answer of Telegram
RECEIVE_S = 20.0  # requestCall until the callee's app has received it; official clients give up then
RING_S = 90.0  # ringing until somebody accepts
CONFIRM_S = 30.0  # acceptCall until the caller confirms
DISCARD_S = 3.0  # saying goodbye must not hold up the rest
MAX_INT32 = 2**31 - 1


class DiscardReason(Enum):
    """TL PhoneCallDiscardReason; values are the TL classes."""

    MISSED = types.PhoneCallDiscardReasonMissed
    BUSY = types.PhoneCallDiscardReasonBusy
    HANGUP = types.PhoneCallDiscardReasonHangup
    DISCONNECT = types.PhoneCallDiscardReasonDisconnect


class CallState(Enum):
    """How far a call has come."""

    REQUESTED = "requested"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    DISCARDED = "discarded"


@dataclass(frozen=True)
class Discarded:
    """TL phoneCallDiscarded: why the other side or Telegram ended the call; the reason is None where none was given."""

    reason: DiscardReason | None
    duration_s: int


class Keys(Protocol):
    """Who makes the call's key: the media process."""

    async def offer(self, dh: DhConfig) -> bytes:
        """Caller: g_a_hash."""

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        """Callee: g_b."""

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        """Caller: takes g_b, gives g_a and the fingerprint. Callee: takes g_a and checks the fingerprint."""


class PhoneCall:
    """One call of this account, in either direction."""

    def __init__(self, phone: "Phone", peer_id: int, call_id: int, access_hash: int, date: datetime) -> None:
        self.date = date.timestamp()  # when it began, by Telegram's clock
        self.peer_id = peer_id
        self.id = call_id
        self.state = CallState.REQUESTED
        self._phone = phone
        self._input = types.InputPhoneCall(call_id, access_hash)
        self._passed = {self.state}
        self._reached = {state: asyncio.Event() for state in CallState}
        self._g_b = b""
        self._confirmed: types.PhoneCall | None = None
        self._discarded: Discarded | None = None
        self._ended_by_us = False
        self._signals: asyncio.Queue[bytes] = asyncio.Queue()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.state.value}>"

    async def discarded(self) -> Discarded:
        """Wait until the other side or Telegram ends the call; never returns when we end it."""
        await self._reached[CallState.DISCARDED].wait()
        assert self._discarded is not None
        return self._discarded

    async def signals(self) -> AsyncIterator[bytes]:
        """The other side's media signalling (updatePhoneCallSignalingData), from the first; for one consumer."""
        while True:
            yield await self._signals.get()

    async def send_signal(self, data: bytes) -> None:
        """phone.sendSignalingData; raises TelegramError, CallDiscarded where the call is over."""
        await self._phone.invoke(functions.phone.SendSignalingDataRequest(self._input, data))

    async def discard(self, reason: DiscardReason, duration_s: int = 0) -> None:
        """phone.discardCall, unless the call has ended; a failure is logged, for there is no one left to tell."""
        if self._discarded or self._ended_by_us:
            return
        self._ended_by_us = True
        request = functions.phone.DiscardCallRequest(
            peer=self._input, duration=duration_s, reason=reason.value(), connection_id=0
        )
        try:
            await self._phone.invoke(request, DISCARD_S)
        except TelegramError as error:
            log.warning("call %s: could not tell Telegram that it ended (%s): %s", self.id, reason.name, error)

    def take(self, update: Any) -> None:
        """An updatePhoneCall or its TL phoneCall* object for this call."""
        match update:
            case types.PhoneCallWaiting(receive_date=received) if received:
                self._reach(CallState.RINGING)
            case types.PhoneCallAccepted():
                self._g_b = update.g_b
                self._reach(CallState.ACCEPTED)
            case types.PhoneCall():
                self._confirmed = update
                self._reach(CallState.CONFIRMED)
            case types.PhoneCallDiscarded() if not self._ended_by_us:
                reason = None if update.reason is None else DiscardReason(type(update.reason))
                self._discarded = Discarded(reason, update.duration or 0)
                self._reach(CallState.DISCARDED)

    def take_signal(self, data: bytes) -> None:
        """An updatePhoneCallSignalingData for this call."""
        self._signals.put_nowait(data)

    def _reach(self, state: CallState) -> None:
        self.state = state
        self._passed.add(state)
        for waited in CallState if state is CallState.DISCARDED else (state,):
            self._reached[waited].set()

    async def _until(self, state: CallState, timeout_s: float) -> None:
        """Wait for a state; raises CallDiscarded when the call ends first, TimeoutError when nothing comes in time."""
        async with asyncio.timeout(timeout_s):
            await self._reached[state].wait()
        if state not in self._passed:
            raise CallDiscarded(f"call {self.id} ended before it was {state.value}")

    def _connections(self) -> Connections:
        assert self._confirmed is not None
        return Connections.of(self._confirmed)


class Offer(PhoneCall):
    """Somebody calls this account (TL phoneCallRequested)."""

    def __init__(self, phone: "Phone", requested: types.PhoneCallRequested, caller: types.User | None) -> None:
        super().__init__(phone, requested.admin_id, requested.id, requested.access_hash, requested.date)
        self.caller = caller
        self._g_a_hash: bytes = requested.g_a_hash

    async def ringing(self) -> None:
        """phone.receivedCall: the caller's app then shows "ringing"; without it, it gives up after 20 s."""
        await self._phone.invoke(functions.phone.ReceivedCallRequest(self._input))
        if self.state is CallState.REQUESTED:
            self.state = CallState.RINGING

    async def accept(self, keys: Keys) -> Connections:
        """phone.acceptCall, and wait until the caller has confirmed the key; raises CallDiscarded, TelegramError."""
        g_b = await keys.answer(await self._phone.dh_config(), self._g_a_hash)
        protocol = self._phone.protocol
        result = await self._phone.invoke(functions.phone.AcceptCallRequest(self._input, g_b, protocol))
        self.take(result.phone_call)
        try:
            await self._until(CallState.CONFIRMED, CONFIRM_S)
        except TimeoutError:
            raise Unreachable(f"the caller did not confirm call {self.id} within {CONFIRM_S:g} s") from None
        assert self._confirmed is not None
        await keys.agree(self._confirmed.g_a_or_b, self._confirmed.key_fingerprint)
        return self._connections()


class OutgoingCall(PhoneCall):
    """This account calls somebody."""

    async def ringing(self) -> None:
        """Wait until the callee's app rings (phoneCallWaiting has a receive_date); raises TimeoutError."""
        await self._until(CallState.RINGING, RECEIVE_S)

    async def accepted(self, timeout_s: float = RING_S) -> None:
        """Wait until the callee accepts; raises TimeoutError."""
        await self._until(CallState.ACCEPTED, timeout_s)

    async def confirm(self, keys: Keys) -> Connections:
        """phone.confirmCall: the key is agreed and the media may connect."""
        agreement = await keys.agree(self._g_b, 0)
        result = await self._phone.invoke(
            functions.phone.ConfirmCallRequest(
                self._input, agreement.g_a_or_b, agreement.key_fingerprint, self._phone.protocol
            )
        )
        self.take(result.phone_call)
        if self._confirmed is None:
            raise CallDiscarded(f"call {self.id} ended before it was confirmed")
        return self._connections()


class Phone:
    """Every phone.* call of one account.

    ``on_offer`` is called, without waiting, for each incoming call; it has to answer or discard it.
    Used as a context manager: it listens to the client's updates while open.
    """

    def __init__(self, client: TelegramClient, engine: EngineProtocol, on_offer: Callable[[Offer], None]) -> None:
        self.protocol = call_protocol(engine)
        self._client = client
        self._on_offer = on_offer
        self._calls: dict[int, PhoneCall] = {}
        self._requests_in_flight = 0
        self._early: list[Any] = []
        self._dh: DhConfig | None = None
        self._dh_version = 0
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> "Phone":
        await self._tasks.__aenter__()
        self._client.add_event_handler(self._on_update, events.Raw(UPDATES))
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self._client.remove_event_handler(self._on_update)
        await self._tasks.__aexit__(*exc)

    @asynccontextmanager
    async def call(self, peer: types.TypeInputPeer, keys: Keys) -> AsyncIterator[OutgoingCall]:
        """phone.requestCall; the caller of this method discards the call with its own reason before leaving.

        Raises TelegramError where Telegram refuses it.
        """
        g_a_hash = await keys.offer(await self.dh_config())
        # Cancelling the request can't take it back once it is sent: let it finish, so that its call can be discarded.
        request = self._tasks.create_task(self._request(peer, g_a_hash))
        try:
            call = await asyncio.shield(request)
        except asyncio.CancelledError:
            self._tasks.create_task(_discard_late(request))
            raise
        if isinstance(call, TelegramError):
            raise call
        try:
            yield call
        finally:
            await call.discard(DiscardReason.DISCONNECT)
            self._calls.pop(call.id, None)

    @asynccontextmanager
    async def offer(self, offer: Offer) -> AsyncIterator[Offer]:
        """Hold an incoming call; whoever leaves without having discarded it hangs it up as Disconnect."""
        try:
            yield offer
        finally:
            await offer.discard(DiscardReason.DISCONNECT)
            self._calls.pop(offer.id, None)

    async def dh_config(self) -> DhConfig:
        """messages.getDhConfig, kept by its version."""
        answer = await self.invoke(functions.messages.GetDhConfigRequest(version=self._dh_version, random_length=256))
        if isinstance(answer, types.messages.DhConfig):
            self._dh_version = answer.version
            self._dh = DhConfig(answer.g, answer.p, answer.random)
        elif self._dh is not None:
            self._dh = DhConfig(self._dh.g, self._dh.p, answer.random)
        else:
            raise TelegramError("Telegram named no Diffie-Hellman parameters (messages.getDhConfig); try again")
        return self._dh

    async def invoke(self, request: Any, timeout_s: float = REQUEST_S) -> Any:
        """One request to Telegram, bounded in time; raises TelegramError."""
        with translated(tl_name(request)):
            async with asyncio.timeout(timeout_s):
                return await self._client(request)

    async def _request(self, peer: types.TypeInputPeer, g_a_hash: bytes) -> OutgoingCall | TelegramError:
        """The refusal is a result, not an exception: one refused call must not end the TaskGroup of the others."""
        request = functions.phone.RequestCallRequest(
            user_id=types.InputUser(peer.user_id, peer.access_hash),
            g_a_hash=g_a_hash,
            protocol=self.protocol,
            random_id=random.randint(0, MAX_INT32),  # noqa: S311 - only has to differ from call to call
        )
        self._requests_in_flight += 1
        try:
            waiting = (await self.invoke(request)).phone_call
            call = OutgoingCall(self, peer.user_id, waiting.id, waiting.access_hash, waiting.date)
            self._calls[call.id] = call
            call.take(waiting)
            early, self._early = self._early, []
            for update in early:
                await self._on_update(update)
        except TelegramError as refusal:
            return refusal
        finally:
            self._requests_in_flight -= 1
            if not self._requests_in_flight:
                self._early.clear()
        return call

    async def _on_update(self, update: Any) -> None:
        match update:
            case types.UpdatePhoneCallSignalingData(phone_call_id=call_id):
                if call := self._calls.get(call_id):
                    call.take_signal(update.data)
                    return
            case types.UpdatePhoneCall(phone_call=phone_call):
                call_id = phone_call.id
                if call := self._calls.get(call_id):
                    call.take(phone_call)
                    return
                if isinstance(phone_call, types.PhoneCallRequested):
                    caller = getattr(update, "_entities", {}).get(phone_call.admin_id)
                    offer = Offer(self, phone_call, caller)
                    self._calls[call_id] = offer
                    self._on_offer(offer)
                    return
        # The update of a call may overtake the answer to the request that made it.
        if self._requests_in_flight:
            self._early.append(update)


UPDATES = (types.UpdatePhoneCall, types.UpdatePhoneCallSignalingData)


async def _discard_late(request: asyncio.Task[OutgoingCall | TelegramError]) -> None:
    """End a call whose caller went away while Telegram was still answering phone.requestCall."""
    call = await request
    if isinstance(call, TelegramError):
        log.info("a call given up before Telegram answered was refused: %s", call)
    else:
        await call.discard(DiscardReason.MISSED)
