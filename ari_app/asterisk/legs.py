"""The legs of a call: channels that are opened, watched and closed as async context managers.

However a leg's block is left, its channel is hung up once, with ``leg.cause``; a channel that is gone already is no
error. The closing runs to its end even if the waiting task is cancelled, and each request in it is bounded by the
client's timeout.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from ari_app.asterisk import events
from ari_app.asterisk.ari import FAR_SUFFIX, AriClient
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import AriConflict, AriError, AriNotFound, AriTimeout, AriUnreachable, LegEnded
from ari_app.asterisk.events import Arrival, Event
from ari_app.asterisk.hangup import NORMAL_CLEARING, UNKNOWN, Hangup
from ari_app.asterisk.resources import Channel

logger = logging.getLogger(__name__)

NO_DIAL_TIMEOUT = -1
"""ARI's default would end an unanswered dialplan leg after 30 s; how long to ring is the dialplan's business."""
_CHANNEL_NOT_FOUND = frozenset({"Channel not found", "Provided channel was not found"})
_FORBIDDEN_IN_EXTENSION = frozenset("@/&|,;")

T = TypeVar("T")


class Leg:
    """One channel of a call, from the side of the application. ``cause`` is the Q.850 cause it will be hung up with."""

    def __init__(self, client: AriClient, channel_id: str, what: str) -> None:
        self.channel: Channel = client.channel(channel_id)
        self.cause = NORMAL_CLEARING
        self._what = what
        self._in_stasis = False
        self._hangup: Hangup | None = None
        self._exists = True
        self._in_stasis_or_ended = asyncio.Event()
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        fate = f"ended: {self._hangup}" if self._hangup else "in Stasis" if self._in_stasis else "not in Stasis yet"
        return f"<{self._what}, {self.id}, {fate}>"

    @property
    def id(self) -> str:
        """The channel's id."""
        return self.channel.id

    @property
    def hangup(self) -> Hangup | None:
        """How it ended, or None if it has not."""
        return self._hangup

    async def hung_up(self) -> Hangup:
        """Wait for the end of the channel, by whomever (a caller who gives up before the answer: cause 127)."""
        await self._ended.wait()
        assert self._hangup is not None
        return self._hangup

    async def entered(self) -> None:
        """Wait until it is in Stasis. Raises LegEnded if it ends before."""
        await self._in_stasis_or_ended.wait()
        if not self._in_stasis:
            raise self._ended_error()

    async def press(self, digits: str) -> None:
        """Send DTMF towards the far end: for a dialplan leg, what the dialplan takes for the caller's keys."""
        await self.noticing_the_end(self.channel.sendDTMF(dtmf=digits))

    async def noticing_the_end(self, request: Awaitable[T]) -> T:
        """Make a request about this channel; if the channel is gone, that is a LegEnded."""
        try:
            return await request
        except AriNotFound as error:
            if error.detail not in _CHANNEL_NOT_FOUND:
                raise  # a bridge or a variable
            self._end(Hangup.with_cause(UNKNOWN, "Channel not found"), exists=False)
            raise self._ended_error() from error
        except AriConflict as error:
            if self._hangup is None:
                raise
            raise self._ended_error() from error

    def take(self, event: Event) -> None:
        """Learn from an event."""
        match event.type:
            case events.STASIS_START:
                self._enter()
            case events.CHANNEL_PRESENT:
                if event.channel.get("state") == "Up":
                    self._enter()  # its StasisStart fell into the time without a connection
            case "ChannelHangupRequest":
                # With "soft", the cause is one of Asterisk's internal flags; the Q.850 cause comes with the next event.
                if not event.raw.get("soft"):
                    self._end(Hangup.with_cause(int(event.raw.get("cause", UNKNOWN))))
            case "StasisEnd":
                self._left_stasis()
            case "ChannelDestroyed":
                cause = int(event.raw.get("cause", UNKNOWN))
                self._end(Hangup.with_cause(cause, event.raw.get("cause_txt", "")), exists=False)
            case events.CHANNEL_GONE:
                self._end(Hangup.with_cause(UNKNOWN, "Gone while Asterisk was not connected"), exists=False)

    def _left_stasis(self) -> None:
        """StasisEnd: a ChannelDestroyed with the cause follows, unless somebody took the channel elsewhere."""

    def _enter(self) -> None:
        self._in_stasis = True
        self._in_stasis_or_ended.set()

    def _end(self, hangup: Hangup, *, exists: bool = True) -> None:
        self._exists = self._exists and exists
        if self._hangup is None:
            self._hangup = hangup
            self._ended.set()
            self._in_stasis_or_ended.set()

    def _ended_error(self) -> LegEnded:
        assert self._hangup is not None
        return LegEnded(f"{self._what} ended: {self._hangup}", self._hangup)

    async def close(self) -> None:
        """Hang the channel up, unless it is gone. Does not raise: there is nothing a caller could do about it."""
        if not self._exists:
            return
        try:
            await self.channel.hangup(reason_code=self.cause)
        except AriNotFound:
            logger.debug("%s was gone already", self._what)
        except AriError as error:
            logger.warning("%s could not be hung up, reconciling will do it: %s", self._what, error)
        self._exists = False


class DialplanLeg(Leg):
    """A call into the dialplan through a Local channel."""

    async def answered(self) -> None:
        """Wait for the dialplan's answer. Raises LegEnded with its cause if it hangs up instead."""
        await self.entered()


class IncomingLeg(Leg):
    """A channel that the dialplan sent to ``Stasis(app,...)``."""

    def __init__(self, client: AriClient, arrival: Arrival) -> None:
        super().__init__(client, arrival.channel_id, f"incoming channel {arrival.channel.get('name', '')}")
        caller = arrival.channel.get("caller", {})
        self.channel.json = dict(arrival.channel)
        self.args = arrival.args
        self.caller_number = str(caller.get("number", ""))
        self.caller_name = str(caller.get("name", ""))
        self._enter()

    async def ring(self) -> None:
        """Indicate ringing (SIP: 180). Raises LegEnded."""
        await self.noticing_the_end(self.channel.ring())

    async def progress(self) -> None:
        """Indicate early media (SIP: 183). Raises LegEnded."""
        await self.noticing_the_end(self.channel.progress())

    async def answer(self) -> None:
        """Answer (SIP: 200). Raises LegEnded."""
        await self.noticing_the_end(self.channel.answer())

    async def get_variable(self, name: str) -> str:
        """Read a channel variable or function; empty if there is none. Raises LegEnded."""
        try:
            return await self.noticing_the_end(self.channel.getChannelVar(variable=name))
        except AriNotFound:
            return ""

    async def continue_in_dialplan(self, variables: Mapping[str, str] | None = None) -> None:
        """Set variables and give the channel back to the dialplan, after its Stasis() line. Raises LegEnded."""
        for name, value in (variables or {}).items():
            await self.noticing_the_end(self.channel.setChannelVar(variable=name, value=value))
        await self.noticing_the_end(self.channel.continueInDialplan())
        self._exists = False  # for us: it is the dialplan's again

    def _left_stasis(self) -> None:
        self._end(Hangup.with_cause(NORMAL_CLEARING), exists=False)


@asynccontextmanager
async def dialplan_leg(
    client: AriClient,
    *,
    extension: str,
    context: str,
    caller_id: CallerId,
    variables: Mapping[str, str] | None = None,
    formats: str = "opus",
) -> AsyncIterator[DialplanLeg]:
    """Call ``extension`` in ``context`` as ``caller_id``.

    ``variables`` are set on the dialplan's channel: ``__NAME`` for one that its children inherit. Raises AriError if
    the call cannot be placed, ValueError for an extension or context that would not stay one.
    """
    for value in (extension, context):
        if not value or not value.isprintable() or _FORBIDDEN_IN_EXTENSION & set(value) or " " in value:
            raise ValueError(
                f"{value!r} can be no extension or context: it holds a character with a meaning in Asterisk"
            )
    leg = DialplanLeg(client, client.new_id(), f"dialplan leg to {extension}@{context}")
    opening = client.channels.originate(
        endpoint=f"Local/{extension}@{context}/n",
        app=client.app,
        callerId=str(caller_id),
        timeout=NO_DIAL_TIMEOUT,
        variables=variables or {},
        channelId=leg.id,
        otherChannelId=leg.id + FAR_SUFFIX,
        formats=formats,
    )
    async with opened(client, leg, opening):
        yield leg


@asynccontextmanager
async def incoming_leg(client: AriClient, arrival: Arrival) -> AsyncIterator[IncomingLeg]:
    """Take over a channel that arrived; leaving hangs it up, unless it was given back to the dialplan."""
    leg = IncomingLeg(client, arrival)
    with client.events.attached(leg.id, leg.take):
        client.events.claim(arrival, leg.take)
        try:
            yield leg
        finally:
            await client.run_to_end(leg.close())


@asynccontextmanager
async def opened(client: AriClient, leg: Leg, opening: Coroutine[Any, Any, Channel]) -> AsyncIterator[None]:
    """Open a leg's channel, and close it. Events count from before the request, so that none is lost."""
    with client.events.attached(leg.id, leg.take):
        outcome = client.start(opening)
        try:
            leg.channel.json = (await asyncio.shield(outcome)).json
            client.events.saw(leg.id)
            yield
        finally:
            await client.run_to_end(_close_after(leg, outcome))


async def _close_after(leg: Leg, outcome: asyncio.Future[Channel]) -> None:
    """Close after the opening request, which a cancelled caller leaves behind: a hangup must not overtake it."""
    await asyncio.wait([outcome])
    error = outcome.exception()
    if error is None or isinstance(error, (AriTimeout, AriUnreachable)):  # these may have been carried out
        await leg.close()
