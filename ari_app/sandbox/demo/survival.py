"""The demo's third part: Astergram is killed while a person and a phone talk, and they do not hear it."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ari_app.sandbox.delay import HELLO_S, PAUSE_S, Timeline, Watch, delay_ms, lost_ms, talk_begins, watched
from ari_app.sandbox.demo.report import HeardTone, Report, Side, SurvivedCall
from ari_app.sandbox.demo.scenario import CODEC_IN, PERSON_HZ, PHONE, PHONE_HZ, Cast, Scenario
from ari_app.sandbox.demo.show import Show
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.sandbox.supervisor import RESTART_S, Supervisor
from ari_app.sandbox.tones import longest_gap_ms, measure

BEFORE_S, AFTER_S = 2.0, 2.5
"""Of talk: long enough for two marks, to measure the delay by."""
KEY = "5"
LOST_LEAST_MS = 40
"""Two packets. Jitter buffers leave out less of a talk than that, one period of the tone at a time: nobody hears it."""


@dataclass(frozen=True)
class Way:
    """One direction of the call: the tone that was ``said``, and the ``recording`` of what was heard of it."""

    hz: float
    spoken: Timeline
    said: Path
    heard: Timeline
    recording: Path

    def tone(self, since: float, until: float) -> HeardTone:
        """What was heard between two moments."""
        begins_s = max(talk_begins(self.recording), self.heard.position(since) if math.isfinite(since) else 0.0)
        found = measure(self.recording, begins_s, self.heard.position(until))
        delay = delay_ms(self.spoken, self.said, self.heard, self.recording, since, until)
        return HeardTone.of(self.hz, found.hz, found.level_dbfs, found.gaps, delay)

    def gap_ms(self, killed_at: float, resumed_at: float, until: float) -> int:
        """The longest silence in a talk, or what is not there of it after a kill, whichever is longer."""
        silence = longest_gap_ms(self.recording, talk_begins(self.recording), self.heard.position(until))
        before_s, after_s = self.heard.position(killed_at), self.heard.position(resumed_at)
        lost = lost_ms(self.said, self.recording, before_s, after_s) or 0
        return max(silence or 0, lost if lost >= LOST_LEAST_MS else 0)


class SurvivalScenario(Scenario):
    """One call over one transport; its program is started again by a supervisor."""

    margin_s = 60.0  # a busy machine may take long to start a program

    def __init__(self, cast: Cast, supervisor: Supervisor, transport: str, show: Show, report: Report) -> None:
        super().__init__(cast, supervisor, transport, BEFORE_S, show, report)
        self._supervisor = supervisor
        self._anna_says = self._folder / "talks" / "anna-survives.wav"
        self._phone_says = self._folder / "talks" / "phone-survives.wav"

    async def play(self) -> None:
        """The call. Raises ProgramEnded where Astergram ends by itself."""
        await asyncio.to_thread(self._prepare)
        name = f"survives-{self._transport}"
        call = SurvivedCall(name, "in", self._transport, CODEC_IN, expected="ANSWER", talk=True)
        self._report.calls.append(call)
        await self._attempt(call, self._survives(call))

    async def _survives(self, call: SurvivedCall) -> None:
        anna, supervisor = self._cast.anna, self._supervisor
        async with self._phone(call) as phone:
            on_telegram = await anna.call(LINE)
            keypad = await anna.keypad(LINE)
            await phone.incoming()
            answered = time.monotonic()
            await phone.answer()
            await on_telegram.confirm(self._anna_says, self._recording(call, "anna"))
            call.setup_ms = round((time.monotonic() - answered) * 1000)
            await supervisor.call_talks()
            self._step(call, "connected", f"Anna ({ANNA}) calls the line {LINE}, and talks with phone {PHONE}")
            assert on_telegram.audio is not None
            async with watched(on_telegram.audio, phone.run_dir / "heard") as watch:
                await self._show.talk("Anna and the phone talk", HELLO_S + PAUSE_S + BEFORE_S)
                self._step(call, "killed", f"Astergram (process {supervisor.program.pid}) is killed (SIGKILL)")
                killed_at = time.monotonic()
                next_one = await supervisor.kill()
                self._step(
                    call,
                    "restarted",
                    f"{RESTART_S:g} s later its supervisor has started it again (process {next_one.pid}); it is ready "
                    f"after {next_one.ready_ms} ms",
                )
                await next_one.resumed()
                resumed_at = time.monotonic()
                self._step(call, "resumed", f"it has their call {next_one.resumed_ms[0]} ms after its start")
                await self._show.talk("Anna and the phone talk on", AFTER_S)
                pressed_at = time.monotonic()
                await keypad.click(text=KEY)
                key = (await phone.wait_for("CALL_DTMF_START")).parameter
                if key != KEY:
                    call.failures.append(f"phone {PHONE} heard the key {key}, and {KEY} was pressed")
                self._step(call, "presses", f"Anna presses {KEY} on her keypad, and phone {PHONE} hears {key}")
            await on_telegram.hang_up(duration_s=round(pressed_at - answered))
            await phone.closed()
            await anna.sees(LINE, lambda messages: not any(each.buttons for each in messages))
            self._step(call, "ends", f"Anna hangs up, phone {PHONE} hears it, and the keypad is gone")
            await on_telegram.close_audio()
            await self._status(call)
            await asyncio.to_thread(self._listen, call, phone, watch, (killed_at, resumed_at, pressed_at))
        problems = call.problems()
        said = f"neither heard it: the longest gap is {call.gap_ms} ms"
        self._show.step("survives", "; ".join(problems) or said, ok=not problems)

    def _listen(self, call: SurvivedCall, phone: SipPhone, watch: Watch, moments: tuple[float, float, float]) -> None:
        """What both have heard until the kill, and from when the next program had the call until a key was pressed."""
        killed_at, resumed_at, pressed_at = moments
        by_anna, by_phone = self._recording(call, "anna"), self._recording(call, "phone")
        shutil.copyfile(phone.recordings[-1], by_phone)
        said_by_phone = next((phone.run_dir / "heard").glob("dump-*-enc.wav"))
        ways: Mapping[Side, Way] = {
            "telegram": Way(PHONE_HZ, watch.phone_spoke, said_by_phone, watch.person_heard, by_anna),
            "phone": Way(PERSON_HZ, watch.person_spoke, self._anna_says, watch.phone_heard, by_phone),
        }
        call.heard = {side: way.tone(-math.inf, killed_at) for side, way in ways.items()}
        call.heard_after = {side: way.tone(resumed_at, pressed_at) for side, way in ways.items()}
        call.gap_ms = max(way.gap_ms(killed_at, resumed_at, pressed_at) for way in ways.values())
