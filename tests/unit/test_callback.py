"""A person presses the button of their business card: what the PBX, Telegram and the card do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from telethon.tl import types

from ari_app.calls import callback as callback_module
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.callback import CallBackHandler
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.card import Cards
from ari_app.calls.events import CallBackRequested, PbxAnswered, PbxRinging
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.shared_cards import OwnCards
from ari_app.store.cards import CardRow
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.buttons import NOT_NOW, REFUSAL, ButtonMessage, EditRefused, Keyboard, Press
from ari_app.telegram.card_message import pressed
from ari_app.telegram.errors import Limited
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason, CardRules, Target
from tests.unit.call_rig import PASSES_S, CallRig, call_rig, flow
from tests.unit.fake_ari import eventually
from tests.unit.fake_telegram import ANNA, accepted, discarded, waiting

BUSY = types.PhoneCallDiscardReasonBusy
MESSAGE = "inline message"
PERSON = Person(ANNA, first_name="Anna")


class FakeBot:
    """Keeps what each message was edited to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.buttons: Keyboard = ()
        self.refusal: EditRefused | None = None

    async def first_attempt_done(self) -> None:
        """It is ready."""

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        if self.refusal:
            raise self.refusal
        self.texts.append(text)
        self.buttons = keyboard


class CallBacks:
    """A line whose card Anna has."""

    def __init__(self, rig: CallRig, cards: Cards, bot: FakeBot, tasks: Any) -> None:
        self.rig, self.cards, self.bot = rig, cards, bot
        self.registry = CallRegistry()
        self.data = ""
        self.sent: list[str] = []
        line = rig.line
        line.peer, line.send, line.send_buttons = self._peer, self._send, self._send_buttons
        self.handler = CallBackHandler(
            cards.known,
            {line.number: line},
            cast(Any, bot),
            self.registry,
            rig.resources,
            lambda work, what: tasks.spawn(work, what),
        )

    async def _peer(self, person_id: int) -> int:
        return person_id

    async def _send(self, peer: int, text: str) -> None:
        self.sent.append(text)

    async def _send_buttons(self, bot: Any, peer: int, message: ButtonMessage) -> int:
        self.data = message.keyboard[0][0].data
        return 1

    def press(self, person_id: int = ANNA, data: str = "") -> str | None:
        """Somebody presses the button; what pops up over their chat."""
        return self.handler.press(Press(data or self.data, person_id, MESSAGE))

    async def call(self) -> Call:
        await eventually(lambda: bool(self.registry.calls))
        return next(iter(self.registry.calls.values()))

    async def talks(self) -> str:
        """The agent answers, and then Anna; the agent's channel."""
        leg = await self.rig.dialplan("Up")
        await self.rig.telegram.asked_for("phone.requestCall")
        await self.rig.telegram.tells(waiting(received=1))
        await self.rig.telegram.tells(accepted())
        call = await self.call()
        async with asyncio.timeout(PASSES_S):
            await call.connected()
        return leg

    async def over(self) -> Call:
        await eventually(lambda: bool(self.registry.ended))
        async with asyncio.timeout(PASSES_S):
            await self.registry.idle()
        return self.registry.ended[-1]

    async def says(self, name: str) -> None:
        """Wait until the card says how it ended."""
        said = self.rig.line.templates.text(name, PERSON)
        await eventually(lambda: bool(self.bot.texts) and self.bot.texts[-1].endswith(said))


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[CallBacks]:
    async with made(tmp_path) as callbacks:
        yield callbacks


@asynccontextmanager
async def made(folder: Path) -> AsyncIterator[CallBacks]:
    async with call_rig() as rig, open_store(folder / "astergram.db") as store, guarded_tasks() as tasks:
        rig.line.card = CardRules(frozenset(CardReason), callback=Target("605", "agents"))
        bot = FakeBot()
        cards = Cards(KnownCards(store), store, cast(Any, bot), lambda _: None)
        callbacks = CallBacks(rig, cards, bot, tasks)
        await cards.send(rig.line, PERSON, CardReason.NO_ANSWER)
        yield callbacks


async def test_the_agent_and_the_person_talk(it: CallBacks) -> None:
    assert it.press() == it.rig.line.templates.text("callback_waiting", PERSON)
    leg = await it.talks()
    call = await it.call()
    await it.rig.hangs_up(leg)
    await it.over()
    await it.says("callback_reached")
    assert it.bot.buttons == (), "its button has done its work"
    assert flow(call)[:3] == [CallBackRequested, PbxRinging, PbxAnswered]
    assert it.rig.ari.asked(f"POST /channels/{leg}/ring") == it.rig.ari.asked(f"DELETE /channels/{leg}/ring") == 1
    assert it.press() == REFUSAL


async def test_the_card_says_how_far_it_is(it: CallBacks) -> None:
    it.press()
    await it.says("callback_waiting")
    leg = await it.rig.dialplan("Up")
    await it.says("callback_calling")
    await it.rig.hangs_up(leg)
    await it.says("callback_later")
    assert it.bot.buttons, "they may press again"


@pytest.mark.parametrize(("cause", "status"), [(17, Status.BUSY), (19, Status.NOANSWER), (42, Status.ERROR)])
async def test_nobody_in_the_pbx_takes_it(it: CallBacks, cause: int, status: Status) -> None:
    it.press()
    await it.rig.hangs_up(await it.rig.dialplan("Down"), cause)
    call = await it.over()
    await it.says("callback_later")
    assert call.ending is not None
    assert call.ending.status is status
    assert it.rig.telegram.requests["phone.requestCall"] == [], "Anna's Telegram does not ring for nobody"


async def test_an_agent_who_never_answers(it: CallBacks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback_module, "AGENT_S", 0.01)
    it.press()
    assert (await it.over()).ending == outcome.not_answered(0.01)
    await it.says("callback_later")


async def test_the_person_does_not_take_it(it: CallBacks) -> None:
    it.press()
    leg = await it.rig.dialplan("Up")
    await it.rig.telegram.asked_for("phone.requestCall")
    await it.rig.telegram.tells(discarded(BUSY()))
    call = await it.over()
    await it.says("callback_later")
    assert call.ending is not None
    assert call.ending.status is Status.BUSY
    assert it.rig.ari.queries[f"DELETE /channels/{leg}"] == {"reason": "busy"}


async def test_telegram_limits_the_line(it: CallBacks) -> None:
    it.rig.line.limits.refusal = Limited("Telegram asks to wait 30 s", 30)
    it.press()
    call = await it.over()
    assert call.ending is not None
    assert call.ending.status is Status.LIMITED
    assert it.rig.ari.asked("POST /channels") == 0
    await it.says("callback_later")


async def test_a_full_line_calls_back_later(it: CallBacks) -> None:
    async with it.registry.admit(Direction.IN, it.rig.line.number, "7", 1) as call:
        it.press()
        await it.says("callback_later")
        call.end(outcome.shut_down(talking=False))


async def test_no_room_for_one_more_call_calls_back_later(it: CallBacks) -> None:
    it.registry.admission.capacity.limits = AdmissionLimits(max_calls=1)
    async with it.registry.admit(Direction.IN, "+79990000005", "7", 1) as call:
        it.press()
        await it.says("callback_later")
        call.end(outcome.shut_down(talking=False))
    assert it.bot.buttons, "they may press again"


async def test_a_press_of_somebody_else_is_refused(it: CallBacks) -> None:
    assert it.press(ANNA + 1) == it.rig.line.templates.text("callback_not_yours", Person(ANNA + 1))
    assert it.press(data="card:forged") == REFUSAL
    assert it.registry.counted["callback.refused"] == 2
    assert it.registry.calls == {}


async def test_who_cannot_call_leaves_it_to_a_machine_that_can(it: CallBacks) -> None:
    others: set[str] = set()
    it.handler._others_take = others.__contains__
    it.rig.line.online = None
    others.add(it.rig.line.number)
    assert it.press() == NOT_NOW
    others.clear()
    assert it.press() == it.rig.line.templates.text("callback_waiting", PERSON), "it may be back in a moment"


class SharedElsewhere(OwnCards):
    """Another machine serves whatever is asked for."""

    knows = False

    def is_served(self, card: CardRow) -> bool:
        return self.knows

    async def claimed(self, card: CardRow, message_id: str) -> CardRow | None:
        return None


async def test_what_another_machine_serves_is_left_to_it(it: CallBacks) -> None:
    shared = it.cards.known._shared = SharedElsewhere()
    assert it.press() == it.rig.line.templates.text("callback_waiting", PERSON)
    await eventually(lambda: not it.handler._rate_limiter._running)
    assert not it.registry.calls and not it.bot.texts
    shared.knows = True
    assert it.press() == it.rig.line.templates.text("callback_too_soon", PERSON)


async def test_the_next_request_is_not_too_soon_after_one_that_another_machine_has_served(it: CallBacks) -> None:
    known = it.cards.known
    card = known.find(pressed(it.data).subject)
    assert card
    known.follow(card.changed("b", tells_in=MESSAGE))
    known.follow(card.changed("b", tells_in=MESSAGE).changed("b", tells_in=""))
    assert it.press() == it.rig.line.templates.text("callback_too_soon", PERSON)


async def test_one_request_at_a_time(it: CallBacks) -> None:
    it.press()
    assert it.press() == it.rig.line.templates.text("callback_too_soon", PERSON)
    await it.rig.hangs_up(await it.rig.dialplan("Down"))
    await it.over()
    assert len(it.registry.ended) == 1


async def test_who_has_deleted_the_card_and_is_not_reached_gets_a_text(it: CallBacks) -> None:
    it.bot.refusal = EditRefused("message to edit not found", retry_s=None)
    it.press()
    await it.rig.hangs_up(await it.rig.dialplan("Down"), 17)
    await it.over()
    await eventually(lambda: it.sent == [it.rig.line.templates.text("callback_later", PERSON)])
    assert it.press() == REFUSAL, "the card is gone"


async def test_a_card_that_a_killed_program_left_is_put_right(it: CallBacks) -> None:
    card = it.cards.known.find(pressed(it.data).subject)
    assert card
    await it.cards.known.claim(card, MESSAGE)
    await it.handler.repair_cards(it.rig.line)
    await it.says("callback_later")


async def test_a_card_that_another_machine_has_left_is_put_right_once_it_is_gone(it: CallBacks) -> None:
    known = it.cards.known
    card = known.find(pressed(it.data).subject)
    assert card
    known.follow(card.changed("b", tells_in=MESSAGE))
    await it.handler.repair_cards(it.rig.line)
    await it.handler.repair_cards(it.rig.line, lambda _: False)
    assert not it.handler._edits
    await it.handler.repair_cards(it.rig.line, lambda _: True)
    await it.says("callback_later")
    await eventually(lambda: not known.telling(it.rig.line.number, lambda _: True))


async def test_a_card_whose_bot_was_away_for_long_is_put_right_once_it_is_back(
    it: CallBacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback_module, "EDIT_AGAIN_S", 0.0)
    it.bot.refusal = EditRefused("the bot is unreachable", retry_s=0.0)
    it.press()
    await it.rig.hangs_up(await it.rig.dialplan("Down"), 17)
    await it.over()
    known, number = it.cards.known, it.rig.line.number
    for _ in range(100):
        await asyncio.sleep(0)
    assert known.telling(number), "else nobody knows that it says something wrong"
    it.bot.refusal = None
    await it.says("callback_later")
    await eventually(lambda: not known.telling(number))
