"""Every phone.* call of one account, each keyed by its id. The calls outlive the connection to Telegram.

Telegram has no request for a call's state. It tells it by its refusals (phone.receivedCall: CALL_ALREADY_DECLINED,
CALL_ALREADY_ACCEPTED, CALL_PEER_INVALID), and by the message (messageActionPhoneCall, with the call's id) that it
leaves in the chat when a call is over: as updateNewMessage, and in the list of calls that apps show, which is
messages.search with inputMessagesFilterPhoneCalls.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from telethon import events
from telethon.tl import functions, types

from ari_app.tasks import GuardedTasks, guarded_tasks, was_cancelled
from ari_app.telegram.connections import call_protocol
from ari_app.telegram.discard import Discarded, DiscardReason
from ari_app.telegram.errors import (
    PASSING,
    CallDiscarded,
    ServerError,
    TelegramError,
    Unreachable,
    Unreadable,
)
from ari_app.telegram.limits import tl_name
from ari_app.telegram.phone_call import (
    RECEIVE_S,
    REQUEST_S,
    KeyExchange,
    Offer,
    OutgoingCall,
    PhoneCall,
    PhoneCallState,
)
from ari_app.telegram.session import Session
from media.types import DhConfig, EngineProtocol

__all__ = ["RECEIVE_S", "DiscardReason", "Discarded", "Offer", "OutgoingCall", "Phone", "PhoneCall", "PhoneCallState"]

log = logging.getLogger(__name__)

RETRY_S = 0.5  # before a request is repeated; Telethon itself has waited for 2 s after a 500
DH_AGAIN_S = 4.0  # to ask for a Diffie-Hellman configuration where there is an earlier one
LATE_ANSWER_S = 60.0
"""An answer to phone.requestCall that comes when its caller has given up: the call is discarded then."""
ORPHAN_S = 100.0
"""A call whose requestCall was answered with nothing that can be read shows by its updates, for as long as it rings."""
REASON_COMES_S = 0.5  # after a refusal, the phoneCallDiscarded that says why
LOOK_S = 2.0  # for an answer to what has become of the calls
LOOKS = 3  # after that many, the next reconnect or refusal asks again
LOOK_AGAIN_S = 2.0
LISTED = 100  # calls; the most that Telegram lists at once
REMEMBERED = 100  # calls that are over, so that a late phoneCallRequested does not ring again
MAX_INT32 = 2**31 - 1
UPDATES = (types.UpdatePhoneCall, types.UpdatePhoneCallSignalingData)


class Phone:
    """Every phone.* call of one account.

    ``on_offer`` is called, without waiting, for each incoming call; it has to hold the offer (``async with offer``).
    A context manager for its own tasks; it hears of calls while it is `attached` to a session.
    """

    def __init__(self, engine: EngineProtocol, on_offer: Callable[[Offer], None]) -> None:
        self.protocol = call_protocol(engine)
        self._on_offer = on_offer
        self._session: Session | None = None
        self._has_session = asyncio.Event()
        self._was_attached = False
        self._calls: dict[int, PhoneCall] = {}
        self._over: deque[int] = deque(maxlen=REMEMBERED)
        self._requests_in_flight = 0
        self._early: list[Any] = []
        self._orphans: dict[int, float] = {}  # by the callee's id: until when (the loop's time) one may show
        self._dh: DhConfig | None = None
        self._dh_version = 0
        self._guard = guarded_tasks()
        self._tasks: GuardedTasks | None = None
        self._resyncing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Phone":
        self._guard = guarded_tasks()
        self._tasks = await self._guard.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self._tasks = None
        await self._guard.__aexit__(None, None, None)

    @asynccontextmanager
    async def attached(self, session: Session) -> AsyncIterator[None]:
        """Use a session until the block is left; what has come since an earlier one was left is asked for."""
        with session.on(events.Raw((*UPDATES, types.UpdateNewMessage)), self._on_update):
            session.on_reconnect(self.resync)
            self._session = session
            self._has_session.set()
            try:
                if self._was_attached:
                    await session.catch_up()
                self.resync()
                self._was_attached = True
                if self._dh is None:
                    self._spawn(self._prepare(), "messages.getDhConfig")
                yield
            finally:
                self._has_session.clear()
                self._session = None

    def resync(self) -> None:
        """Have the true state of the live calls asked, after updates may have been missed; does not wait for it."""
        if self._calls and (self._resyncing is None or self._resyncing.done()):
            self._resyncing = self._spawn(self._resync(), "state of the live calls")

    @asynccontextmanager
    async def call(self, peer: types.TypeInputPeer, keys: KeyExchange) -> AsyncIterator[OutgoingCall]:
        """phone.requestCall; the caller of this method discards the call with its own reason before leaving.

        Raises TelegramError where Telegram refuses it.
        """
        g_a_hash = await keys.offer(await self.dh_config())
        call = await self._requested(peer, g_a_hash)
        try:
            yield call
        finally:
            await self._end(call, DiscardReason.DISCONNECT)

    @asynccontextmanager
    async def adopted(
        self, peer_id: int, call_id: int, access_hash: int, date: datetime | None = None
    ) -> AsyncIterator[PhoneCall]:
        """Take over a call, in either direction, that an earlier run of this program has confirmed.

        Whether it still lives is asked of Telegram. As in `call`, who adopts it discards it.
        """
        call = PhoneCall(self, peer_id, call_id, access_hash, date, PhoneCallState.CONFIRMED)
        self._calls[call.id] = call
        if self._session:  # else it is asked once there is one
            self.resync()
        try:
            yield call
        finally:
            await self._end(call, DiscardReason.DISCONNECT)

    def was_asked_for(self, peer_id: int) -> None:
        """An earlier run has asked for a call to somebody, and had no answer: one that shows is discarded."""
        self._orphans[peer_id] = asyncio.get_running_loop().time() + ORPHAN_S

    async def dh_config(self) -> DhConfig:
        """messages.getDhConfig, kept by its version; an earlier one will do where Telegram gives none now."""
        request = functions.messages.GetDhConfigRequest(version=self._dh_version, random_length=256)
        try:
            answer = await self.invoke_with_retry(request, REQUEST_S if self._dh is None else DH_AGAIN_S)
        except TelegramError as error:
            if self._dh is None:
                raise
            log.warning("%s; goes on with the Diffie-Hellman parameters of before", error)
            return self._dh
        if isinstance(answer, types.messages.DhConfig):
            self._dh_version = answer.version
            self._dh = DhConfig(answer.g, answer.p, answer.random)
        elif self._dh is not None:
            self._dh = DhConfig(self._dh.g, self._dh.p, answer.random)
        else:
            raise TelegramError("Telegram named no Diffie-Hellman parameters (messages.getDhConfig); try again")
        return self._dh

    async def invoke(self, request: Any, timeout_s: float = REQUEST_S) -> Any:
        """One request to Telegram, bounded in time, the wait for a connection included; raises TelegramError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(until):
                await self._has_session.wait()
        except TimeoutError:
            raise Unreachable(f"there was no connection to Telegram for {tl_name(request)} in time") from None
        assert self._session is not None
        return await self._session.invoke(request, until - loop.time())

    async def invoke_with_retry(self, request: Any, timeout_s: float = REQUEST_S) -> Any:
        """As `invoke`, and once more within the same time where the trouble may pass."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        try:
            return await self.invoke(request, timeout_s)
        except PASSING as trouble:
            if loop.time() + RETRY_S >= until:
                raise
            log.info("%s; asks once more", trouble)
        await asyncio.sleep(RETRY_S)
        return await self.invoke(request, until - loop.time())

    def doubt(self, call: PhoneCall, refusal: TelegramError) -> None:
        """Telegram has refused a request for a live call: have found out what has become of it."""
        self._spawn(self._find_out(call, refusal), f"state of Telegram's call {call.id}")

    def forget(self, call: PhoneCall) -> None:
        """Nobody holds this call any more."""
        if self._calls.pop(call.id, None):
            self._over.append(call.id)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something that outlives its call."""
        self._spawn(work, name)

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any] | None:
        if self._tasks is None:
            work.close()
            return None
        with suppress(RuntimeError):  # they are just ending
            return self._tasks.spawn(work, name)
        return None

    async def _prepare(self) -> None:
        """So that no call has to wait for it, and none is lost by a refusal."""
        with suppress(TelegramError):
            await self.dh_config()

    async def _requested(self, peer: types.TypeInputPeer, g_a_hash: bytes) -> OutgoingCall:
        # Cancelling the request can't take it back once it is sent: let it finish, so that its call can be discarded.
        request = self._spawn(self._request(peer, g_a_hash), f"phone.requestCall to {peer.user_id}")
        if request is None:
            raise Unreachable("the line is stopping: there is no connection for phone.requestCall")
        try:
            async with asyncio.timeout(REQUEST_S):
                call = await asyncio.shield(request)
        except TimeoutError:
            self._spawn(self._discard_late(request), "call given up")
            raise Unreachable("Telegram did not answer phone.requestCall in time") from None
        except asyncio.CancelledError:
            self._spawn(self._discard_late(request), "call given up")
            if was_cancelled():
                raise
            raise Unreachable("the line stopped before phone.requestCall was answered") from None
        if isinstance(call, TelegramError):
            raise call
        if call is None:
            raise TelegramError("an unexpected error in phone.requestCall; see the log")
        assert isinstance(call, OutgoingCall)
        return call

    async def _request(self, peer: types.TypeInputPeer, g_a_hash: bytes) -> OutgoingCall | TelegramError:
        """The refusal is a result: it is no unexpected error, which the log has whole."""
        request = functions.phone.RequestCallRequest(
            user_id=types.InputUser(peer.user_id, peer.access_hash),
            g_a_hash=g_a_hash,
            protocol=self.protocol,
            random_id=random.randint(0, MAX_INT32),  # noqa: S311 - only has to differ from call to call
        )
        self._requests_in_flight += 1
        call: OutgoingCall | None = None
        refusal: TelegramError | None = None
        try:
            answer = (await self.invoke(request, LATE_ANSWER_S)).phone_call
            call = OutgoingCall(
                self, peer.user_id, answer.id, getattr(answer, "access_hash", 0), getattr(answer, "date", None)
            )
            self._calls[call.id] = call
            call.take(answer)
        except TelegramError as error:
            refusal = error
        finally:
            self._requests_in_flight -= 1
            lost = refusal is None or isinstance(refusal, Unreachable | Unreadable | ServerError)
            if call.over if call else lost:
                self._orphans[peer.user_id] = asyncio.get_running_loop().time() + ORPHAN_S
            await self._take_early()
        return call or refusal or TelegramError("phone.requestCall was not answered")

    async def _take_early(self) -> None:
        """The update of a call may overtake the answer to the request that made it."""
        early, self._early = self._early, []
        for update in early:
            await self._on_update(update)

    async def _discard_late(self, request: asyncio.Task[Any]) -> None:
        """End a call whose caller went away while Telegram was still answering phone.requestCall."""
        call = await request
        if isinstance(call, OutgoingCall):
            await self._end(call, DiscardReason.MISSED)
        else:
            log.info("a call given up before Telegram answered was not made: %s", call)

    async def _end(self, call: PhoneCall, reason: DiscardReason) -> None:
        try:
            await call.discard(reason)
        finally:
            self.forget(call)

    async def _on_update(self, update: Any) -> None:
        match update:
            case types.UpdateNewMessage(message=types.MessageService(action=types.MessageActionPhoneCall() as action)):
                self._take_message(action)
                return
            case types.UpdatePhoneCallSignalingData(phone_call_id=call_id):
                if call := self._calls.get(call_id):
                    call.take_signal(update.data)
                    return
            case types.UpdatePhoneCall(phone_call=phone_call):
                if call := self._calls.get(phone_call.id):
                    call.take(phone_call)
                    return
                if isinstance(phone_call, types.PhoneCallRequested):
                    self._take_offer(phone_call, getattr(update, "_entities", {}))
                    return
                if self._is_orphan(phone_call):
                    self._discard_orphan(phone_call)
                    return
            case _:
                return
        if self._requests_in_flight:
            self._early.append(update)

    def _take_offer(self, requested: types.PhoneCallRequested, entities: dict[int, Any]) -> None:
        if requested.id in self._over:
            return
        offer = Offer(self, requested, entities.get(requested.admin_id))
        self._calls[offer.id] = offer
        try:
            self._on_offer(offer)
        except Exception:  # it would be Telethon's, which knows nothing of the caller
            log.exception("call from %s: unexpected error", offer.peer_id)
            self._spawn(offer.end_with(DiscardReason.DISCONNECT), f"end of Telegram's call {offer.id}")

    def _take_message(self, action: types.MessageActionPhoneCall) -> None:
        if call := self._calls.get(action.call_id):
            call.take_message(action)

    def _is_orphan(self, phone_call: Any) -> bool:
        """Whether it is the call of a request of ours whose answer was lost. Other devices' calls to others are not."""
        if not isinstance(phone_call, types.PhoneCallWaiting | types.PhoneCallAccepted):
            return False
        until = self._orphans.get(phone_call.participant_id, 0.0)
        return not self._requests_in_flight and asyncio.get_running_loop().time() < until

    def _discard_orphan(self, phone_call: Any) -> None:
        log.warning("call to %s: nobody holds it, as Telegram's answer was lost: discarded", phone_call.participant_id)
        del self._orphans[phone_call.participant_id]
        call = OutgoingCall(self, phone_call.participant_id, phone_call.id, phone_call.access_hash, phone_call.date)
        self._calls[call.id] = call
        self._spawn(self._end(call, DiscardReason.MISSED), f"end of Telegram's call {call.id}")

    async def _find_out(self, call: PhoneCall, refusal: TelegramError) -> None:
        """First comes the discard, if it was not lost; then the list of calls; at last the refusal is what is known."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REASON_COMES_S):
                await call.discarded()
        if call.over:
            return
        with suppress(TelegramError):
            await self._resync_once()
        if isinstance(refusal, CallDiscarded):
            call.ends(Discarded(call.unexplained, 0, str(refusal)))

    async def _resync(self) -> None:
        for _ in range(LOOKS):
            try:
                return await self._resync_once()
            except PASSING as error:
                log.info("what has become of the live calls is not known yet: %s", error)
                await asyncio.sleep(LOOK_AGAIN_S)
            except TelegramError as error:
                return log.warning("what has become of the live calls is not known: %s", error)
        return None

    async def _resync_once(self) -> None:
        """Raises TelegramError."""
        try:
            await self._read_list()
        finally:
            for call in list(self._calls.values()):
                with suppress(CallDiscarded):
                    await call.probe()

    async def _read_list(self) -> None:
        request = functions.messages.SearchRequest(
            peer=types.InputPeerEmpty(),
            q="",
            filter=types.InputMessagesFilterPhoneCalls(),
            min_date=None,
            max_date=None,
            offset_id=0,
            add_offset=0,
            limit=LISTED,
            max_id=0,
            min_id=0,
            hash=0,
        )
        found = await self.invoke(request, LOOK_S)
        for message in getattr(found, "messages", ()):  # which messages.messagesNotModified has not
            if isinstance(getattr(message, "action", None), types.MessageActionPhoneCall):
                self._take_message(message.action)
