"""A local Telegram: an MTProto server for trying the product, and for its tests, with no account."""

from .calls import Call, CallEvent, CallState
from .device import Device, device, new_device, sign_in
from .privacy import Audience
from .rpc import RpcError
from .server import LocalTelegram, Timers
from .store import User

__all__ = [
    "Audience",
    "Call",
    "CallEvent",
    "CallState",
    "Device",
    "LocalTelegram",
    "RpcError",
    "Timers",
    "User",
    "device",
    "new_device",
    "sign_in",
]
