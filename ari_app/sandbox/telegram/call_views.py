"""How a phone call looks from each device: the TL constructors of PhoneCall (https://core.telegram.org/type/PhoneCall)."""

from __future__ import annotations

from typing import Any, Protocol

from telethon.tl import types

from .calls import Call, ServerCallState
from .privacy import Privacy
from .rpc import RpcError
from .store import Store

REASONS: dict[type, str] = {
    types.PhoneCallDiscardReasonMissed: "missed",
    types.PhoneCallDiscardReasonBusy: "busy",
    types.PhoneCallDiscardReasonHangup: "hangup",
    types.PhoneCallDiscardReasonDisconnect: "disconnect",
    types.PhoneCallDiscardReasonMigrateConferenceCall: "migrated",
}


class Terms(Protocol):
    """What the server decides about calls; read anew for each call."""

    connections: list[Any]
    p2p_allowed: bool
    custom_parameters: str | None
    difference_tells_calls: bool


class CallViews:
    """Shows calls to the devices of their two sides."""

    def __init__(self, store: Store, privacy: Privacy, terms: Terms) -> None:
        self._store = store
        self._privacy = privacy
        self._terms = terms

    def show(self, call: Call, user_id: int, key: int) -> Any:
        """The call as one device of one side sees it now."""
        outgoing = user_id == call.caller_id
        if not outgoing and call.callee_key not in (None, key):  # another device took it
            return types.PhoneCallDiscarded(id=call.id, video=call.video)
        if not call.live:
            duration = call.duration if call.start_date else None
            return types.PhoneCallDiscarded(id=call.id, video=call.video, reason=reason_of(call), duration=duration)
        common = self._common(call, user_id)
        if call.state is ServerCallState.ACTIVE:
            return self._active_view(call, common, call.g_b if outgoing else call.g_a)
        if outgoing and call.state is ServerCallState.ACCEPTED:
            return types.PhoneCallAccepted(**common, g_b=call.g_b)
        if outgoing or call.state is ServerCallState.ACCEPTED:
            return types.PhoneCallWaiting(**common, receive_date=call.receive_date)
        return self.requested(call)

    def requested(self, call: Call) -> Any:
        """The call as a device of the callee sees it when it begins."""
        return types.PhoneCallRequested(**self._common(call, call.callee_id), g_a_hash=call.g_a_hash)

    def _common(self, call: Call, user_id: int) -> dict[str, Any]:
        return {
            "id": call.id,
            "access_hash": self._store.access_hash(user_id, call.id),
            "date": call.date,
            "admin_id": call.caller_id,
            "participant_id": call.callee_id,
            "protocol": call.protocol,
            "video": call.video,
        }

    def _active_view(self, call: Call, common: dict[str, Any], g_a_or_b: bytes) -> Any:
        pairs = ((call.caller_id, call.callee_id), (call.callee_id, call.caller_id))
        p2p = self._terms.p2p_allowed and all(self._privacy.allows(*pair, "phone_p2p") for pair in pairs)
        parameters = self._terms.custom_parameters
        return types.PhoneCall(
            **common,
            g_a_or_b=g_a_or_b,
            key_fingerprint=call.key_fingerprint,
            connections=list(self._terms.connections),
            start_date=call.start_date,
            p2p_allowed=p2p,
            custom_parameters=types.DataJSON(data=parameters) if parameters is not None else None,
        )


def people(call: Call) -> tuple[int, int]:
    """The ids of the caller and the callee."""
    return call.caller_id, call.callee_id


def reason_of(call: Call) -> Any:
    """Why a call was discarded, as TL."""
    if call.reason == "migrated":
        return types.PhoneCallDiscardReasonMigrateConferenceCall(call.slug)
    return next((cls() for cls, name in REASONS.items() if name == call.reason), None)


def check_protocol(protocol: Any) -> None:
    """Refuse an offer that Telegram refuses. Raises `RpcError`."""
    if not (protocol.udp_p2p or protocol.udp_reflector):
        raise RpcError("CALL_PROTOCOL_FLAGS_INVALID")
    if not 0 < protocol.min_layer <= protocol.max_layer:
        raise RpcError("CALL_PROTOCOL_LAYER_INVALID")


def common_protocol(one: Any, other: Any) -> Any:
    """The protocol that two offers share, or None."""
    low, high = max(one.min_layer, other.min_layer), min(one.max_layer, other.max_layer)
    versions = [version for version in one.library_versions if version in other.library_versions]
    if low > high or not versions:
        return None
    return types.PhoneCallProtocol(
        min_layer=low,
        max_layer=high,
        library_versions=versions,
        udp_p2p=bool(one.udp_p2p and other.udp_p2p),
        udp_reflector=bool(one.udp_reflector and other.udp_reflector),
    )
