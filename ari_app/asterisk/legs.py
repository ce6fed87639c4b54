"""The legs of a call: channels that are opened, watched and closed as async context managers.

However a leg's block is left, its channel is hung up once, with ``leg.cause``; a channel that is gone already is no
error. The closing is waited for no longer than ``CLOSE_WAIT_S``, and runs to its end by itself; what could not be hung
up is left to ``bridging.reconciling``.

A leg whose channel is transferred goes on with the channel in its place (Asterisk puts that one into the bridge).
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ari_app.asterisk import events
from ari_app.asterisk.ari import FAR_SUFFIX, AriClient
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import AriConflict, AriError, AriNotFound, AriTimeout, LegEnded, was_refused
from ari_app.asterisk.events import Event, StasisStart
from ari_app.asterisk.hangup import NETWORK_OUT_OF_ORDER, NORMAL_CLEARING, UNKNOWN, Hangup
from ari_app.asterisk.resources import Channel

logger = logging.getLogger(__name__)

GIVES_UP_LATER_S = 5.0
"""So much later than this program, Asterisk gives up a dialplan leg that nobody has answered: this one was killed then.
ARI's own default, 30 s, would cut short what is the dialplan's business."""
GIVE_BACK_TIMEOUT_S = 2.0
"""For giving a channel back to the dialplan, which takes some requests; each may stall."""
MOVE_S = 2.0
"""For Asterisk to move a channel to another application, which takes a millisecond."""
TELL_S = 1.0
"""For setting what is known of a call, a millisecond or two for each variable; a call does not wait for longer."""
LEFT_GRACE_S = 1.0
"""Between a channel's leaving Stasis and its end, if it ends. One that was redirected goes on elsewhere."""
NEAR_HALF, FAR_HALF = ";1", ";2"
"""How the names of a Local channel's halves end; the application has the first one, the dialplan the other."""
NEWS_S = 0.5
"""For the event that tells why a request about a channel was refused; it may come later than the answer."""
_CHANNEL_NOT_FOUND = frozenset({"Channel not found", "Provided channel was not found"})
_FORBIDDEN_IN_EXTENSION = frozenset("@/&|,;")

T = TypeVar("T")
WayBack = tuple[str, str, int]
"""Context, extension and priority in the dialplan."""


@dataclass(frozen=True)
class PbxChannel:
    """A channel as AMI's events have it: its name, its Uniqueid, and the Linkedid of all that came of one call."""

    name: str
    uniqueid: str
    linkedid: str


class Leg:
    """One channel of a call, from the side of the application. ``cause`` is the Q.850 cause it will be hung up with."""

    def __init__(self, client: AriClient, channel_id: str, what: str) -> None:
        self.channel: Channel = client.channel(channel_id)
        self.cause = NORMAL_CLEARING
        self.linkedid = ""
        """CHANNEL(linkedid), once it is known; a transfer may bring another one."""
        self._client = client
        self._app = client.app
        self._what = what
        self._in_stasis = False
        self._hangup: Hangup | None = None
        self._exists = True
        self._leaving: asyncio.TimerHandle | None = None
        self._transfers = asyncio.Queue[Channel]()
        self._in_stasis_or_ended = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended_or_transferred = asyncio.Event()

    def __repr__(self) -> str:
        fate = f"ended: {self._hangup}" if self._hangup else "in Stasis" if self._in_stasis else "not in Stasis yet"
        return f"<{self._what}, {self.id}, {fate}>"

    @property
    def id(self) -> str:
        """The channel's id."""
        return self.channel.id

    @property
    def machine(self) -> str:
        """Of a cluster, the one whose Asterisk has it; empty: ours."""
        return self._client.machine

    @property
    def pbx_channel(self) -> PbxChannel:
        """The channel that the dialplan has."""
        return PbxChannel(str(self.channel.name), self.id, self.linkedid)

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

    async def transferred(self) -> Channel:
        """Wait for the next transfer; the channel that has taken its place."""
        return await self._transfers.get()

    async def press(self, digits: str) -> None:
        """Send DTMF towards the far end: for a dialplan leg, what the dialplan takes for the caller's keys."""
        await self.noticing_the_end(lambda channel: channel.sendDTMF(dtmf=digits))

    async def get_variable(self, name: str) -> str:
        """Read a channel variable or function; empty if there is none. Raises LegEnded."""
        try:
            return await self.noticing_the_end(lambda channel: channel.getChannelVar(variable=name))
        except AriNotFound:
            return ""

    async def learn_linkedid(self) -> None:
        """Ask for CHANNEL(linkedid). Raises LegEnded, AriError."""
        self.linkedid = await self.get_variable("CHANNEL(linkedid)")

    async def noticing_the_end(self, request: Callable[[Channel], Awaitable[T]]) -> T:
        """Make a request about this channel; if the channel is gone, that is a LegEnded.

        If it was transferred meanwhile, the request is made about the channel in its place.
        """
        while True:
            channel = self.channel
            try:
                return await request(channel)
            except AriNotFound as error:
                if error.detail not in _CHANNEL_NOT_FOUND:
                    raise  # a bridge or a variable
                if await self._replaced(channel):
                    continue
                self._end(Hangup.with_cause(UNKNOWN, "Channel not found"), exists=channel is not self.channel)
                raise self._ended_error() from error
            except AriConflict as error:
                if await self._replaced(channel):
                    continue
                if self._hangup is None:
                    raise
                raise self._ended_error() from error

    async def _replaced(self, channel: Channel) -> bool:
        """Whether another channel is in its place; waits until that or the end is told, ``NEWS_S`` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(NEWS_S):
                while channel is self.channel and self._hangup is None:
                    self._ended_or_transferred.clear()
                    await self._ended_or_transferred.wait()
        return channel is not self.channel and self._hangup is None

    def take(self, event: Event) -> None:
        """Learn from an event."""
        match event.type:
            case events.STASIS_START:
                self._enter()
            case events.CHANNEL_PRESENT:
                present = self._client.channel(self.id, dict(event.channel))
                if present.stasis_app not in (self._app, *self._client.apps, None):
                    if self._in_stasis:
                        self._left_stasis()
                elif present.state == "Up":
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
                # Nobody knows why; a caller on Telegram must not be told that they were declined.
                cause_text = "Gone while Asterisk was not connected"
                self._end(Hangup.with_cause(NETWORK_OUT_OF_ORDER, cause_text), exists=False)
            case events.CHANNEL_REPLACED:
                self._replaced_by(event)

    def _left_stasis(self) -> None:
        """StasisEnd: a ChannelDestroyed with the cause follows, unless somebody took the channel elsewhere."""
        self._leaving = asyncio.get_running_loop().call_later(LEFT_GRACE_S, self._taken_elsewhere)

    def _taken_elsewhere(self) -> None:
        self._end(Hangup.with_cause(NORMAL_CLEARING, "Taken out of the call"), exists=False)

    def _replaced_by(self, event: Event) -> None:
        transferred, self.channel = self.channel, self._client.channel(event.channel_id, dict(event.channel))
        logger.info("%s was transferred: %s is in its place", self._what, self.channel.name)
        self._ended_or_transferred.set()
        self._client.let_go(transferred.id)
        self._transfers.put_nowait(self.channel)

    def _enter(self) -> None:
        self._in_stasis = True
        self._in_stasis_or_ended.set()

    def _end(self, hangup: Hangup, *, exists: bool = True) -> None:
        self._exists = self._exists and exists
        if self._leaving:
            self._leaving.cancel()
        if self._hangup is None:
            self._hangup = hangup
            self._ended.set()
            self._ended_or_transferred.set()
            self._in_stasis_or_ended.set()

    def _ended_error(self) -> LegEnded:
        assert self._hangup is not None
        return LegEnded(f"{self._what} ended: {self._hangup}", self._hangup)

    async def close(self) -> None:
        """Hang the channel up, unless it is gone. Does not raise: there is nothing a caller could do about it."""
        if self._leaving:
            self._leaving.cancel()
        while self._exists:
            channel = self.channel
            try:
                await channel.hangup(reason_code=self.cause)
            except AriNotFound:
                logger.debug("%s was gone already", self._what)
            except AriError as error:
                logger.warning("%s could not be hung up; it is tried again: %s", self._what, error)
                self._client.not_closed(channel.id, self.cause)
            except BaseException:
                self._client.not_closed(channel.id, self.cause)
                raise
            self._exists = self._exists and channel is not self.channel  # else it was transferred meanwhile


class DialplanLeg(Leg):
    """A call into the dialplan through a Local channel."""

    @property
    def pbx_channel(self) -> PbxChannel:
        """The other half of the Local channel, while this one has not been transferred."""
        near = super().pbx_channel
        if not near.name.endswith(NEAR_HALF) or not self._client.owns(self.id):
            return near
        return PbxChannel(near.name.removesuffix(NEAR_HALF) + FAR_HALF, self.id + FAR_SUFFIX, near.linkedid)

    async def answered(self) -> None:
        """Wait for the dialplan's answer. Raises LegEnded with its cause if it hangs up instead."""
        await self.entered()


class IncomingLeg(Leg):
    """A channel that the dialplan sent to ``Stasis(app,...)``.

    ``way_back`` is where it goes on in the dialplan; where it was ``transferred_away``, Asterisk has another idea: the
    channel in its place would call whom it was transferred to again.
    """

    def __init__(self, client: AriClient, channel: Mapping[str, Any], args: Sequence[str] = (), app: str = "") -> None:
        super().__init__(client, str(channel["id"]), f"incoming channel {channel.get('name', '')}")
        self._app = app or self._app
        caller = channel.get("caller", {})
        self.channel.json = dict(channel)
        self.args = args
        self.caller_number = str(caller.get("number", ""))
        self.caller_name = str(caller.get("name", ""))
        its = channel.get("dialplan", {})
        self.way_back: WayBack | None = (its["context"], its["exten"], its["priority"] + 1) if its else None
        self.transferred_away = False
        self._moving: asyncio.Future[bool] | None = None
        self._told: dict[str, str] = {}
        self._enter()

    async def ring(self) -> None:
        """Indicate ringing (SIP: 180). Raises LegEnded."""
        await self.noticing_the_end(Channel.ring)

    async def answer(self) -> None:
        """Answer (SIP: 200). Raises LegEnded."""
        await self.noticing_the_end(Channel.answer)

    async def set_variable(self, name: str, value: str) -> None:
        """Set a channel variable or function. Raises LegEnded."""
        await self.noticing_the_end(lambda channel: channel.setChannelVar(variable=name, value=value))

    async def tell(self, variables: Mapping[str, str]) -> None:
        """Set those of these channel variables that are not empty nor set already. Raises LegEnded, AriError.

        AriTimeout after ``TELL_S`` at the latest.
        """
        try:
            async with asyncio.timeout(TELL_S):
                for name, value in variables.items():
                    if value and self._told.get(name) != value:
                        await self.set_variable(name, value)
                        self._told[name] = value
        except TimeoutError:
            raise AriTimeout(f"{self._what}: its variables were not set within {TELL_S:g} s") from None

    async def set_variables(self, variables: Mapping[str, str]) -> None:
        """Set several, in their order. Raises LegEnded."""
        for name, value in variables.items():
            await self.set_variable(name, value)

    async def continue_in_dialplan(self, variables: Mapping[str, str] | None = None) -> None:
        """Set variables and give the channel back to the dialplan, after its Stasis() line.

        Raises LegEnded, AriError; AriTimeout after ``GIVE_BACK_TIMEOUT_S`` at the latest.
        """
        try:
            async with asyncio.timeout(GIVE_BACK_TIMEOUT_S):
                await self.set_variables(variables or {})
                await self.noticing_the_end(lambda channel: channel.continueInDialplan(**self._way_back()))
        except TimeoutError:
            raise AriTimeout(
                f"{self._what} was not given back to the dialplan within {GIVE_BACK_TIMEOUT_S:g} s"
            ) from None
        self._exists = False  # for us: it is the dialplan's again

    async def move(self, app: str) -> None:
        """Hand it to another application of this Asterisk, with its arguments.

        Asterisk answers before it does so. Raises LegEnded, AriError; AriTimeout after ``MOVE_S`` at the latest.
        """
        self._moving = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(MOVE_S):
                await self.noticing_the_end(lambda channel: channel.move(app=app, appArgs=",".join(self.args)))
                moved = await self._moving
        except TimeoutError:
            raise AriTimeout(f"{self._what} was not moved to {app} within {MOVE_S:g} s") from None
        finally:
            self._moving = None
        if not moved:
            raise self._ended_error() if self._hangup else AriConflict(f"Asterisk has no application {app} now")
        self._exists = False  # for us: it is the other application's

    def take(self, event: Event) -> None:
        """Learn from an event."""
        if event.type == "ApplicationMoveFailed":
            self._moved(done=False)
        super().take(event)

    def _moved(self, *, done: bool) -> None:
        if self._moving and not self._moving.done():
            self._moving.set_result(done)

    def _way_back(self) -> dict[str, Any]:
        if not (self.transferred_away and self.way_back):
            return {}
        return dict(zip(("context", "extension", "priority"), self.way_back, strict=True))

    def _replaced_by(self, event: Event) -> None:
        super()._replaced_by(event)
        self.transferred_away = True
        self._told.clear()

    def _left_stasis(self) -> None:
        self._moved(done=self._hangup is None)
        if self.transferred_away:
            super()._left_stasis()  # it is no phone that went back to its dialplan: its cause follows
        else:
            self._end(Hangup.with_cause(NORMAL_CLEARING), exists=False)


ENDPOINT = re.compile(r"(PJSIP|SIP|IAX2|DAHDI|SCCP)/[A-Za-z0-9_.+-]+")
"""A phone by its technology. Other channels are no phones, and a name has nothing behind it (``@``, ``/``) that would
have the PBX call somewhere else."""


def is_extension(value: str) -> bool:
    """Whether it can be an extension, or a context, of a Local channel, and nothing else."""
    return bool(value) and value.isprintable() and not {*_FORBIDDEN_IN_EXTENSION, " "} & set(value)


@asynccontextmanager
async def dialplan_leg(
    client: AriClient,
    *,
    extension: str,
    context: str,
    caller_id: CallerId,
    variables: Mapping[str, str] | None = None,
    formats: str = "opus",
    channel_id: str = "",
    ring_s: float | None = None,
) -> AsyncIterator[DialplanLeg]:
    """Call ``extension`` in ``context`` as ``caller_id``; without a context, an `ENDPOINT`, past the dialplan.

    ``channel_id`` is a `new_id` of the client's, where somebody is to know it before; ``ring_s`` how long its answer is
    waited for, without an end where it is None. ``variables`` are set on the
    dialplan's channel: ``__NAME`` for one that its children inherit. Raises AriError if the call cannot be placed,
    ValueError for an extension or context that would not stay one.
    """
    dialled = name = extension
    if context or not ENDPOINT.fullmatch(extension):
        for value in (extension, context):
            if not is_extension(value):
                raise ValueError(
                    f"{value!r} can be no extension or context: it holds a character with a meaning in Asterisk"
                )
        name = f"{extension}@{context}"
        dialled = f"Local/{name}/n"
    leg = DialplanLeg(client, channel_id or client.new_id(), f"dialplan leg to {name}")
    leg.linkedid = leg.id  # a channel of ARI's begins a call of its own
    opening = client.channels.originate(
        endpoint=dialled,
        app=client.app,
        callerId=str(caller_id),
        timeout=-1 if ring_s is None else math.ceil(ring_s + GIVES_UP_LATER_S),
        variables=variables or {},
        channelId=leg.id,
        otherChannelId=leg.id + FAR_SUFFIX if context else None,
        formats=formats,
    )
    async with opened(client, leg, opening):
        yield leg


@asynccontextmanager
async def incoming_leg(client: AriClient, start: StasisStart) -> AsyncIterator[IncomingLeg]:
    """Take over a channel that arrived; leaving hangs it up, unless it was given back to the dialplan."""
    leg = IncomingLeg(client, start.channel, start.args)
    with client.events.attached(leg.id, leg.take):
        client.events.claim(start, leg.take)
        try:
            yield leg
        finally:
            await client.close(leg.close(), repr(leg))


@asynccontextmanager
async def adopted_dialplan_leg(client: AriClient, channel_id: str) -> AsyncIterator[DialplanLeg]:
    """As `dialplan_leg`, for the living channel of an earlier run of this program.

    Raises AriNotFound where it is gone, AriError.
    """
    leg = DialplanLeg(client, channel_id, f"dialplan leg {channel_id}")
    async with adopted(client, leg):
        yield leg


@asynccontextmanager
async def adopted_incoming_leg(
    client: AriClient, channel_id: str, transferred_from: WayBack | None = None, app: str = ""
) -> AsyncIterator[IncomingLeg]:
    """As `incoming_leg`, for a living channel that arrived at an earlier run of this program.

    ``transferred_from``: the way back of the channel whose place it has taken. ``app``: the application that it arrived
    at, if that had another name; its events go there. Raises AriNotFound where it is gone, AriError.
    """
    leg = IncomingLeg(client, (await client.channels.get(channelId=channel_id)).json, app=app)
    if transferred_from:
        leg.way_back, leg.transferred_away = transferred_from, True
    async with adopted(client, leg):
        yield leg


@asynccontextmanager
async def adopted(client: AriClient, leg: Leg) -> AsyncIterator[None]:
    """Take over a leg's living channel, and close it. Events count from before the request, so that none is lost."""
    with client.events.attached(leg.id, leg.take):
        leg.channel.json = (await client.channels.get(channelId=leg.id)).json
        client.events.saw(leg.id)
        leg.take(Event(events.CHANNEL_PRESENT, {"channel": leg.channel.json}))
        try:
            yield
        finally:
            await client.close(leg.close(), repr(leg))


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
            await client.close(_close_after(leg, outcome), repr(leg))


async def _close_after(leg: Leg, outcome: asyncio.Future[Channel]) -> None:
    """Close after the opening request, which a cancelled caller leaves behind: a hangup must not overtake it."""
    await asyncio.wait([outcome])
    if not was_refused(outcome):
        await leg.close()
