"""Lines are added, changed, signed in and removed while the program works, and while others talk."""

import asyncio

import pytest

from ari_app.lines.health import Colour
from ari_app.lines.settings import LineError, LineExists, LineSettings, NoSuchLine, SettingRefused
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.telegram.errors import NotReady
from ari_app.telegram.line import LineState
from ari_app.telegram.setup import Step, StepState
from ari_app.telegram.signin_view import SignInState
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker, heard
from tests.e2e.test_status import until

SECOND, THIRD = "+79990000008", "+79990000009"
PEOPLE = {SECOND: "Second", THIRD: "Third"}
LINES = [{"number": LINE, "max_calls": 2}, {"number": SECOND}]


async def sign_in(stage: Play, number: str) -> None:
    """By code, as an administrator does."""
    book = stage.app.lines
    view = await book.sign_ins.begin(number, "code")
    assert view.state is SignInState.CODE_SENT, view
    signing = book.sign_ins.of(number)
    assert signing
    view = await signing.code(stage.telegram.login_code(number))
    assert view.state is SignInState.SIGNED_IN, view
    await book.sign_ins.adopted(number)


async def becomes(stage: Play, number: str, state: LineState) -> None:
    with stage.app.services.bus.subscribe() as events:
        async with asyncio.timeout(10):
            while stage.app.lines.line(number).state is not state:
                await events.get()


async def test_a_call_goes_on_while_other_lines_change(play: PlayMaker) -> None:
    async with (
        play(people=PEOPLE, lines=LINES) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        book = stage.app.lines
        call: PersonCall = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        await call.confirm(stage.tone("anna", PERSON_HZ), stage.recording("anna"))
        await stage.talking()

        await book.add(LineSettings.of({"number": THIRD, "name": "Third"}))
        await becomes(stage, THIRD, LineState.SIGNED_OUT)
        assert stage.app.services.statuses.status(book.line(THIRD)).account.colour is Colour.RED
        await sign_in(stage, THIRD)
        await becomes(stage, THIRD, LineState.READY)
        await book.change(LINE, {"name": "Support", "texts": {"en": {"keypad": "{line}?"}}})
        await book.change(SECOND, {"max_calls": 5})
        await book.reset(SECOND)
        await becomes(stage, SECOND, LineState.SIGNED_OUT)
        await book.remove(SECOND)
        with pytest.raises(NoSuchLine):
            book.line(SECOND)

        await asyncio.sleep(TALK_S)
        assert stage.calls[-1].ending is None
        await call.hang_up()
        assert await stage.outcome() == "ANSWER"
        await call.close_audio()
        await phone.closed()
        heard(phone.recordings[-1], PERSON_HZ)
        heard(stage.recording("anna"), PHONE_HZ)


async def test_a_line_that_was_added_takes_and_places_calls_at_once(play: PlayMaker) -> None:
    async with (
        play(people=PEOPLE) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        await stage.app.lines.add(LineSettings.of({"number": THIRD, "callers": ["101"]}))
        await sign_in(stage, THIRD)
        await becomes(stage, THIRD, LineState.READY)
        call = await anna.call(THIRD)
        await call.confirm(None, None)
        await stage.talking()
        await call.hang_up()
        assert await stage.outcome() == "ANSWER"
        await phone.closed()
        await phone.dial(BORIS)
        called = await boris.incoming()
        assert called.peer_id == stage.telegram.user(THIRD).id
        await phone.hangup()
        await stage.call_over()


async def test_removing_a_line_ends_its_calls(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        await stage.app.lines.remove(LINE)
        assert type((await call.ended()).reason).__name__ == "PhoneCallDiscardReasonBusy"
        assert len(stage.app.lines) == 0
        assert not stage.settings.session(LINE).exists()
        await phone.closed()
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith("5")


async def test_signing_in_again_while_green_leaves_one_device(play: PlayMaker) -> None:
    async with play() as stage, stage.phone(auto_answer=True), stage.person(ANNA) as anna:
        await sign_in(stage, LINE)
        await becomes(stage, LINE, LineState.READY)
        assert len(stage.telegram.devices(LINE)) == 1
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await stage.talking()
        await call.hang_up()
        assert await stage.outcome() == "ANSWER"


async def test_a_sign_in_that_is_given_up_changes_nothing(play: PlayMaker) -> None:
    async with play() as stage:
        book = stage.app.lines
        await book.sign_ins.begin(LINE, "qr")
        await book.sign_ins.cancel(LINE)
        assert book.sign_ins.of(LINE) is None
        assert book.line(LINE).state is LineState.READY
        assert len(stage.telegram.devices(LINE)) == 1


async def test_logged_out_for_good(play: PlayMaker) -> None:
    async with play() as stage:
        await stage.app.lines.log_out(LINE)
        await becomes(stage, LINE, LineState.SIGNED_OUT)
        assert stage.telegram.devices(LINE) == []
        with pytest.raises(NotReady):
            await stage.app.lines.log_out(LINE)
        await sign_in(stage, LINE)
        await becomes(stage, LINE, LineState.READY)


async def test_what_an_administrator_may_not_do(play: PlayMaker) -> None:
    async with play(people=PEOPLE, lines=LINES) as stage:
        book = stage.app.lines
        refused: list[tuple[type[LineError], object]] = [
            (LineExists, book.add(LineSettings.of({"number": LINE}))),
            (NoSuchLine, book.change(THIRD, {"name": "x"})),
            (SettingRefused, book.change(LINE, {"number": THIRD})),
            (SettingRefused, book.change(LINE, {"card": {"picture": "/etc/hostname"}})),
        ]
        for kind, asked in refused:
            with pytest.raises(kind):
                await asked  # type: ignore[misc]
        await book.change(LINE, {"default": True})
        with pytest.raises(SettingRefused, match="only one can be the default"):
            await book.change(SECOND, {"default": True})
        assert book.settings(SECOND).default is False


async def test_the_bot_is_set_on_the_page(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        bot, setup = stage.stage.bot(), stage.app.services.account_setup
        assert (await until(stage, "bot", Colour.GREY)).sentence.text.startswith("There is no bot")
        await stage.app.services.installation.change({"bot_token": bot["token"]})
        await stage.app.bot.first_attempt_done()
        views = {view.step: view.state for view in await setup.carry_out(LINE, [Step.BOT_DIALOGUE])}
        assert views[Step.BOT_DIALOGUE] is StepState.DONE
        await until(stage, "bot", Colour.GREEN)
        call = await anna.call(LINE)
        await phone.incoming()
        await anna.keypad(LINE)
        await call.hang_up()
        await stage.call_over()
        await stage.app.services.installation.change({"bot_token": ""})
        await until(stage, "bot", Colour.GREY)
