"""Ten calls are up, in and out, when the controller is killed: the next one has them all, and nobody hears it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from ari_app.api_client import Api, program
from ari_app.config import load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.soak.talks import Talk
from ari_app.sandbox.stage import LINE, Stage, stage
from ari_app.sandbox.supervisor import supervised
from ari_app.sandbox.telegram.privacy import Audience
from ari_app.sandbox.tones import write_tone
from tests.e2e.conftest import WEBSOCKET, nothing_left_in
from tests.e2e.leftovers import left_in_asterisk
from tests.lateness import Lateness
from tests.survival.conftest import PATIENCE_S, has_no_gap

CALLERS = [f"+7999000001{number}" for number in range(5)]
CALLEES = [f"+7999000001{number}" for number in range(5, 10)]
DIALLING = ["101", "102", "103", "104", "105"]
"""Who dials the callees."""
ANSWERING = "106"
"""Who takes the first caller's call. The other callers talk to an echo, so that they hear both directions: ten phones
besides ten people, Asterisk and ten media processes are more than two cores carry."""
DIALPLAN = f"""\
[ten]
exten => _X.,1,GotoIf($["${{TELEGRAM_PHONE}}"="{CALLERS[0]}"]?phone)
 same => n,Answer()
 same => n,Echo()
 same => n(phone),Dial(PJSIP/{ANSWERING},30)
"""
LINES = ({"number": LINE, "context": "ten", "max_calls": 10},)
BEFORE_S, AFTER_S = 2.0, 2.0
LONGEST_S = 120.0
"""Of a tone: longer than ten calls take to be set up, one after the other."""
LOST_MS = 500
"""Of what a phone heard, on a machine with time: what comes late is thrown away, too."""
ADOPTED_MS, BUSY_ADOPTED_MS = 5000, 40000
"""From the start of the next controller until it has all calls: what is promised, and on a machine without time."""


@dataclass
class Pair:
    """A call: the person, their recording, and the phone, where there is one; since when, by time.monotonic()."""

    call: PersonCall
    recording: Path
    phone: SipPhone | None
    began_at: float


class Ten:
    """Who talks to whom."""

    def __init__(self, set_stage: Stage, people: list[Person], phones: dict[str, SipPhone], tone: Path) -> None:
        self.stage = set_stage
        self.people = {person.phone: person for person in people}
        self.phones = phones
        self.tone = tone
        self.pairs: list[Pair] = []

    async def called_in(self, caller: str) -> None:
        """Somebody has called the line, and talks."""
        call = await self.people[caller].call(LINE)
        phone = self.phones[ANSWERING] if caller == CALLERS[0] else None
        if phone:
            await phone.incoming()
            await phone.answer()
        recording = self.stage.folder / f"heard-by-{caller}.wav"
        await call.confirm(self.tone, recording, loop=True)
        await self.has_begun(call, recording, phone)

    async def called_out(self, phone: SipPhone, callee: str) -> None:
        """A phone has called somebody, and they talk."""
        await phone.dial(callee)
        call = await self.people[callee].incoming()
        await call.ring()
        recording = self.stage.folder / f"heard-by-{callee}.wav"
        await call.accept(self.tone, recording, loop=True)
        await phone.established()
        await self.has_begun(call, recording, phone)

    async def has_begun(self, call: PersonCall, recording: Path, phone: SipPhone | None) -> None:
        """Both hear each other."""
        began_at = (await phone.wait_for("CALL_RTPESTAB")).at if phone else time.monotonic()
        self.pairs.append(Pair(call, recording, phone, began_at))


@asynccontextmanager
async def ten(
    folder: Path, tree: Tree, dialplan: str = DIALPLAN, phones: Sequence[str] = (*DIALLING, ANSWERING)
) -> AsyncIterator[Ten]:
    """A stage with ten people and these phones."""
    names = {number: f"Person {number[-1]}" for number in CALLERS + CALLEES}
    tone = folder / "tone.wav"
    write_tone(tone, 440.0, 1.0)  # whole periods, over and over
    async with AsyncExitStack() as stack:
        set_stage = await stack.enter_async_context(stage(folder / "stage", tree=tree, people=names, dialplan=dialplan))
        for number in names:
            set_stage.telegram.set_privacy(number, "phone_number", Audience.EVERYBODY)
        people = [await stack.enter_async_context(set_stage.person(number)) for number in names]
        there = {}
        for user in phones:
            run_dir = set_stage.folder / f"phone{user}"
            phone = SipPhone(set_stage.asterisk, user, play=tone, call_s=LONGEST_S, run_dir=run_dir)
            there[user] = await stack.enter_async_context(phone)
        yield Ten(set_stage, people, there, tone)


async def ended_rows(api: Api, limit: int = 50) -> list[dict[str, Any]]:
    """What the history has of all calls, ``limit`` at most, once it has the end of each."""
    async with asyncio.timeout(PATIENCE_S):
        changes = api.events("call")
        async for _ in changes:
            rows: list[dict[str, Any]] = (await api.ask("GET", f"/calls?limit={limit}"))["calls"]
            if all(row["status"] for row in rows):
                await changes.aclose()
                return rows
    raise AssertionError("the controller has ended")


@pytest.mark.alone  # ten media processes, ten people and six phones are all that two cores carry
@pytest.mark.timeout(240)
@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_ten_calls_go_on_with_the_next_controller(
    tmp_path: Path, asterisk_tree: Tree, transport: str, machine: Lateness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ari_app")
    (tmp_path / "stage").mkdir()
    async with ten(tmp_path, asterisk_tree) as them:
        asterisk = them.stage.asterisk
        path = await them.stage.configuration(LINES, asterisk={"transport": transport}, media={"orphan_s": 30.0})
        settings = load(path)
        await them.stage.sign_in_lines(settings)
        async with supervised(path, tmp_path / "astergram.log") as supervisor, program(settings) as api:
            for caller, callee, dialling in zip(CALLERS, CALLEES, DIALLING, strict=True):
                await them.called_in(caller)
                await supervisor.call_talks()
                await them.called_out(them.phones[dialling], callee)
                await supervisor.call_talks()
            await asyncio.sleep(BEFORE_S)
            live = {each["call"]["id"] for each in await api.ask("GET", "/calls/live")}
            assert len(live) == 10
            killed_at = time.monotonic()
            next_one = await supervisor.kill()
            await next_one.resumed(10)
            await asyncio.sleep(AFTER_S)
            cpu_s = sum(psutil.Process(next_one.pid).cpu_times()[:2])
            adopted_ms = max(next_one.resumed_ms)
            print(
                f"{transport}: ready {next_one.ready_ms} ms after the start, all ten adopted after {adopted_ms} ms, "
                f"with {cpu_s:.1f} s of CPU until {AFTER_S:g} s later; the machine was {machine.worst_ms()} ms late"
            )
            limit_ms = BUSY_ADOPTED_MS if machine.worst_ms() else ADOPTED_MS
            assert max(adopted_ms, next_one.ready_ms) < limit_ms
            assert {each["call"]["id"] for each in await api.ask("GET", "/calls/live")} == live

            # Half of them are ended by the person, half by the phone.
            for number, pair in enumerate(them.pairs):
                ended_at = time.monotonic()
                if pair.phone and number % 4 == 1:
                    await pair.phone.hangup()
                    await pair.call.ended()
                else:
                    await pair.call.hang_up()
                    if pair.phone:
                        await pair.phone.closed()
                await pair.call.close_audio()
                await supervisor.call_ended()
                for recording in [pair.recording, *(pair.phone.recordings[-1:] if pair.phone else [])]:
                    has_no_gap(recording, machine.worst_ms(), adopted_ms / 1000)
                if pair.phone:
                    talk = Talk(pair.began_at, ended_at, killed_at)
                    lost_ms = talk.gap_ms(pair.recording, pair.phone.recordings[-1])
                    # A machine without time loses packets all the time; what needs a controller shows as a gap there.
                    assert lost_ms <= LOST_MS or machine.worst_ms(), f"{pair.phone!r} has lost {lost_ms} ms"
            rows = await ended_rows(api)
            assert sorted(row["id"] for row in rows) == sorted(live), "one row a call"
            for row in rows:
                assert (row["status"], row["cause"], row["answered"]) == ("ANSWER", 16, True), row
                assert BEFORE_S + AFTER_S < row["talked_s"] < time.monotonic() - them.pairs[0].began_at, row
                events = [each["type"] for each in (await api.ask("GET", f"/calls/{row['id']}"))["events"]]
                assert events.count("Resumed") == 1
            assert await nothing_left_in(asterisk) == []
        assert await left_in_asterisk(asterisk) == []
        assert list((settings.state_dir / "media").rglob("*")) == []
