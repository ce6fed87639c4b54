"""A real call in the history: open while it lives, and complete when it is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_app.calls.events import CallEnded, CallOffered, Connected, TelegramAnswered, TelegramRinging
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import Crashed, EndedByAdministrator, EndedOnTelegram
from ari_app.reports.history import History, end_reason, open_history
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.store.calls import Query
from ari_app.store.store import open_store
from tests.e2e.conftest import PERSON_HZ, Play, PlayMaker

MEASURED = 2  # how many measurements the talk lasts
SOON_S = 20.0
SOUND_DBFS = -20


@asynccontextmanager
async def kept(stage: Play) -> AsyncIterator[History]:
    """A history of this test's own, which can be left and read again."""
    async with open_store(stage.stage.folder / "history.db") as store:
        history = await open_history(store)
        stage.app.registry.keeper.recorder = history
        yield history


async def measurements(stage: Play, call_id: str) -> list[float]:
    """Wait until a call was measured some times; gives what it heard from Telegram each time."""
    bus = stage.app.registry.bus
    levels: list[float] = []
    with bus.subscribe() as told:
        async with asyncio.timeout(SOON_S):
            while len(levels) < MEASURED:
                item = await told.get()
                if item.kind == "meters":
                    assert item.key == call_id
                    levels.append(item.data["from_telegram_dbfs"])
    return levels


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_a_call_is_written_from_its_beginning_to_its_end(play: PlayMaker, direction: str) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna, kept(stage) as history:
        tone = stage.tone("anna", PERSON_HZ)
        if direction == "in":
            call = await anna.call(LINE)
            await phone.incoming()
            (row,) = (await history.find(Query())).rows
            await phone.answer()
            await call.confirm(tone, None)
        else:
            await phone.dial(ANNA)
            call = await anna.incoming()
            (row,) = (await history.find(Query())).rows
            await call.ring()
            await call.accept(tone, None)
        await stage.talking()
        assert (row.status, row.ended_at, row.direction) == (None, None, direction)
        (live,) = history.live()
        assert live.state is CallState.TALKING
        assert live.call.id == row.id
        assert (await measurements(stage, row.id))[-1] > SOUND_DBFS
        await call.hang_up()
        await phone.closed()
        await stage.call_over()

        (found,) = (await history.find(Query(text="АННА"))).rows
        assert (found.id, found.status, found.answered, found.name) == (row.id, "ANSWER", True, "Анна")
        assert found.pbx_party == ("101" if direction == "out" else LINE.removeprefix("+"))
        assert found.ended_at is not None
        assert found.ended_at - found.began_at >= found.talked_s > 1.0
        async with open_store(stage.stage.folder / "history.db") as store:
            record = await (await open_history(store)).one(row.id)
        assert record is not None
        *events, ended = (each.event for each in record.events)
        assert ended == CallEnded("ANSWER", 16, EndedOnTelegram("hangup"))
        assert events.index(TelegramRinging()) < events.index(TelegramAnswered()) < events.index(Connected())
        reached = record.milestones
        assert reached.rings_s is not None
        assert reached.accepted_s is not None
        assert reached.talks_s is not None
        assert 0 < reached.rings_s < reached.accepted_s < reached.talks_s
        assert (reached.pbx_answered_s is not None) == (direction == "in")
        assert None not in (record.post_dial_delay_s, record.to_answer_s, record.to_audio_s)
        assert found.to_answer_s == record.to_answer_s
        assert len(record.samples) >= MEASURED
        assert all(reached.talks_s < sample.at_s for sample in record.samples)
        assert record.samples[-1].from_telegram_dbfs > SOUND_DBFS


@pytest.mark.parametrize("talking", [True, False], ids=["talking", "ringing"])
async def test_an_administrator_hangs_up(play: PlayMaker, talking: bool) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna, kept(stage) as history:
        call = await anna.call(LINE)
        await phone.incoming()
        if talking:
            await phone.answer()
            await call.confirm(None, None)
            await stage.talking()
        registry = stage.app.registry
        (call_id,) = registry.calls
        assert registry.hang_up(call_id)
        ended = await call.ended()
        assert type(ended.reason).__name__ == f"PhoneCallDiscardReason{'Hangup' if talking else 'Busy'}"
        await phone.closed()
        await stage.call_over()
        (row,) = (await history.find(Query())).rows
        assert (row.status, end_reason(row)) == ("ANSWER" if talking else "BUSY", EndedByAdministrator())
        assert not registry.hang_up(call_id)


async def test_a_killed_program_leaves_a_call_that_is_closed_later(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna, kept(stage) as history:
        call = await anna.call(LINE)
        await phone.incoming()
        assert (await history.find(Query())).total == 1, "written"
        async with open_store(stage.stage.folder / "history.db") as store:
            next_run = await open_history(store)
            (row,) = (await next_run.find(Query())).rows
            assert (row.status, end_reason(row)) == ("ERROR", Crashed())
            record = await next_run.one(row.id)
            assert record is not None
            assert [each.event for each in record.events][:2] == [CallOffered(str(row.person_id)), TelegramRinging()]
        await call.hang_up()
        await phone.closed()
