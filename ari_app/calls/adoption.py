"""A call that an earlier run of the program has left: its parts are adopted, and it goes on, or is ended on both sides.

Telegram is asked what has become of the call as soon as its line is connected (`Phone.adopted`): the talk, whose sound
needs neither this program nor that connection, does not wait for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TypeVar

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import adopted_bridge
from ari_app.asterisk.errors import AriError, AriNotFound, best_effort
from ari_app.asterisk.external_media import ExternalMediaLeg, adopted_media_leg
from ari_app.asterisk.legs import IncomingLeg, Leg, adopted_dialplan_leg, adopted_incoming_leg
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.asterisk.resources import Bridge, Channel
from ari_app.calls import outcome
from ari_app.calls.audio import audio_lost, pass_signalling, transferred, watch_asterisk
from ari_app.calls.away import asterisk_away
from ari_app.calls.cdr import OutgoingRow
from ari_app.calls.conversation import (
    attach_leg,
    converse,
    discard_with_the_call,
    ended_in_asterisk,
    ended_on_telegram,
)
from ari_app.calls.events import Resumed
from ari_app.calls.journalled import FORMAT, JournalledCall
from ari_app.calls.keypad import Keypads
from ari_app.calls.outbound import answer, return_to_dialplan
from ari_app.calls.outcome import Direction, Ending
from ari_app.calls.parts import LegPart
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.telegram.line import Line
from ari_app.telegram.phone import PhoneCall
from media.messages import VERSION
from media.process import MediaProcess
from media.types import MediaError

ASTERISK_S = 2.0
"""For Asterisk, before a call that did not talk yet is ended without it: who is called on Telegram must not ring on."""

REQUESTS_S = 10.0
"""For what Asterisk and the media process are asked, once Asterisk is there; it takes milliseconds."""

P = TypeVar("P")


class Adoption:
    """A call that was ``left``, and what there is of it; ``line`` is None where there is none any more.

    ``until`` (a Unix time) somebody was there to see it. ``adopted`` is called once it goes on.
    """

    def __init__(
        self,
        scope: CallScope,
        left: JournalledCall,
        until: float,
        line: Line | None,
        resources: CallResources,
        keypads: Keypads,
        adopted: Callable[[], None] = lambda: None,
    ) -> None:
        self._scope = scope
        self._call = scope.call
        self._left = left
        self._until = until
        self._line = line
        self._ari = resources.ari
        self._pool = resources.audio.pool
        self._away_s = resources.audio.away_s
        self._keypads = keypads
        self._goes_on = adopted
        self._troubles: list[str] = []  # why some of it is not there
        self._phone_call: PhoneCall | None = None
        self._audio: MediaProcess | None = None
        self._external: ExternalMediaLeg | None = None
        self._leg: Leg | None = None
        self._row: OutgoingRow | None = None
        self._leg_is_gone = False
        self._was_transferred = False

    async def run(self) -> None:
        """Handle the call until it is over. Its parts are adopted first, so that each is told, whatever ends it."""
        await self._scope.run(self._handle(), self._adopt(), self._away_s + REQUESTS_S)

    async def _adopt(self) -> None:
        await self._adopt_telegram()
        await self._adopt_process()
        await self._adopt_asterisk()

    async def _handle(self) -> None:
        call, its = self._call, self._left
        if call.ending:  # in the earlier run, or meanwhile
            return
        if ending := self._ending():
            call.end(ending)
            if (
                self._audio is None and its.progress.talking_at is not None
            ):  # they do not talk any more, since when ever
                call.talked_s = max(0.0, self._until - its.progress.talking_at)
        else:
            await self._go_on()

    async def _adopt_telegram(self) -> None:
        """Telegram's call, and the keypad in the caller's chat."""
        call, parts, line = self._call, self._call.parts, self._line
        if line is None:
            return self._lacks(f"there is no line {call.line}")
        if parts.keypad and call.person:
            await self._scope.enter(self._keypads.adopted(call, line, call.person, parts.keypad))
        if its := parts.telegram:
            its_door = line.adopted(its.peer_id, its.call_id, its.access_hash, its.date)
            self._phone_call = await self._scope.enter(its_door)
            discard_with_the_call(self._scope, self._phone_call)
        elif parts.asked_for is not None:
            line.was_asked_for(parts.asked_for)
        return None

    async def _adopt_process(self) -> None:
        """The media process; one that can't be talked to is ended."""
        call, its = self._call, self._call.parts.process
        if its is None:
            return
        if its.messages != VERSION:
            self._lacks(f"its media process has messages of version {its.messages}, and this program {VERSION}")
            return await self._pool.end_left(its.pid, its.started)
        self._audio = await self._adopted(self._pool.adopted(call.id, its.pid, Path(its.path), its.started))
        if self._audio is None:
            return await self._pool.end_left(its.pid, its.started)
        call.audio = self._audio
        try:
            its_transport = (await self._audio.stats()).transport
        except MediaError as error:
            self._lacks(str(error))
        else:
            if call.parts.audio and its_transport != call.parts.audio.transport:
                self._lacks(f"its media process has its audio over {its_transport}")
        return None

    async def _adopt_asterisk(self) -> None:
        """The channels and the bridge."""
        bridge, parts = None, self._call.parts
        try:
            async with asyncio.timeout(self._away_s if self._call.talking else ASTERISK_S):
                await self._ari.wait_state(ConnectionState.CONNECTED)
        except TimeoutError:
            return self._lacks("Asterisk was unreachable")
        if its := parts.audio:
            bridge = await self._adopted(adopted_bridge(self._ari, its.bridge_id))
            self._external = await self._adopted(adopted_media_leg(self._ari, its.channel_id))
            if bridge and its.channel_id not in bridge.channels:
                self._lacks("its media channel is not in its bridge")
        if parts.leg:
            await self._adopt_leg(parts.leg, bridge)
        return None

    async def _adopt_leg(self, its: LegPart, bridge: Bridge | None) -> None:
        """The PBX's channel, or the one in its place by a transfer that nobody was there to see."""
        others = set(bridge.channels) - set(self._call.parts.asterisk_ids) if bridge else set()
        channel_id, self._was_transferred = its.channel_id, False
        if bridge and channel_id not in bridge.channels and len(others) == 1:
            channel_id, self._was_transferred = others.pop(), True
        try:
            self._leg = leg = await self._scope.enter(_door(self._ari, its, channel_id, self._was_transferred))
        except AriNotFound:
            self._leg_is_gone = True
            return
        except AriError as error:
            return self._lacks(str(error))
        leg.linkedid = its.linkedid
        if isinstance(leg, IncomingLeg):
            self._row = row = OutgoingRow(leg, self._call)
            with best_effort(f"call {self._call.id}: its CDR"):
                await row.begin()
            self._scope.on_end(partial(return_to_dialplan, leg, row))
        else:
            attach_leg(self._scope, leg)
        if bridge and channel_id not in bridge.channels:
            self._lacks("its channel is not in its bridge")

    def _ending(self) -> Ending | None:
        """Why the call can't go on."""
        call = self._call
        if self._left.format != FORMAT:
            why = f"its record has format {self._left.format}, and this version reads {FORMAT}"
            return outcome.not_resumed(why, call.talking)
        if not call.talking:
            return outcome.left_before_talking()
        if self._leg_is_gone and not self._troubles:
            return outcome.pbx_hung_up_meanwhile()
        if self._phone_call and self._audio and self._external and self._leg and not self._troubles:
            return None
        return outcome.not_resumed("; ".join(self._troubles) or "its record does not name all its parts", call.talking)

    async def _go_on(self) -> None:
        """Let both sides talk until the call is over."""
        scope, call, phone_call, audio, leg = self._scope, self._call, self._phone_call, self._audio, self._leg
        assert phone_call
        assert audio
        assert leg
        assert self._external
        assert call.parts.audio
        scope.end_when(ended_on_telegram(call, phone_call))
        scope.end_when(audio_lost(call, audio))
        scope.end_when(ended_in_asterisk(call, leg))
        scope.end_when(asterisk_away(call, self._ari, self._away_s))
        watch_asterisk(scope, leg, self._external, call.parts.audio.from_asterisk)
        pass_signalling(scope, phone_call, audio)
        call.dtmf.open(phone_call.date)
        call.add_event(Resumed())
        self._goes_on()
        if self._was_transferred:
            await transferred(call, leg)
        await self._finish_connecting(leg)
        await converse(scope, leg, audio)

    async def _finish_connecting(self, leg: Leg) -> None:
        """What the earlier run may not have come to, between the audio's being connected and telling the PBX."""
        if isinstance(leg, IncomingLeg) and self._row and leg.channel.state != "Up":
            await answer(leg, self._row)
        elif self._call.direction is Direction.BACK:
            with best_effort(f"end of ringing of channel {leg.id}"):
                await leg.noticing_the_end(Channel.ringStop)

    async def _adopted(self, door: AbstractAsyncContextManager[P]) -> P | None:
        try:
            return await self._scope.enter(door)
        except (AriError, MediaError) as error:
            self._lacks(str(error))
            return None

    def _lacks(self, why: str) -> None:
        self._troubles.append(why)


def _door(ari: AriClient, its: LegPart, channel_id: str, was_transferred: bool) -> AbstractAsyncContextManager[Leg]:
    if its.kind == "dialplan":
        return adopted_dialplan_leg(ari, channel_id)
    return adopted_incoming_leg(ari, channel_id, its.way_back if was_transferred or its.transferred_away else None)
