"""Phone calls: phone.* (https://core.telegram.org/api/calls).

Telegram only passes the parts of a key exchange on, and keeps three timers: a call is missed when no device of the
callee says that it received it, or when it rings too long, and lost when it is accepted and never confirmed.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

from telethon.tl import functions, types

from . import crypto
from .authorizations import Authorizations
from .call_views import REASONS, CallViews, Terms, check_protocol, common_protocol, people, reason_of
from .calls import Call, ServerCallState
from .faults import Faults
from .messages import Messages
from .privacy import Privacy
from .rpc import Client, RpcError, handles
from .session import Session
from .store import Store, User
from .tl import now
from .updates import Updates
from .users import Users

DH_VERSION = 3
MAX_RANDOM = 1024
G_A_HASH_BYTES = 32
SERVER = "server"
RINGING = (ServerCallState.REQUESTED, ServerCallState.RINGING)


class CallTimers(Protocol):
    """How long the server waits for the next step, in seconds."""

    receive_s: float
    ring_s: float
    connect_s: float


@dataclass(frozen=True)
class Directory:
    """The services that calls build on."""

    store: Store
    users: Users
    privacy: Privacy
    updates: Updates
    messages: Messages
    faults: Faults
    authorizations: Authorizations


class Phone:
    """Every call of this server; `calls` is their log, oldest first."""

    def __init__(self, directory: Directory, timers: CallTimers, terms: Terms) -> None:
        self._store = directory.store
        self._users = directory.users
        self._privacy = directory.privacy
        self._updates = directory.updates
        self._messages = directory.messages
        self._faults = directory.faults
        self._authorizations = directory.authorizations
        self._timers = timers
        self._terms = terms
        self._views = CallViews(directory.store, directory.privacy, terms)
        self._protocols: dict[int, Any] = {}  # what each account last offered
        self.calls: list[Call] = []
        self._updates.add_source(self._missed)

    def close(self) -> None:
        """Stop the timers of the calls that are not over."""
        for call in self.calls:
            if call.timer:
                call.timer.cancel()

    def get(self, call_id: int) -> Call | None:
        """A call by its id."""
        return next((call for call in self.calls if call.id == call_id), None)

    def offer_again(self, call: Call) -> None:
        """Tell the callee's devices once more of a call as if it had just begun: an update that comes far too late."""
        late = types.UpdatePhoneCall(phone_call=self._views.requested(call))
        for session in self._updates.sessions_of(call.callee_id):
            session.send(self._updates.package(call.callee_id, [late], people(call)))

    # Before the call

    @handles(functions.messages.GetDhConfigRequest)
    def get_dh_config(self, client: Client, request: Any) -> Any:
        """messages.getDhConfig."""
        if not 0 <= request.random_length <= MAX_RANDOM:
            raise RpcError("RANDOM_LENGTH_INVALID")
        random = os.urandom(request.random_length)
        if request.version == DH_VERSION:
            return types.messages.DhConfigNotModified(random=random)
        return types.messages.DhConfig(g=crypto.DH_G, p=crypto.DH_PRIME, version=DH_VERSION, random=random)

    @handles(functions.phone.GetCallConfigRequest)
    def get_call_config(self, client: Client, request: Any) -> Any:
        """phone.getCallConfig."""
        return types.DataJSON(data="{}")

    # The call

    @handles(functions.phone.RequestCallRequest)
    def request_call(self, client: Client, request: Any) -> Any:
        """phone.requestCall: the caller offers a call; every device of the callee hears of it."""
        caller, callee = client.user, self._users.named(client, request.user_id)
        self._check_offer(caller, callee, request)
        if self._is_taken(caller.id):
            raise RpcError("CALL_OCCUPY_FAILED")
        callee_taken = self._is_taken(callee.id)
        self._messages.use_random_id(caller.id, request.random_id)
        call = Call(
            id=secrets.randbits(62) | 1 << 62,
            caller=caller.phone,
            callee=callee.phone,
            caller_id=caller.id,
            callee_id=callee.id,
            g_a_hash=request.g_a_hash,
            protocol=request.protocol,
            video=bool(request.video),
            date=now(),
            caller_key=client.key.id,
        )
        self.calls.append(call)
        call.note(caller.phone, "requestCall")
        if callee_taken:
            self._time(call, 0.0, "busy", "in another call")
        else:
            self._time(call, self._timers.receive_s, "missed", "receive timer")
            self._tell(call, callee.id)
        return self._answer(call, client)

    def _is_taken(self, user_id: int) -> bool:
        """Whether an account is in a call, and can't be in another one."""
        if not self._authorizations.rules.one_call:
            return False
        calls = (call for call in self.calls if call.live)
        return any(user_id == call.caller_id or (user_id == call.callee_id and call.callee_key) for call in calls)

    def _check_offer(self, caller: User, callee: User, request: Any) -> None:
        if callee.id == caller.id or callee.is_bot:
            raise RpcError("USER_ID_INVALID")
        if callee.deleted:
            raise RpcError("INPUT_USER_DEACTIVATED")
        if self._store.is_blocked(callee.id, caller.id):
            raise RpcError("USER_IS_BLOCKED")
        if not self._privacy.allows(callee.id, caller.id, "phone_call"):
            raise RpcError("USER_PRIVACY_RESTRICTED")
        if len(request.g_a_hash) != G_A_HASH_BYTES:
            raise RpcError("G_A_HASH_INVALID")
        check_protocol(request.protocol)
        self._protocols[caller.id] = request.protocol
        known = self._protocols.get(callee.id)
        if known is not None and common_protocol(request.protocol, known) is None:
            raise RpcError("PARTICIPANT_VERSION_OUTDATED")

    @handles(functions.phone.ReceivedCallRequest)
    def received_call(self, client: Client, request: Any) -> bool:
        """phone.receivedCall: a device of the callee is ringing; the caller hears that."""
        call = self._call(client, request.peer)
        self._require_callee(call, client)
        _require_ringing(call)
        if call.state is ServerCallState.REQUESTED:
            call.state, call.receive_date = ServerCallState.RINGING, now()
            call.note(call.callee, "receivedCall")
            self._time(call, self._timers.ring_s, "missed", "ring timer")
            self._tell(call, call.caller_id)
        return True

    @handles(functions.phone.AcceptCallRequest)
    def accept_call(self, client: Client, request: Any) -> Any:
        """phone.acceptCall: one device takes the call; the others stop ringing."""
        call = self._call(client, request.peer)
        self._require_callee(call, client)
        _require_ringing(call)
        check_protocol(request.protocol)
        self._protocols[client.user.id] = request.protocol
        common = common_protocol(call.protocol, request.protocol)
        if common is None:
            raise RpcError("CALL_PROTOCOL_COMPAT_LAYER_INVALID", code=406)
        call.state, call.g_b, call.protocol = ServerCallState.ACCEPTED, request.g_b, common
        call.callee_key = client.key.id
        call.note(call.callee, "acceptCall")
        self._time(call, self._timers.connect_s, "disconnect", "connect timer")
        self._tell(call, call.callee_id, but=client.session)
        self._tell(call, call.caller_id)
        return self._answer(call, client)

    @handles(functions.phone.ConfirmCallRequest)
    def confirm_call(self, client: Client, request: Any) -> Any:
        """phone.confirmCall: the caller reveals g_a; both sides learn where to send media."""
        call = self._call(client, request.peer)
        if client.key.id != call.caller_key:
            raise RpcError("CALL_PEER_INVALID")
        if call.state is not ServerCallState.ACCEPTED:
            raise RpcError("CALL_ALREADY_ACCEPTED" if call.state is ServerCallState.ACTIVE else "CALL_PEER_INVALID")
        if sha256(request.g_a).digest() != call.g_a_hash:
            raise RpcError("DH_G_A_INVALID")
        call.g_a, call.key_fingerprint = request.g_a, request.key_fingerprint
        call.state, call.start_date = ServerCallState.ACTIVE, now()
        self._time(call, None)
        call.note(call.caller, "confirmCall")
        self._tell(call, call.callee_id)
        return self._answer(call, client)

    @handles(functions.phone.SendSignalingDataRequest)
    def send_signaling_data(self, client: Client, request: Any) -> bool:
        """phone.sendSignalingData: bytes for the other side's media engine."""
        call = self._call(client, request.peer)
        if call.state is not ServerCallState.ACTIVE or client.key.id not in (call.caller_key, call.callee_key):
            raise RpcError("CALL_PEER_INVALID")
        call.note(client.user.phone, "sendSignalingData")
        other = call.other(client.user.id)
        key = call.caller_key if other == call.caller_id else call.callee_key
        update = types.UpdatePhoneCallSignalingData(phone_call_id=call.id, data=request.data)
        for session in self._updates.sessions_of(other):
            if session.key_id == key:
                session.send(types.UpdateShort(update=update, date=now()))
        return True

    @handles(functions.phone.DiscardCallRequest)
    def discard_call(self, client: Client, request: Any) -> Any:
        """phone.discardCall: either side ends the call, in any state."""
        call = self._call(client, request.peer)
        reason = REASONS.get(type(request.reason), "hangup")
        call.slug = getattr(request.reason, "slug", "")
        own = self._discard(call, client.user.phone, "discardCall", reason, request.duration, client.session)
        view = self._views.show(call, client.user.id, client.key.id)
        call.told[client.key.id] = bytes(view)
        updates = [types.UpdatePhoneCall(phone_call=view), *own[client.user.id]]
        return self._updates.package(client.user.id, updates, people(call))

    @handles(functions.phone.SetCallRatingRequest)
    def set_call_rating(self, client: Client, request: Any) -> Any:
        """phone.setCallRating."""
        return self._updates.package(client.user.id, [])

    @handles(functions.phone.SaveCallDebugRequest, functions.phone.SaveCallLogRequest)
    def save_call_debug(self, client: Client, request: Any) -> bool:
        """phone.saveCallDebug and phone.saveCallLog."""
        return True

    # How it is done

    def _discard(
        self, call: Call, actor: str, event: str, reason: str, duration: int, but: Session | None = None
    ) -> dict[int, list[Any]]:
        """End a call; the updates about the message it leaves in each chat, by account."""
        was_active = call.state is ServerCallState.ACTIVE
        call.state, call.reason, call.duration = ServerCallState.DISCARDED, reason, duration
        self._time(call, None)
        call.note(actor, f"{event} {reason}")
        action = types.MessageActionPhoneCall(
            call_id=call.id, video=call.video, reason=reason_of(call), duration=duration if was_active else None
        )
        posted = self._messages.post(
            call.caller_id, call.callee_id, lambda copy: types.MessageService(**copy, action=action)
        )
        left: dict[int, list[Any]] = {}
        for user_id, update in zip(people(call), posted, strict=True):
            left[user_id] = [update]
            self._tell(call, user_id, but=but)
            if not self._faults.loses(action, call.phone_of(user_id)):
                self._updates.push(user_id, [update], people(call), but=but)
        return left

    def _time(self, call: Call, delay_s: float | None, reason: str = "", event: str = "") -> None:
        if call.timer:
            call.timer.cancel()
        call.timer = None
        if delay_s is not None:
            end = partial(self._discard, call, SERVER, event, reason, 0)
            call.timer = asyncio.get_running_loop().call_later(delay_s, end)

    def _tell(self, call: Call, user_id: int, but: Session | None = None) -> None:
        told = dict(call.told)
        for session in self._updates.sessions_of(user_id):
            update = self._update_for(call, user_id, session.key_id, told)
            if update is not None and session is not but:
                call.told[session.key_id] = bytes(update.phone_call)
                if not self._faults.loses(update.phone_call, call.phone_of(user_id)):
                    session.send(self._updates.package(user_id, [update], people(call)))

    def _update_for(self, call: Call, user_id: int, key: int, told: Mapping[int, bytes]) -> Any:
        """What a device has to hear of the call and has not; None when the call does not concern it."""
        if user_id == call.caller_id:
            concerns = key == call.caller_key
        else:
            rings = call.live and call.callee_key is None and self._authorizations.rings(user_id, key)
            concerns = key in told or key == call.callee_key or rings
        view = self._views.show(call, user_id, key) if concerns else None
        return types.UpdatePhoneCall(phone_call=view) if view is not None and told.get(key) != bytes(view) else None

    def _missed(self, client: Client) -> list[tuple[Any, set[int]]]:
        """What the client's device has not heard about calls, for updates.getDifference."""
        user_id, key = client.user.id, client.key.id
        missed: list[tuple[Any, set[int]]] = []
        for call in self.calls if self._terms.difference_tells_calls else ():
            update = self._update_for(call, user_id, key, call.told) if user_id in people(call) else None
            if update is not None:
                call.told[key] = bytes(update.phone_call)
                missed.append((update, set(people(call))))
        return missed

    def _answer(self, call: Call, client: Client) -> Any:
        users = [self._users.show(client.user.id, user_id) for user_id in people(call)]
        view = self._views.show(call, client.user.id, client.key.id)
        call.told[client.key.id] = bytes(view)
        return types.phone.PhoneCall(phone_call=view, users=users)

    def _call(self, client: Client, peer: Any) -> Call:
        """The live call that an InputPhoneCall names. Raises `RpcError`."""
        call = self.get(peer.id)
        if call is None or client.user.id not in people(call):
            raise RpcError("CALL_PEER_INVALID")
        if peer.access_hash != self._store.access_hash(client.user.id, call.id):
            raise RpcError("CALL_PEER_INVALID")
        if not call.live:
            raise RpcError("CALL_ALREADY_DECLINED")
        return call

    def _require_callee(self, call: Call, client: Client) -> None:
        if client.user.id != call.callee_id:
            raise RpcError("CALL_PEER_INVALID")


def _require_ringing(call: Call) -> None:
    if call.state not in RINGING:
        raise RpcError("CALL_ALREADY_ACCEPTED")
