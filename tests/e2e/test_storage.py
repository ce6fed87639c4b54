"""Calls while another program has locked every file of the installation, and what is kept of them afterwards."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.store.calls import Query
from ari_app.store.cards import CardRepository
from ari_app.store.keypads import KeypadRepository
from ari_app.store.limits import LimitRepository
from ari_app.tasks import FAILURES
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.test_callback import AGENTS, SETTINGS, says, talked
from tests.e2e.test_keypad import calling, empty

WRITTEN_S = 30.0


@contextmanager
def locked(play: Play) -> Iterator[None]:
    """Nobody can write to the database, and nobody can even read the line's session."""
    with ExitStack() as stack:
        for path in (play.settings.database, play.settings.session(LINE)):
            other = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
            other.execute("BEGIN EXCLUSIVE")
        yield


async def test_calls_go_on_while_nothing_can_be_kept(play: PlayMaker) -> None:
    """In with a keypad, out, a card after a decline, and its call back."""
    async with (
        play(bot=True, dialplan=AGENTS, lines=[SETTINGS]) as stage,
        stage.phone("101", auto_answer=True) as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        failures, store = FAILURES.count, stage.app.services.store
        with locked(stage):
            async with calling(stage, anna):
                keypad = await anna.keypad(LINE)
                await keypad.click(text="5")
                assert (await phone.wait_for("CALL_DTMF_START")).parameter == "5"
            await phone.closed()
            await anna.sees(LINE, empty)
        assert await stage.outcome() == "ANSWER"

        async with stage.phone("102") as dialler:
            with locked(stage):
                await dialler.dial(BORIS)  # whom Telegram has to be asked for
                call = await boris.incoming()
                await call.ring()
                await call.accept(None, None)
                await stage.talking()
                await call.hang_up()
                await dialler.closed()
                assert await stage.outcome() == "ANSWER"
                await call.close_audio()

                await dialler.dial(ANNA)
                call = await anna.incoming()
                await call.ring()
                await call.hang_up(DiscardReason.BUSY)
                await dialler.closed()
                assert await stage.outcome() == "BUSY"
                card = await anna.keypad(LINE)
                assert (await card.click()).message == "waiting"
                back = await anna.incoming()  # phone 101 has answered
                await back.ring()
                await talked(back, phone, stage.app)
                await anna.sees(LINE, says("reached"))
                assert store.queue.trouble is not None

        await store.queue.flush(WRITTEN_S)
        rows = (await stage.app.services.history.find(Query())).rows
        assert [(row.direction, row.status) for row in rows] == [
            ("back", "ANSWER"), ("out", "BUSY"), ("out", "ANSWER"), ("in", "ANSWER"),
        ]  # fmt: skip
        assert len(await LimitRepository(store, LINE).calls(0.0)) == 3
        assert await KeypadRepository(store, LINE).all() == []
        (kept,) = await CardRepository(store).since(0.0)
        assert (kept.secret, kept.tells_in) == ("", "")
        assert (store.queue.lost, FAILURES.count) == (0, failures)
