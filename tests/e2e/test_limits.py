"""What protects an account: pauses that Telegram asks for, bounds of our own, and the next line that steps in."""

import asyncio
import math
import time
from collections.abc import Mapping

import pytest

from ari_app.calls.capacity import WINDOW_S, MachineReading, MediaReading
from ari_app.calls.reasons import CpuShort, EndReason, TooManyCalls
from ari_app.reports.history import end_reason
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.store.calls import Query
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker, heard, started

SECOND = "+79990000009"
SOON_S = 20.0
PEOPLE = {SECOND: "Astergram Two"}
LINES = [{"number": LINE, "default": True}, {"number": SECOND}]
THROUGH_LINE = (
    f"[phones](+)\nexten => 700,1,Stasis(telegram,{ANNA},line={LINE[1:]})\n same => n,Hangup(${{TELEGRAM_CAUSE}})\n"
)


def callers(stage: Play) -> list[str]:
    """Which lines Telegram has let call somebody, in order."""
    return [f"+{call.caller}" for call in stage.telegram.calls]


@pytest.mark.parametrize("method", ["phone.requestCall", "contacts.resolvePhone"])
async def test_the_next_line_steps_in_for_a_limited_one(play: PlayMaker, method: str) -> None:
    async with (
        play(people=PEOPLE, lines=LINES, dialplan=THROUGH_LINE) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        stage.telegram.refuse(method, "FLOOD_WAIT_30", phone=LINE)
        for _ in range(2):  # the second time, the first line is not even asked
            await phone.dial(ANNA)
            await (await anna.incoming()).hang_up(DiscardReason.BUSY)
            assert (await phone.closed()).startswith("486")
            await stage.call_over()
        assert callers(stage) == [SECOND, SECOND]
        assert [call.line for call in stage.calls] == [SECOND, SECOND]
        seconds, reason = stage.app.lines.line(LINE).pauses[method]
        assert 50 < seconds <= 60
        assert reason == "FLOOD_WAIT_30"
        assert stage.app.lines.line(SECOND).pauses == {}
        await phone.dial("700")
        assert (await phone.closed()).startswith("503")
        assert callers(stage) == [SECOND, SECOND]


async def test_every_line_is_limited_also_after_a_restart(play: PlayMaker) -> None:
    async with play(people=PEOPLE, lines=LINES) as stage, stage.phone() as phone:
        stage.telegram.refuse("phone.requestCall", "FLOOD_WAIT_30", phone=LINE)
        stage.telegram.refuse("phone.requestCall", "PEER_FLOOD", phone=SECOND)
        for _ in range(2):  # Telegram would say yes the second time
            await phone.dial(ANNA)
            assert (await phone.closed()).startswith("503")
        assert stage.outcomes() == ["LIMITED"]
        assert stage.app.registry.counted["out.LIMITED"] == 2
        await stage.stop_astergram()
        async with started(stage.settings) as again:
            await phone.dial(ANNA)
            assert (await phone.closed()).startswith("503")
            assert 86000 < again.lines.line(SECOND).pauses["phone.requestCall"][0] <= 86400
        assert callers(stage) == []


async def test_as_many_calls_as_a_line_may_make_in_a_minute(play: PlayMaker) -> None:
    lines = [{"number": LINE, "calls_per_minute": 1}]
    async with play(lines=lines) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        await (await anna.incoming()).hang_up(DiscardReason.BUSY)
        assert (await phone.closed()).startswith("486")
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith("503")
        assert callers(stage) == [LINE]


class FullMachine:
    """Reads a machine on which everything is in use."""

    def __init__(self) -> None:
        self.readings = 0

    def __call__(self, media: Mapping[int, MediaReading], weighed: int | None = None) -> MachineReading:
        self.readings += 1
        at_s = time.monotonic() + self.readings * WINDOW_S
        return MachineReading(at_s, at_s, at_s, 1, math.inf, media)


@pytest.mark.parametrize(
    ("calls", "reason"), [({"max_calls": 1}, TooManyCalls(1)), ({"cpu_percent": 95}, CpuShort(100, 95))]
)
async def test_one_call_more_than_there_is_room_for(
    play: PlayMaker, calls: Mapping[str, int], reason: EndReason
) -> None:
    """It goes through no other line, and those who talk notice nothing."""
    lines = [{"number": LINE, "default": True, "max_calls": 5}, {"number": SECOND}]
    async with (
        play(people=PEOPLE, lines=lines, calls=calls) as stage,
        stage.phone("101") as phone,
        stage.phone("102") as other,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        registry, tone, anna_heard = stage.app.registry, stage.tone("anna", PERSON_HZ), stage.recording("anna")
        await phone.dial(ANNA)
        answered = await anna.incoming()
        await answered.accept(tone, anna_heard)
        await stage.talking()
        with registry.bus.subscribe() as published:
            if "cpu_percent" in calls:
                registry.admission.read = FullMachine()
            async with asyncio.timeout(SOON_S):
                while registry.shortage != reason:
                    await published.get()
        await other.dial(BORIS)
        assert (await other.closed()).startswith("503")
        offered = await boris.call(SECOND)
        assert isinstance((await offered.ended()).reason, DiscardReason.BUSY.value)
        assert callers(stage) == [LINE, BORIS]
        rows = (await stage.app.services.history.find(Query())).rows
        refused = [(row.direction, row.line, row.status, end_reason(row)) for row in rows if row.refused]
        assert sorted(refused, key=lambda row: row[0]) == [
            ("in", SECOND, "LIMITED", reason),
            ("out", LINE, "LIMITED", reason),
        ]
        assert [call.ending for call in stage.calls] == [None]
        await asyncio.sleep(TALK_S)
        await answered.hang_up()
        await phone.closed()
    heard(anna_heard, PHONE_HZ)


async def test_what_a_call_takes_is_measured(play: PlayMaker) -> None:
    """Of this machine, and of the Asterisk on it, whose AMI user may read rtp.conf."""
    async with play(ami={}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.accept(stage.tone("anna", PERSON_HZ), None)
        await stage.talking()
        registry = stage.app.registry
        with registry.bus.subscribe() as published:
            async with asyncio.timeout(SOON_S):
                while not (load := registry.load) or load.call_cpu_percent is None:
                    await published.get()  # its audio is measured each second
        assert 0 < load.call_cpu_percent < load.cpu_percent <= 100
        assert load.call_mb
        assert 1 < load.call_mb < 60
        assert load.free_mb > load.call_mb
        calls = len(stage.asterisk.rtp_ports) // 4
        assert registry.admission.capacity.rtp_calls == calls
        assert registry.room is not None
        assert 0 < registry.room < calls
        assert registry.shortage is None
        await call.hang_up()
        await phone.closed()
