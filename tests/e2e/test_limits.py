"""What protects an account: pauses that Telegram asks for, bounds of our own, and the next line that steps in."""

import pytest

from ari_app.app import running
from ari_app.calls.reasons import TooManyCalls
from ari_app.reports.history import end_reason
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.store.calls import Query
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import Play, PlayMaker

SECOND = "+79990000009"
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
        async with running(stage.settings) as again:
            await again.first_attempt_done()
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


async def test_one_call_more_than_all_lines_together_may_have(play: PlayMaker) -> None:
    """It goes through no other line, and those who talk notice nothing."""
    lines = [{"number": LINE, "default": True, "max_calls": 5}, {"number": SECOND}]
    async with (
        play(people=PEOPLE, lines=lines, calls={"max_calls": 1}) as stage,
        stage.phone("101") as phone,
        stage.phone("102") as other,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        await phone.dial(ANNA)
        answered = await anna.incoming()
        await answered.accept(None, None)
        await stage.talking()
        (first,) = stage.calls
        await other.dial(BORIS)
        assert (await other.closed()).startswith("503")
        offered = await boris.call(SECOND)
        assert isinstance((await offered.ended()).reason, DiscardReason.BUSY.value)
        assert callers(stage) == [LINE, BORIS]
        rows = (await stage.app.services.history.find(Query())).rows
        refused = [(row.direction, row.line, row.status, end_reason(row)) for row in rows if row.refused]
        assert sorted(refused) == [
            ("in", SECOND, "LIMITED", TooManyCalls(1)),
            ("out", LINE, "LIMITED", TooManyCalls(1)),
        ]
        assert first.ending is None
        await answered.hang_up()
        await phone.closed()
