"""A call that an earlier run of the program has left: its parts are adopted, and it goes on, or is ended on both sides.

Telegram is asked what has become of the call as soon as its line is connected (`Phone.adopted`): the talk, whose sound
needs neither this program nor that connection, does not wait for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ari_app.asterisk.errors import best_effort
from ari_app.asterisk.legs import IncomingLeg, Leg
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.asterisk.resources import Channel
from ari_app.backoff import Backoff
from ari_app.calls import outcome
from ari_app.calls.adopted_asterisk import PASSING, AsteriskAdoption
from ari_app.calls.audio import audio_lost, pass_signalling, transferred, watch_asterisk
from ari_app.calls.away import asterisk_away
from ari_app.calls.conversation import (
    converse,
    discard_with_the_call,
    ended_in_asterisk,
    ended_on_telegram,
)
from ari_app.calls.events import Resumed
from ari_app.calls.journalled import JournalledCall
from ari_app.calls.keypad import Keypads
from ari_app.calls.outbound import answer
from ari_app.calls.outcome import Direction, Ending
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.cluster.claims import Claims
from ari_app.telegram.line import Line
from ari_app.telegram.phone import PhoneCall
from media.messages import VERSION
from media.process import MediaProcess
from media.types import MediaError

ASTERISK_S = 2.0
"""For Asterisk, before a call that did not talk yet is ended without it: who is called on Telegram must not ring on.
Who talks does not wait for it: `_wait_for_asterisk`."""

REQUESTS_S = 10.0
"""For what Asterisk and the media process are asked, once Asterisk is there; it takes milliseconds."""

TRIES, AGAIN = 4, Backoff(first_s=0.5, last_s=4.0)
"""Where Asterisk is there, and does not do what it is asked for."""


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
        claims: Claims,
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
        self._claims = claims
        self._goes_on = adopted
        self._troubles: list[str] = []  # why some of it is not there
        self._phone_call: PhoneCall | None = None
        self._audio: MediaProcess | None = None
        self._login = resources.audio.login
        app = resources.ari.apps[-1] if resources.ari.machine else left.app
        self._asterisk = AsteriskAdoption(scope, resources.ari, app)

    async def run(self) -> None:
        """Handle the call until it is over. Its parts are adopted first, so that each is told, whatever ends it."""
        await self._scope.run(self._handle(), self._adopt(), ASTERISK_S + REQUESTS_S)

    async def _adopt(self) -> None:
        await self._adopt_telegram()
        await self._adopt_process()
        await self._adopt_asterisk()

    async def _handle(self) -> None:
        call, its = self._call, self._left
        if call.ending:  # in the earlier run, or meanwhile
            return
        if self._could_talk():
            self._watch()
            if not self._asterisk.done:
                await self._wait_for_asterisk()
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
            may_be_taken = call.direction is Direction.IN and not call.talking
            if may_be_taken and not await self._claims.is_ours(line.number, its.call_id):
                return self._lacks("another machine answers it")
            its_door = line.adopted(its.peer_id, its.call_id, its.access_hash, its.date)
            self._phone_call = await self._scope.enter(its_door)
            discard_with_the_call(self._scope, self._phone_call)
        elif parts.asked_for is not None:
            line.was_asked_for(parts.asked_for)
        return None

    async def _adopt_process(self) -> None:
        """The media process; one that can't be talked to is ended after its call, which it would hang up."""
        call, its = self._call, self._call.parts.process
        if its is None:
            return
        if its.messages != VERSION:
            self._lacks(f"its media process has messages of version {its.messages}, and this program {VERSION}")
            return await self._scope.enter(self._pool.left_alone(its.pid, its.started))
        try:
            process = self._pool.adopted(call.id, its.pid, Path(its.path), its.started, self._login)
            self._audio = await self._scope.enter(process)
        except MediaError as error:
            self._lacks(str(error))
            return await self._scope.enter(self._pool.left_alone(its.pid, its.started))
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
        """The channels and the bridge; where Asterisk is away, this is left to `_wait_for_asterisk`."""
        with suppress(TimeoutError, *PASSING):
            async with asyncio.timeout(ASTERISK_S):
                await self._ari.wait_state(ConnectionState.CONNECTED)
            await self._asterisk.run()

    async def _wait_for_asterisk(self) -> None:
        """Both sides talk on meanwhile, as if Asterisk went away from any other call."""
        self._goes_on()
        failures = 0
        while not self._asterisk.done:
            await self._ari.wait_state(ConnectionState.CONNECTED)
            try:
                await self._asterisk.run()
            except PASSING as error:
                failures += 1
                if failures > TRIES:
                    return self._lacks(str(error))
                await asyncio.sleep(AGAIN.pause_s(failures))
        return None

    def _ending(self) -> Ending | None:
        """Why the call can't go on."""
        call, its = self._call, self._asterisk
        if self._left.trouble:
            return outcome.not_resumed(self._left.trouble, call.talking)
        if not call.talking:
            return outcome.left_before_talking()
        troubles = self._troubles + its.troubles
        if its.leg_is_gone and not troubles:
            return outcome.pbx_hung_up_meanwhile()
        if self._could_talk() and its.external and its.leg and not troubles:
            return None
        if not its.done:
            troubles.append("Asterisk was unreachable")
        return outcome.not_resumed("; ".join(troubles) or "its record does not name all its parts", call.talking)

    def _could_talk(self) -> bool:
        """Whether there is all of it outside Asterisk."""
        talks = self._call.talking and not self._left.trouble
        return bool(talks and self._phone_call and self._audio and not self._troubles)

    def _watch(self) -> None:
        """What ends it, wherever else it still lacks something."""
        scope, call, phone_call, audio = self._scope, self._call, self._phone_call, self._audio
        assert phone_call
        assert audio
        scope.end_when(ended_on_telegram(call, phone_call))
        scope.end_when(audio_lost(call, audio))
        scope.end_when(asterisk_away(call, self._ari, self._away_s))
        pass_signalling(scope, phone_call, audio)

    async def _go_on(self) -> None:
        """Let both sides talk until the call is over."""
        scope, call, phone_call, audio = self._scope, self._call, self._phone_call, self._audio
        leg, external = self._asterisk.leg, self._asterisk.external
        assert phone_call
        assert audio
        assert leg
        assert external
        assert call.parts.audio
        scope.end_when(ended_in_asterisk(call, leg))
        watch_asterisk(scope, leg, external, call.parts.audio.from_asterisk)
        call.dtmf.open(phone_call.date)
        call.add_event(Resumed())
        self._goes_on()
        if self._asterisk.was_transferred:
            await transferred(call, leg)
        await self._finish_connecting(leg)
        await converse(scope, leg, audio)

    async def _finish_connecting(self, leg: Leg) -> None:
        """What the earlier run may not have come to, between the audio's being connected and telling the PBX."""
        if isinstance(leg, IncomingLeg) and (row := self._asterisk.row) and leg.channel.state != "Up":
            await answer(leg, row)
        elif self._call.direction is Direction.BACK:
            with best_effort(f"end of ringing of channel {leg.id}"):
                await leg.noticing_the_end(Channel.ringStop)

    def _lacks(self, why: str) -> None:
        self._troubles.append(why)
