"""A person presses "call me back": an agent is called first, then the person, and they talk."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ari_app.app import Astergram
from ari_app.calls.rate_limiter import AGAIN_S
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.sandbox.tones import measure
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import HZ_TOLERANCE, PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker, all_talk, heard, started

AGENTS = (
    "[agents]\n"
    'exten => 605,1,GotoIf($["${TELEGRAM_CALLBACK}/${TELEGRAM_FIRST_NAME}" != "1/Анна"]?nobody,1)\n'
    " same => n,Queue(agents,tT,,,60)\n"
    " same => n,Hangup(19)\n"
    "exten => nobody,1,Hangup(38)\n"
)
TEXTS = {
    "card": "We called",
    "card_button": "Call me",
    "callback_waiting": "waiting",
    "callback_calling": "calling",
    "callback_reached": "reached",
    "callback_later": "later",
    "callback_too_soon": "too soon",
    "callback_not_yours": "not yours",
}
SETTINGS = {"number": LINE, "max_calls": 1, "texts": {"en": TEXTS, "ru": TEXTS}, "card": {"callback": "605@agents"}}


def says(state: str) -> Callable[[list[Any]], Any]:
    """The card, once it says this under its text."""
    return lambda messages: next((each for each in messages if each.message == f"We called\n\n{state}"), None)


@asynccontextmanager
async def card_of(play: Play, phone: SipPhone, person: Person) -> AsyncIterator[Any]:
    """The card in somebody's chat, after a call that they declined."""
    await phone.dial(person.phone)
    call = await person.incoming()
    await call.ring()
    await phone.wait_for("CALL_RINGING")
    await call.hang_up(DiscardReason.BUSY)
    await phone.closed()
    await play.call_over()
    yield await person.keypad(LINE)
    await play.call_over()


@asynccontextmanager
async def with_card(play: PlayMaker, dialplan: str = AGENTS) -> AsyncIterator[tuple[Play, SipPhone, Person, Any]]:
    """A stage, an agent at their phone, and Anna, who has got the line's card."""
    async with (
        play(bot=True, dialplan=dialplan, lines=[SETTINGS]) as stage,
        stage.phone("101") as agent,
        stage.person(ANNA) as anna,
        card_of(stage, agent, anna) as card,
    ):
        yield stage, agent, anna, card


async def asked(agent: SipPhone, person: Person) -> PersonCall:
    """The agent has answered, and the person's Telegram rings."""
    await agent.incoming()
    await agent.answer()
    call = await person.incoming()
    await call.ring()
    return call


async def talked(call: PersonCall, agent: SipPhone, app: Astergram) -> None:
    """The person takes the call, and hangs up."""
    await call.accept(None, None)
    await agent.established()
    await all_talk(app)
    await call.hang_up()
    await call.close_audio()
    await agent.closed()


async def test_a_person_is_called_back(play: PlayMaker) -> None:
    async with (
        play(bot=True, dialplan=AGENTS, lines=[SETTINGS]) as stage,
        stage.phone("101") as agent,
        stage.person(ANNA) as anna,
        stage.person(BORIS),
        card_of(stage, agent, anna) as card,
    ):
        data = card.buttons[0][0].data
        refused = [
            await stage.telegram.press(BORIS, ANNA, card.id, data),
            await stage.telegram.press(ANNA, ANNA, card.id, data[:-4] + b"xxxx"),
            await stage.telegram.press(ANNA, ANNA, card.id, b"card:garbage"),
        ]
        assert [each.message for each in refused[:2]] == ["not yours"] * 2
        assert refused[2].message
        assert stage.app.registry.counted["callback.refused"] == len(refused)
        assert not stage.app.registry.calls

        assert (await card.click()).message == "waiting"
        assert str(stage.telegram.user(ANNA).id) in (await agent.incoming()).peer
        await anna.sees(LINE, says("waiting"))
        assert (await card.click()).message == "too soon"
        await agent.answer()
        call = await anna.incoming()
        await anna.sees(LINE, says("calling"))
        await call.ring()
        await call.accept(stage.tone("anna", PERSON_HZ), stage.recording("anna"))
        await stage.talking()
        await asyncio.sleep(TALK_S)
        await call.hang_up()
        await call.close_audio()
        await agent.closed()
        assert await stage.outcome() == "ANSWER"
        done = await anna.sees(LINE, says("reached"))
        assert not done.buttons
        late = await stage.telegram.press(ANNA, ANNA, card.id, data)
        assert late.message not in ("waiting", "too soon")
        heard(stage.recording("anna"), PHONE_HZ)
        found = measure(agent.recordings[-1])
        assert abs(found.hz - PERSON_HZ) < HZ_TOLERANCE
        assert found.gaps <= 1  # between the ringing that they hear first, and Anna


async def test_a_person_who_does_not_answer_may_ask_again_later(play: PlayMaker) -> None:
    """Edits are throttled meanwhile: the card says what is true in the end."""
    async with with_card(play) as (stage, agent, anna, card):
        stage.telegram.refuse_bot("editMessageText", 429, retry_after=1, times=2)
        await card.click()
        await agent.incoming()
        await agent.answer()
        call = await anna.incoming()
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
        await agent.closed()
        assert await stage.outcome() == "BUSY"
        again = await anna.sees(LINE, says("later"))
        assert again.buttons
        assert (await again.click()).message == "too soon"
        assert stage.app.registry.counted["back.BUSY"] == 1
        assert stage.app.registry.counted["card.sent"] == 1


async def test_nobody_in_the_pbx_answers(play: PlayMaker) -> None:
    async with with_card(play, dialplan="[agents]\nexten => 605,1,Hangup(17)\n") as (stage, _, anna, card):
        await card.click()
        await anna.sees(LINE, says("later"))
        assert anna.calls.keys() == {call.id for call in stage.telegram.calls}
        assert len(anna.calls) == 1


async def test_a_card_that_the_person_has_deleted(play: PlayMaker) -> None:
    """The request goes on, and as the card can't tell any more that it came to nothing, a text does."""
    async with with_card(play) as (stage, agent, anna, card):
        await card.click()
        await agent.incoming()
        await anna.sees(LINE, says("waiting"))
        await anna.client.delete_messages(None, card.id)
        await agent.answer()
        call = await anna.incoming()
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
        await agent.closed()
        said = await anna.sees(LINE, lambda messages: messages)
        assert [each.message for each in said] == ["later"]
        assert stage.telegram.bot_requests("editMessageText") == 2  # the one that was refused is the last


async def test_a_second_request_after_later_succeeds(play: PlayMaker) -> None:
    async with with_card(play) as (stage, agent, anna, card):
        await card.click()
        call = await asked(agent, anna)
        await call.hang_up(DiscardReason.BUSY)
        await agent.closed()
        again = await anna.sees(LINE, says("later"))
        async with asyncio.timeout(2 * AGAIN_S):
            while (answer := (await again.click()).message) == "too soon":  # noqa: ASYNC110 - time is what passes
                await asyncio.sleep(1)
        assert answer == "waiting"
        await talked(await asked(agent, anna), agent, stage.app)
        assert not (await anna.sees(LINE, says("reached"))).buttons
        assert await stage.outcome() == "ANSWER"


async def test_a_card_is_pressed_after_a_restart(play: PlayMaker) -> None:
    async with with_card(play) as (stage, agent, anna, card):
        await stage.stop_astergram()
        async with started(stage.settings) as restarted:
            assert (await card.click()).message == "waiting"
            await talked(await asked(agent, anna), agent, restarted)
            assert not (await anna.sees(LINE, says("reached"))).buttons
            await restarted.registry.idle()


async def test_a_card_that_a_stopped_program_left_is_put_right(play: PlayMaker) -> None:
    """It says "calling" while nobody calls any more; the next start lets the person ask again."""
    async with with_card(play) as (stage, agent, anna, card):
        await card.click()
        call = await asked(agent, anna)
        await anna.sees(LINE, says("calling"))
        await stage.stop_astergram()
        await call.ended()
        await agent.closed()
        left = await anna.keypad(LINE)
        assert left.message.endswith("calling")
        async with started(stage.settings) as restarted:
            repaired = await anna.sees(LINE, says("later"))
            assert (await repaired.click()).message == "waiting"
            await talked(await asked(agent, anna), agent, restarted)
            await anna.sees(LINE, says("reached"))
            await restarted.registry.idle()


async def test_who_calls_a_line_that_is_full_gets_a_card(play: PlayMaker) -> None:
    settings = {**SETTINGS, "card": {"callback": "605@agents", "missed": True}}
    async with (
        play(bot=True, dialplan=AGENTS, lines=[settings]) as stage,
        stage.phone("101", auto_answer=True) as agent,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        first = await boris.call(LINE)
        await first.confirm(None, None)
        await stage.talking()
        second = await anna.call(LINE)
        assert (await second.ended()).reason == DiscardReason.BUSY.value()
        assert (await anna.keypad(LINE)).message == "We called"
        await first.hang_up()
        await agent.closed()
