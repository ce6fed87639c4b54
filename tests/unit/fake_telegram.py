"""A Telegram client whose answers are scripted, and what it tells of phone calls."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from telethon import errors
from telethon.tl import TLRequest, types

from ari_app.telegram.limits import tl_name
from media.types import Agreement, DhConfig, EngineProtocol

ANNA, LINE, CALL, HASH = 20, 10, 4711, 99
PEER = types.InputPeerUser(ANNA, 1)
PASSES_S = 5.0  # a generous limit: what is tested takes milliseconds
ENGINE = EngineProtocol(92, 92, ("8.0.0", "9.0.0"))
OURS = types.PhoneCallProtocol(92, 92, ["8.0.0", "9.0.0"], udp_p2p=True)
OLD = types.PhoneCallProtocol(65, 92, ["2.4.4"], udp_p2p=True)
COMMON = {"id": CALL, "access_hash": HASH, "date": None, "admin_id": LINE, "participant_id": ANNA, "protocol": OURS}
FROM_ANNA = COMMON | {"admin_id": ANNA, "participant_id": LINE}
DONE = types.Updates([], [], [], None, 0)


class MediaKeys:
    """A media process's part of the key exchange."""

    async def offer(self, dh: DhConfig) -> bytes:
        return b"g_a_hash"

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        return b"g_b"

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        return Agreement(b"g_a", 1)


KEYS = MediaKeys()


def waiting(received: int | None = None) -> Any:
    return types.PhoneCallWaiting(**COMMON, receive_date=received)


def accepted(protocol: Any = OURS) -> Any:
    return types.PhoneCallAccepted(**COMMON | {"protocol": protocol}, g_b=b"g_b")


def confirmed(**who: Any) -> Any:
    return types.PhoneCall(**COMMON | who, g_a_or_b=b"g_a", key_fingerprint=1, connections=[], start_date=None)


def discarded(reason: Any = None, duration: int | None = None) -> Any:
    return types.PhoneCallDiscarded(CALL, reason=reason, duration=duration)


def requested(protocol: Any = OURS) -> Any:
    return types.PhoneCallRequested(**FROM_ANNA | {"protocol": protocol}, g_a_hash=b"g_a_hash")


def answer(phone_call: Any) -> Any:
    return types.phone.PhoneCall(phone_call, users=[])


def said_in_chat(reason: Any, duration: int | None = None, call_id: int = CALL) -> Any:
    action = types.MessageActionPhoneCall(call_id, reason=reason, duration=duration)
    return types.MessageService(1, types.PeerUser(ANNA), action=action)


def listed(*messages: Any) -> Any:
    return types.messages.Messages(list(messages), [], [], [])


def dh_config(version: int = 3) -> Any:
    return types.messages.DhConfig(3, b"p", version, os.urandom(4))


def trouble() -> errors.RPCError:
    return errors.TimedOutError(None, "Timeout", -503)


class Telegram:
    """A client whose answers to each request are scripted, in order; the last one goes on to be given.

    An answer may be an exception, or a function that gives it.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {
            "messages.getDhConfig": [dh_config(), types.messages.DhConfigNotModified(b"r")],
            "messages.search": [listed()],
            "phone.requestCall": [answer(waiting())],
            "phone.receivedCall": [True],
            "phone.acceptCall": [answer(types.PhoneCallWaiting(**FROM_ANNA))],
            "phone.confirmCall": [answer(confirmed())],
            "phone.sendSignalingData": [True],
            "phone.discardCall": [DONE],
        }
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.handler: Callable[[Any], Awaitable[None]] | None = None
        self.caught_up = 0
        self.asked = asyncio.Event()

    async def __call__(self, request: TLRequest) -> Any:
        name = tl_name(request)
        self.requests[name].append(request)
        self.asked.set()
        script = self.answers[name]
        given = script.pop(0) if len(script) > 1 else script[0]
        if callable(given) and not isinstance(given, type):
            given = await given()
        if isinstance(given, BaseException):
            raise given
        return given

    def add_event_handler(self, handler: Callable[[Any], Awaitable[None]], event: Any) -> None:
        self.handler = handler

    def remove_event_handler(self, handler: Callable[[Any], Awaitable[None]]) -> None:
        self.handler = None

    async def catch_up(self) -> None:
        self.caught_up += 1

    async def tells(self, update: Any) -> None:
        """Send an update to the line."""
        assert self.handler is not None
        tl = update if isinstance(update, types.UpdateNewMessage) else types.UpdatePhoneCall(update)
        await self.handler(tl)

    async def says(self, message: Any) -> None:
        """Leave a message in a chat."""
        await self.tells(types.UpdateNewMessage(message, 1, 1))

    async def asked_for(self, name: str, times: int = 1) -> list[Any]:
        """Wait until a request was made."""
        async with asyncio.timeout(PASSES_S):
            while len(self.requests[name]) < times:
                self.asked.clear()
                await self.asked.wait()
        return self.requests[name]
