"""A local Telegram, MTProto and HTTP Bot API: for trying the product, and for its tests, with no account.

By hand: Telegram's servers are closed, and no other that speaks MTProto can be told to fail.
"""

from .bot_errors import BotApiError
from .bots import Bot
from .calls import Call, CallEvent, ServerCallState
from .device import Device, device, new_device, sign_in
from .device_rules import DeviceRules
from .privacy import Audience
from .rpc import RpcError
from .server import LocalTelegram, Timers
from .store import User

__all__ = [
    "Audience",
    "Bot",
    "BotApiError",
    "Call",
    "CallEvent",
    "Device",
    "DeviceRules",
    "LocalTelegram",
    "RpcError",
    "ServerCallState",
    "Timers",
    "User",
    "device",
    "new_device",
    "sign_in",
]
