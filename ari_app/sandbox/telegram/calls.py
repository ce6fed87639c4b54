"""What a phone call of the local Telegram is, and the log of it that a test reads."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ServerCallState(StrEnum):
    """How far a call came; the names follow the TL constructors of PhoneCall."""

    REQUESTED = "requested"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    ACTIVE = "active"
    DISCARDED = "discarded"


@dataclass(frozen=True)
class CallEvent:
    """One step of a call: when (`time.monotonic`), whose (a phone number, or "server" for a timer), and which."""

    at: float
    actor: str
    event: str


@dataclass(repr=False)
class Call:
    """A phone call, from phone.requestCall on; it stays in the log when it is over.

    `caller` and `callee` are phone numbers as digits. `reason` is "missed", "busy", "hangup", "disconnect", or
    "migrated" to the group call with `slug`. `duration` is in seconds, as the side that discarded the call said.
    """

    id: int
    caller: str
    callee: str
    caller_id: int
    callee_id: int
    g_a_hash: bytes
    protocol: Any
    video: bool
    date: datetime
    caller_key: int  # the authorization keys (devices) that the call is bound to
    state: ServerCallState = ServerCallState.REQUESTED
    reason: str | None = None
    duration: int = 0
    slug: str = ""
    events: list[CallEvent] = field(default_factory=list)
    callee_key: int | None = None
    receive_date: datetime | None = None
    start_date: datetime | None = None
    g_a: bytes = b""
    g_b: bytes = b""
    key_fingerprint: int = 0
    timer: asyncio.TimerHandle | None = None
    told: dict[int, bytes] = field(default_factory=dict)  # the PhoneCall that each authorization key last heard
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __repr__(self) -> str:
        flow = ", ".join(f"{step.actor}: {step.event}" for step in self.events)
        return f"<Call {self.id} {self.caller} -> {self.callee} {self.state} {self.reason or ''} [{flow}]>"

    @property
    def live(self) -> bool:
        """Whether the call is not over."""
        return self.state is not ServerCallState.DISCARDED

    def other(self, user_id: int) -> int:
        """The id of the other side."""
        return self.callee_id if user_id == self.caller_id else self.caller_id

    def phone_of(self, user_id: int) -> str:
        """The phone number of one side."""
        return self.caller if user_id == self.caller_id else self.callee

    def note(self, actor: str, event: str) -> None:
        """Write a step into the log and wake those who wait for one."""
        self.events.append(CallEvent(time.monotonic(), actor, event))
        self.changed.set()
        self.changed = asyncio.Event()

    async def reaches(self, state: ServerCallState, within: float) -> None:
        """Wait until the call is in `state`. Raises `TimeoutError` after `within` seconds."""
        async with asyncio.timeout(within):
            while self.state is not state:
                await self.changed.wait()
