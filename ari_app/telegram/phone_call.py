"""One phone call of an account, in either direction: how far it has come, and what is asked of Telegram about it.

Source: core.telegram.org/api/end-to-end/video-calls, and the TL names used below. The key exchange and the media are
not here: a `KeyExchange` (the call's media process) makes g_a, g_b and the key.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, Self

from telethon import utils
from telethon.tl import functions, types

from ari_app.backoff import Backoff
from ari_app.logs import telegram_call_log
from ari_app.tasks import FAILURES
from ari_app.telegram.connections import Connections, incompatible_versions
from ari_app.telegram.discard import Discarded, DiscardReason
from ari_app.telegram.errors import (
    PASSING,
    CallDiscarded,
    CallTaken,
    CallUnknown,
    TelegramError,
    Unreachable,
)
from ari_app.telegram.peers import Peer
from media.types import Agreement, DhConfig

log = logging.getLogger(__name__)

REQUEST_S = 10.0  # one answer of Telegram
RECEIVE_S = 20.0  # requestCall until the callee's app has received it; official clients give up then
RING_S = 90.0  # ringing until somebody accepts
CONFIRM_S = 30.0  # acceptCall until the caller confirms
TAKEN_S = 3.0
"""From CALL_ALREADY_ACCEPTED at acceptCall until Telegram says who has the call, by phoneCall or phoneCallDiscarded.

It may be us: Telethon sends a request again whose answer was lost with the connection.
"""
UNTAKEN_S = 100.0
"""For an offer that is neither accepted nor discarded: Telegram ends it after 90 s, and who holds it after 95."""
DISCARD_S = 3.0  # saying goodbye must not hold up the rest
DISCARD_AGAIN = Backoff(first_s=1.0, last_s=64.0)
"""Where Telegram could not be told: until it is tried again..."""
DISCARD_AGAIN_S = 90.0
"""...for as long as a phone rings that nobody is behind any more."""


class PhoneCallState(Enum):
    """How far a call has come, in this order."""

    REQUESTED = "requested"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    DISCARDED = "discarded"


ORDER = list(PhoneCallState)


class KeyExchange(Protocol):
    """Who makes the call's key: the media process."""

    async def offer(self, dh: DhConfig) -> bytes:
        """Caller: g_a_hash."""

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        """Callee: g_b."""

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        """Caller: takes g_b, gives g_a and the fingerprint. Callee: takes g_a and checks the fingerprint."""


class Control(Protocol):
    """How a call's requests get to Telegram; `phone.Phone`."""

    protocol: types.PhoneCallProtocol

    async def invoke(self, request: Any, timeout_s: float = REQUEST_S) -> Any:
        """One request; raises TelegramError."""

    async def invoke_with_retry(self, request: Any, timeout_s: float = REQUEST_S) -> Any:
        """A request that is repeated once where the trouble may pass; raises TelegramError."""

    async def dh_config(self) -> DhConfig:
        """messages.getDhConfig; raises TelegramError."""

    def doubt(self, call: "PhoneCall", refusal: TelegramError) -> None:
        """Telegram has refused a request for a live call: have found out what has become of it."""

    def forget(self, call: "PhoneCall") -> None:
        """Nobody holds this call any more."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something that outlives the call."""


class PhoneCall:
    """One call of this account; it outlives the connection on which it was made."""

    unexplained: DiscardReason | None = None
    """What counts as the reason where Telegram says that a call is over, and nothing says why."""

    def __init__(
        self,
        control: Control,
        peer_id: int,
        call_id: int,
        access_hash: int,
        date: datetime | None = None,
        state: PhoneCallState = PhoneCallState.REQUESTED,
    ) -> None:
        self.peer_id = peer_id
        self.id = call_id
        self.date = date.timestamp() if date else 0.0
        """When it began, by Telegram's clock (a Unix time); 0 where Telegram did not say."""
        self.state = PhoneCallState.REQUESTED
        self._control = control
        self._input = types.InputPhoneCall(call_id, access_hash)
        self._passed = {self.state}
        self._reached = {state: asyncio.Event() for state in PhoneCallState}
        self._accepted: types.PhoneCallAccepted | None = None
        self._confirmed: types.PhoneCall | None = None
        self._discarded: Discarded | None = None
        self._known_over = False  # to Telegram, or it is not ours to end
        self._ended_by_us = False
        self._discard_told = asyncio.Event()  # or given up
        self._on_discard_told: list[Callable[[], None]] = []
        self._signals: asyncio.Queue[bytes] = asyncio.Queue()
        self._reach(state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.state.value}>"

    @property
    def access_hash(self) -> int:
        """TL inputPhoneCall's, beside its id."""
        return int(self._input.access_hash)

    @property
    def over(self) -> bool:
        """Whether either side, or Telegram, has ended it."""
        return self._ended_by_us or self._discarded is not None

    async def discarded(self) -> Discarded:
        """Wait until the other side or Telegram ends the call; never returns when we end it."""
        await self._reached[PhoneCallState.DISCARDED].wait()
        assert self._discarded is not None
        return self._discarded

    async def signals(self) -> AsyncIterator[bytes]:
        """The other side's media signalling (updatePhoneCallSignalingData), from the first; for one consumer."""
        while True:
            yield await self._signals.get()

    async def send_signal(self, data: bytes) -> None:
        """phone.sendSignalingData; raises TelegramError, which ends the call only if it is `over` then."""
        await self._ask(functions.phone.SendSignalingDataRequest(self._input, data), steady=False)

    @property
    def owes_discard(self) -> bool:
        """Whether Telegram has still to be told that we have ended it."""
        return self._ended_by_us and not self._discard_told.is_set()

    def on_discard_told(self, tell: Callable[[], None]) -> None:
        """Call this once Telegram knows that it is over, or could not be told for too long."""
        self._on_discard_told.append(tell)

    async def discard_told(self) -> None:
        """As `on_discard_told`, for who waits."""
        await self._discard_told.wait()

    def _set_discard_told(self) -> None:
        self._discard_told.set()
        for tell in self._on_discard_told:
            tell()

    async def discard(self, reason: DiscardReason, duration_s: int = 0) -> None:
        """phone.discardCall, unless the call has ended; what can't be told now is told later (`owes_discard`)."""
        if self._known_over:
            self._set_discard_told()
        if self._known_over or self._ended_by_us:
            return
        self._ended_by_us = True
        request = functions.phone.DiscardCallRequest(
            peer=self._input, duration=duration_s, reason=reason.value(), connection_id=0
        )
        told = False
        try:
            await self._control.invoke_with_retry(request, DISCARD_S)
            told = True
        except (CallDiscarded, CallUnknown) as over:
            told = True
            telegram_call_log(log, self.id).debug("%s", over)
        except TelegramError as error:
            told = not isinstance(error, PASSING)
            telegram_call_log(log, self.id).warning(
                "could not tell Telegram that it ended (%s): %s", reason.name, error
            )
        finally:
            if told:
                self._set_discard_told()
            else:
                self._control.spawn(self._discard_again(request), f"end of Telegram's call {self.id}")

    async def _discard_again(self, request: Any) -> None:
        loop = asyncio.get_running_loop()
        until, failures = loop.time() + DISCARD_AGAIN_S, 0
        while loop.time() < until:
            failures += 1
            await asyncio.sleep(DISCARD_AGAIN.pause_s(failures))
            try:
                if await self._was_taken_elsewhere():
                    self._set_discard_told()
                    return telegram_call_log(log, self.id).info("another device has taken it: it is not ended")
                await self._control.invoke(request)
            except PASSING:
                continue
            except TelegramError as error:
                telegram_call_log(log, self.id).debug("%s", error)
            except Exception as error:  # noqa: BLE001 - recorded
                FAILURES.add(f"end of Telegram's call {self.id}", error)
                continue
            self._set_discard_told()
            return telegram_call_log(log, self.id).info("Telegram knows now that it has ended")
        self._set_discard_told()
        return telegram_call_log(log, self.id).warning("Telegram could not be told that it has ended")

    async def _was_taken_elsewhere(self) -> bool:
        """Whether another device of this account has it by now. Raises TelegramError."""
        return False

    def take(self, update: Any) -> None:
        """An updatePhoneCall or its TL phoneCall* object for this call."""
        match update:
            case types.PhoneCallWaiting(receive_date=received) if received:
                self._reach(PhoneCallState.RINGING)
            case types.PhoneCallAccepted():
                self._accepted = update
                self._reach(PhoneCallState.ACCEPTED)
            case types.PhoneCall():
                self._confirmed = update
                self._reach(PhoneCallState.CONFIRMED)
            case types.PhoneCallDiscarded():
                self.ends(Discarded.of(update.reason, update.duration))
            case types.PhoneCallEmpty():  # official clients end the call for it, too
                self.ends(Discarded(DiscardReason.DISCONNECT, 0, "phoneCallEmpty"), known=False)

    def take_message(self, action: types.MessageActionPhoneCall) -> None:
        """The message that Telegram leaves in the chat when a call is over."""
        discarded = Discarded.of(action.reason, action.duration)
        if discarded.duration_s:  # which may be far less than ours, where the end was learnt late
            discarded = replace(discarded, counted_s=discarded.duration_s)
        self.ends(discarded)

    def ends(self, discarded: Discarded, *, known: bool = True) -> None:
        """It is over for somebody else's reason; the first end counts. ``known``: Telegram need not be told."""
        if self.over:
            return
        self._known_over = known
        self._discarded = discarded
        self._reach(PhoneCallState.DISCARDED)

    def take_signal(self, data: bytes) -> None:
        """An updatePhoneCallSignalingData for this call."""
        self._signals.put_nowait(data)

    async def probe(self) -> None:
        """Ask Telegram for the call's state by a request that changes nothing, where there is one."""

    def _reach(self, state: PhoneCallState) -> None:
        """A state, and with it those before, whose updates may have been lost; one that comes late changes nothing."""
        if ORDER.index(state) <= ORDER.index(self.state):
            return
        self.state = state
        over = state is PhoneCallState.DISCARDED
        self._passed.update({state} if over else ORDER[: ORDER.index(state) + 1])
        for reached in ORDER[: ORDER.index(state) + 1]:
            self._reached[reached].set()

    async def _until(self, state: PhoneCallState, timeout_s: float) -> None:
        """Wait for a state; raises CallDiscarded when the call ends first, TimeoutError when nothing comes in time."""
        async with asyncio.timeout(timeout_s):
            await self._reached[state].wait()
        if state not in self._passed:
            raise CallDiscarded(f"call {self.id} ended before it was {state.value}")

    async def _ask(self, request: Any, *, steady: bool = True) -> Any:
        """A request about this call; where Telegram refuses it, what has become of the call is found out."""
        try:
            return await (self._control.invoke_with_retry(request) if steady else self._control.invoke(request))
        except TelegramError as refusal:
            if not isinstance(refusal, PASSING):
                self._refused(refusal)
            raise

    def _refused(self, refusal: TelegramError) -> None:
        if not self.over:
            self._control.doubt(self, refusal)

    def _connections(self) -> Connections:
        assert self._confirmed is not None
        return Connections.of(self._confirmed)


class Offer(PhoneCall):
    """Somebody calls this account (TL phoneCallRequested).

    A context manager for who holds it: left without having been discarded, it is hung up as Disconnect.
    """

    unexplained = DiscardReason.HANGUP  # with no reason at all, another device has taken it

    def __init__(self, control: Control, requested: types.PhoneCallRequested, caller: types.User | None) -> None:
        self._rings_no_more = asyncio.Event()
        super().__init__(control, requested.admin_id, requested.id, requested.access_hash, requested.date)
        self.caller = caller
        self.peer: Peer | None = utils.get_input_peer(caller) if caller else None
        self.incompatible = incompatible_versions(control.protocol, requested.protocol)
        """Where the caller's media and ours have no version in common."""
        self._g_a_hash: bytes = requested.g_a_hash
        self._accepting = False  # this device is about to accept it...
        self._ours = False  # ...and has
        self._untaken = asyncio.get_running_loop().call_later(UNTAKEN_S, self._give_up)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.end_with(DiscardReason.DISCONNECT)

    async def end_with(self, reason: DiscardReason) -> None:
        """Discard it if it has not ended, and let go of it."""
        try:
            await self.discard(reason)
        finally:
            self._untaken.cancel()
            self._control.forget(self)

    def leave_to_other_devices(self) -> bool:
        """Take no part in it: it rings on wherever else the account is signed in, and Telegram is told nothing.

        Not once this device is about to accept it: Telegram says then whose it is. False then, and where it is over.
        """
        if self._accepting or self.over:
            return False
        self.ends(Discarded(None, 0))
        return True

    async def rings_no_more(self) -> None:
        """Wait until it is about to be accepted, on whichever device, or has ended."""
        await self._rings_no_more.wait()

    def _reach(self, state: PhoneCallState) -> None:
        super()._reach(state)
        if self.state not in (PhoneCallState.REQUESTED, PhoneCallState.RINGING):
            self._rings_no_more.set()

    async def ringing(self) -> None:
        """phone.receivedCall: the caller's app then shows "ringing"; without it, it gives up after 20 s.

        Raises CallDiscarded where it is over, or has been taken on another device; TelegramError.
        """
        await self._ask(functions.phone.ReceivedCallRequest(self._input))
        self._reach(PhoneCallState.RINGING)

    async def accept(self, keys: KeyExchange) -> Connections:
        """phone.acceptCall, and wait until the caller has confirmed the key.

        Raises CallDiscarded where it is over, or has been taken on another device; TelegramError.
        """
        self._accepting = True
        self._rings_no_more.set()
        self._untaken.cancel()
        g_b = await keys.answer(await self._control.dh_config(), self._g_a_hash)
        request = functions.phone.AcceptCallRequest(self._input, g_b, self._control.protocol)
        try:
            self.take((await self._ask(request)).phone_call)
            self._ours = True
        except CallTaken:
            await self._learn_whose()
        try:
            await self._until(PhoneCallState.CONFIRMED, CONFIRM_S)
        except TimeoutError:
            raise Unreachable(f"the caller did not confirm call {self.id} within {CONFIRM_S:g} s") from None
        assert self._confirmed is not None
        await keys.agree(self._confirmed.g_a_or_b, self._confirmed.key_fingerprint)
        return self._connections()

    async def _learn_whose(self) -> None:
        """Somebody has accepted it: raises CallDiscarded where it was not us."""
        try:
            await self._until(PhoneCallState.CONFIRMED, TAKEN_S)
        except TimeoutError:
            self.ends(Discarded(None, 0))
            raise CallDiscarded(f"call {self.id} was answered on another device") from None
        self._ours = True

    async def probe(self) -> None:
        """phone.receivedCall again, while it rings: Telegram refuses it where the call is over or has been taken."""
        if self._accepting or self.over:
            return
        try:
            await self._control.invoke(functions.phone.ReceivedCallRequest(self._input))
        except (CallDiscarded, CallTaken, CallUnknown) as refusal:
            if not self._accepting:  # by now
                self._refused(refusal)

    async def _was_taken_elsewhere(self) -> bool:
        """As for any call, which it may be where this device has been cut off for a while (phone.receivedCall)."""
        if self._accepting:
            return False
        try:
            await self._control.invoke(functions.phone.ReceivedCallRequest(self._input))
        except CallTaken:
            return True
        return False

    def take_message(self, action: types.MessageActionPhoneCall) -> None:
        """As for any call; who has talked to the caller, where we have not, was another device."""
        if action.duration and not self._ours:
            self.ends(Discarded(None, action.duration))
        else:
            super().take_message(action)

    def _refused(self, refusal: TelegramError) -> None:
        if self._ours or self.over:
            return super()._refused(refusal)
        if isinstance(refusal, CallTaken):
            if self._accepting:
                return None
            self.ends(Discarded(None, 0))
        elif isinstance(refusal, CallDiscarded | CallUnknown):
            self.ends(Discarded(DiscardReason.MISSED, 0, "before it could be taken"))
        if self.over:
            raise CallDiscarded(str(refusal)) from refusal
        return None

    def _give_up(self) -> None:
        """Nobody has taken it, and Telegram has not ended it either."""
        self.ends(Discarded(DiscardReason.MISSED, 0, expired_s=UNTAKEN_S), known=False)
        self._control.spawn(self.end_with(DiscardReason.MISSED), f"end of Telegram's call {self.id}")


class OutgoingCall(PhoneCall):
    """This account calls somebody."""

    def take(self, update: Any) -> None:
        """As for any call; one that shows to be alive after all has to be discarded."""
        if self._discarded and isinstance(update, types.PhoneCallWaiting | types.PhoneCallAccepted):
            self._known_over = False
            self._input = types.InputPhoneCall(self.id, update.access_hash)
        super().take(update)

    async def ringing(self) -> None:
        """Wait until the callee's app rings (phoneCallWaiting has a receive_date), or they accept.

        Raises TimeoutError.
        """
        await self._until(PhoneCallState.RINGING, RECEIVE_S)

    async def accepted(self, timeout_s: float = RING_S) -> None:
        """Wait until the callee accepts; raises TimeoutError, and Unavailable if their app can't talk to us."""
        await self._until(PhoneCallState.ACCEPTED, timeout_s)
        if self._accepted and (error := incompatible_versions(self._control.protocol, self._accepted.protocol)):
            raise error

    async def confirm(self, keys: KeyExchange) -> Connections:
        """phone.confirmCall: the key is agreed and the media may connect."""
        assert self._accepted is not None
        agreement = await keys.agree(self._accepted.g_b, 0)
        result = await self._ask(
            functions.phone.ConfirmCallRequest(
                self._input, agreement.g_a_or_b, agreement.key_fingerprint, self._control.protocol
            )
        )
        self.take(result.phone_call)
        if self._confirmed is None:
            raise CallDiscarded(f"call {self.id} ended before it was confirmed")
        return self._connections()
