"""The keypad in the caller's chat: shown while they call, its presses dialled, gone afterwards."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from telethon.tl import functions

from ari_app.calls.events import DigitsLost
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.stage import ANNA, BORIS, BOT, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import Play, PlayMaker, in_context

MENU = """
[menu]
exten => _X.,1,Answer()
 same => n,Read(EXTENSION,,3,,1,15)
 same => n,Dial(PJSIP/${EXTENSION},20)
"""
ATTENDED = "[attended]\nexten => _X.,1,Dial(PJSIP/101,20,tT)\n"
KEYPAD = [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"], ["*", "0", "#"]]


@asynccontextmanager
async def calling(play: Play, person: Person) -> AsyncIterator[PersonCall]:
    """A call of somebody's to the line, in which both sides talk."""
    call = await person.call(LINE)
    await call.confirm(None, None)
    await play.talking()
    yield call
    await call.hang_up()
    await play.call_over()


def empty(messages: list[Any]) -> bool:
    """Nothing is left in a chat."""
    return not messages


def shows(text: str) -> Callable[[list[Any]], bool]:
    """Some message of a chat has this in it."""
    return lambda messages: any(text in each.message for each in messages)


async def forwarded(owner: Person, keypad: Any, other: Person, data: bytes) -> Any:
    """Somebody presses, by hand, a key of the keypad that was forwarded to them; no app would show it any more."""
    found = await owner.client(functions.contacts.ResolvePhoneRequest(other.phone))
    await owner.client.forward_messages(found.users[0], keypad)
    copy = await other.sees(owner.phone, lambda messages: messages[0] if messages else None)
    assert not copy.buttons
    return await other.client(functions.messages.GetBotCallbackAnswerRequest(copy.peer_id, copy.id, data=data))


async def test_a_caller_presses_1_0_2_and_reaches_the_agent(play: PlayMaker) -> None:
    async with (
        play(dialplan=MENU, bot=True, **in_context("menu")) as stage,
        stage.phone("102") as agent,
        stage.person(ANNA) as anna,
        stage.person(LINE) as line,
    ):
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            assert [[button.text for button in row] for row in keypad.buttons] == KEYPAD
            for key in "102":
                await keypad.click(text=key)
            await agent.incoming()
            await anna.sees(LINE, shows("102"))
        await agent.closed()
        await anna.sees(LINE, empty)
        await line.sees(ANNA, empty)


async def test_keys_reach_a_dialled_phone_and_go_on_after_a_transfer(play: PlayMaker) -> None:
    """Blind: 101 sends the caller to 102, whose phone then gets the keys."""
    async with (
        play(bot=True) as stage,
        stage.phone("101", auto_answer=True) as first,
        stage.phone("102") as second,
        stage.person(ANNA) as anna,
    ):
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            await keypad.click(text="5")
            assert (await first.wait_for("CALL_DTMF_START")).parameter == "5"
            await first.transfer("102")
            await second.incoming()
            await second.answer()
            await keypad.click(text="7")
            assert (await second.wait_for("CALL_DTMF_START")).parameter == "7"
        await second.closed()


async def test_a_press_counts_only_from_the_caller_and_in_his_call(play: PlayMaker) -> None:
    async with (
        play(bot=True) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            data = [button.data for row in keypad.buttons for button in row]
            refused = [
                await stage.telegram.press(BORIS, ANNA, keypad.id, data[0]),
                await stage.telegram.press(ANNA, ANNA, keypad.id, data[0][:-2] + b"xx"),
                await stage.telegram.press(ANNA, ANNA, keypad.id, data[0].replace(b":1:", b":2:")),
                await stage.telegram.press(ANNA, ANNA, keypad.id, b"key:garbage"),
                await forwarded(anna, keypad, boris, data[0]),
            ]
            assert all(answer.message for answer in refused)
            assert stage.app.registry.counted["keypad.refused"] == len(refused)
            unknown = await stage.telegram.press(ANNA, ANNA, keypad.id, b"no button of ours")
            assert unknown.message
        await phone.closed()
        async with calling(stage, anna):
            again = await anna.keypad(LINE)
            late = await stage.telegram.press(ANNA, ANNA, again.id, data[0])
            assert late.message
        await phone.closed()
        assert not any(event.type == "CALL_DTMF_START" for event in phone.events)


async def test_the_keypad_goes_however_the_call_ends(play: PlayMaker) -> None:
    async with play(bot=True) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await anna.keypad(LINE)
        await phone.incoming()
        await phone.hangup()
        await call.ended()
        await anna.sees(LINE, empty)
        call = await anna.call(LINE)
        await anna.keypad(LINE)
        await call.hang_up(DiscardReason.MISSED)
        await anna.sees(LINE, empty)
        await stage.call_over()


@asynccontextmanager
async def inline_mode_off(play: Play) -> AsyncIterator[None]:
    """As the bot's owner can switch it off at any time."""
    play.telegram.set_inline(BOT, False)
    yield


def bot_down(play: Play) -> AbstractAsyncContextManager[None]:
    """The Bot API can't be reached."""
    return play.telegram.bot_api_down()


@pytest.mark.parametrize("fault", [bot_down, inline_mode_off])
async def test_without_the_bot_a_hint_is_sent_and_digits_can_be_written(
    play: PlayMaker, fault: Callable[[Play], AbstractAsyncContextManager[None]]
) -> None:
    async with (
        play(dialplan=MENU, bot=True, **in_context("menu")) as stage,
        stage.phone("102") as agent,
        stage.person(ANNA) as anna,
    ):
        async with fault(stage), calling(stage, anna):
            (said,) = await anna.sees(LINE, lambda messages: messages)
            assert not said.buttons
            await anna.client.send_message(said.peer_id, "102")
            await agent.incoming()
        await agent.closed()


async def test_edits_are_throttled_but_presses_are_not(play: PlayMaker) -> None:
    async with (
        play(bot=True) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        stage.telegram.refuse_bot("editMessageText", 429, retry_after=1, times=2)
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            for key in "1234":
                await keypad.click(text=key)
            assert [(await phone.wait_for("CALL_DTMF_START")).parameter for _ in "1234"] == list("1234")
            await anna.sees(LINE, shows("1234"))
        await phone.closed()


def edits_are_refused(play: Play) -> None:
    """429, as Telegram does when there have been too many."""
    play.telegram.refuse_bot("editMessageText", 429, retry_after=30, times=None)


def edits_hang(play: Play) -> None:
    """They are not answered at all."""
    play.telegram.delay_bot("editMessageText", 3600, times=None)


@pytest.mark.parametrize("fault", [edits_are_refused, edits_hang])
async def test_no_press_waits_for_an_edit(play: PlayMaker, fault: Callable[[Play], None]) -> None:
    async with (
        play(bot=True) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        fault(stage)
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            answers = [await keypad.click(text=key) for key in "12345"]
            assert None not in answers  # Telethon's word for a press that was not answered
            assert [(await phone.wait_for("CALL_DTMF_START")).parameter for _ in answers] == list("12345")
            assert stage.telegram.bot_requests("editMessageText") <= 1
            shown = await anna.keypad(LINE)
            assert (shown.message, shown.edit_date) == (keypad.message, None)
        await phone.closed()


@pytest.mark.parametrize(
    ("application", "key"),
    [
        ("WaitExten(15)", "7"),
        ("Queue(menu,,,,30)", "7"),  # queue-menu, the context of this queue
        ("VoiceMail(100@default)", "*"),  # goes to extension a
    ],
    ids=["WaitExten", "Queue", "VoiceMail"],
)
async def test_a_key_counts_where_a_callers_key_counts(play: PlayMaker, application: str, key: str) -> None:
    dialplan = (
        f"[menu]\nexten => _79X.,1,Answer()\n same => n,{application}\n"
        "exten => 7,1,Dial(PJSIP/102,20)\nexten => a,1,Dial(PJSIP/102,20)\n"
        "[queue-menu]\nexten => 7,1,Dial(PJSIP/102,20)\n"
    )
    async with (
        play(dialplan=dialplan, bot=True, **in_context("menu")) as stage,
        stage.phone("102") as agent,
        stage.person(ANNA) as anna,
    ):
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            await keypad.click(text=key)
            await agent.incoming()
        await agent.closed()


async def test_keys_go_on_while_the_caller_is_on_hold(play: PlayMaker) -> None:
    async with (
        play(bot=True) as stage,
        stage.phone("101", auto_answer=True) as agent,
        stage.person(ANNA) as anna,
    ):
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            await agent.hold()
            await keypad.click(text="5")
            await anna.sees(LINE, shows("5"))
            await agent.hold(False)
            await keypad.click(text="6")
            # A phone does not listen while it holds: 5 is dialled, but this phone need not hear it.
            while (await agent.wait_for("CALL_DTMF_START")).parameter != "6":
                pass
            [call] = stage.app.registry.calls.values()
            assert not [each for each in call.events if isinstance(each.event, DigitsLost)]
        await agent.closed()


async def test_keys_go_on_after_an_attended_transfer_and_hold(play: PlayMaker) -> None:
    """101 holds the caller, asks 102, and hands over (`*2` of features.conf)."""
    async with (
        play(dialplan=ATTENDED, bot=True, **in_context("attended")) as stage,
        stage.phone("101", auto_answer=True) as first,
        stage.phone("102", auto_answer=True) as second,
        stage.person(ANNA) as anna,
    ):
        async with calling(stage, anna):
            keypad = await anna.keypad(LINE)
            await first.send_dtmf("*2")
            await first.send_dtmf("102")
            await second.established()
            await first.hangup()
            await first.closed()
            await keypad.click(text="7")
            assert (await second.wait_for("CALL_DTMF_START")).parameter == "7"
        await second.closed()
