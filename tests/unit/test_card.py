"""When a business card is sent, and what its button carries."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.card import Cards, reason_for
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.outcome import Direction, Ending
from ari_app.calls.rate_limiter import AGAIN_S, RateLimiter
from ari_app.store.card_files import CardFileRepository, CardFileRow
from ari_app.store.cards import CardRepository, CardRow
from ari_app.store.lines import LineRepository
from ari_app.store.store import open_store
from ari_app.tasks import background_tasks
from ari_app.telegram import errors
from ari_app.telegram.buttons import BotUnavailable, EditRefused, MaybeSent
from ari_app.telegram.card_message import Contact, Picture, keyboard, new_secret, pressed, signer
from ari_app.telegram.edited_message import EDIT_TRIES, EditedMessage, EditOutcome
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import Discarded, DiscardReason
from ari_app.telegram.profile import CardReason, CardRules, Target
from ari_app.telegram.signed_buttons import ForgedButton
from ari_app.telegram.texts import MessageTemplates

BIGGEST_ID = 2**52
IN, OUT, BACK = Direction.IN, Direction.OUT, Direction.BACK


def on_telegram(reason: DiscardReason | None, direction: Direction = OUT) -> Ending:
    return outcome.telegram_ended(Discarded(reason, 0), direction, talking=False)


def in_asterisk(cause: int, direction: Direction = OUT) -> Ending:
    return outcome.asterisk_ended(cause, direction, talking=False)


@pytest.mark.parametrize(
    ("direction", "ending", "rang_s", "reason"),
    [
        (OUT, outcome.not_answered(30), 30.0, CardReason.NO_ANSWER),
        (OUT, outcome.not_answered(20), None, CardReason.NO_ANSWER),
        (OUT, on_telegram(DiscardReason.MISSED), 30.0, CardReason.NO_ANSWER),
        (OUT, on_telegram(DiscardReason.BUSY), 3.0, CardReason.DECLINED),
        (OUT, on_telegram(DiscardReason.HANGUP), None, CardReason.DECLINED),
        (OUT, on_telegram(DiscardReason.BUSY), None, CardReason.BUSY),
        (OUT, outcome.failed(errors.Busy("")), None, CardReason.BUSY),
        (OUT, in_asterisk(127), 10.0, CardReason.CANCELLED),
        (OUT, in_asterisk(127), 9.9, None),
        (OUT, in_asterisk(127), None, None),
        (OUT, on_telegram(DiscardReason.DISCONNECT), 3.0, None),
        (OUT, outcome.no_media(5), 3.0, None),
        (OUT, outcome.shut_down(talking=False), 30.0, None),
        (OUT, outcome.shut_down(talking=True), 30.0, None),
        (OUT, outcome.failed(errors.Limited("", None)), None, None),
        (OUT, outcome.failed(errors.Restricted("")), None, None),
        (OUT, outcome.failed(errors.NotFound("")), None, None),
        (OUT, outcome.failed(errors.Unavailable("")), None, None),
        (OUT, outcome.failed(errors.NotReady("")), None, None),
        (BACK, outcome.not_answered(30), 30.0, None),
        (BACK, on_telegram(DiscardReason.BUSY, BACK), 3.0, None),
        (IN, on_telegram(DiscardReason.MISSED, IN), None, CardReason.MISSED),
        (IN, on_telegram(None, IN), None, None),  # another device of the line took it
        (IN, in_asterisk(17, IN), None, CardReason.MISSED),
        (IN, in_asterisk(19, IN), None, CardReason.MISSED),
        (IN, in_asterisk(38, IN), None, None),
    ],
)
async def test_what_a_card_is_sent_for(
    direction: Direction, ending: Ending, rang_s: float | None, reason: CardReason | None
) -> None:
    call = Call("1", direction, "+79990000001", "anna")
    call.end(ending)
    call.rang_s = rang_s
    assert reason_for(call, cancelled_after_s=10.0) is reason


async def test_no_card_after_they_talked() -> None:
    call = Call("1", OUT, "+79990000001", "anna")
    call.mark_media_up()
    call.end(on_telegram(DiscardReason.BUSY))
    assert reason_for(call, cancelled_after_s=0.0) is None


async def test_how_long_it_rang() -> None:
    call = Call("1", OUT, "+79990000001", "anna")
    call.mark_ringing()
    assert call.rang_s is None
    call.end(in_asterisk(127))
    assert call.rang_s is not None
    assert call.rang_s >= 0


def test_the_button_fits() -> None:
    signed = signer("AbCdEfGhIjKl", BIGGEST_ID, new_secret())
    data = keyboard(signed, "Call me back")[0][0].data
    assert data is not None
    assert len(data.encode()) <= 64
    signed.check(pressed(data), BIGGEST_ID)


@pytest.mark.parametrize("forged", ["another person", "another card", "another secret", "no signature", "garbage"])
def test_a_press_that_is_forged(forged: str) -> None:
    signed = signer("one", 5, new_secret())
    data, person_id = pressed(signed.data()), 5
    match forged:
        case "another person":
            person_id = 6
        case "another card":
            data = pressed(replace(signed, subject="two").data())
        case "another secret":
            data = pressed(signer("one", 5, new_secret()).data())
        case "no signature":
            data = replace(data, signature="")
        case "garbage":
            data = replace(data, signature="ключ")
    with pytest.raises(ForgedButton):
        signed.check(data, person_id)


@pytest.mark.parametrize("data", ["", "card", "card:one", "key:one:x", "card:one:two:three"])
def test_data_of_another_form(data: str) -> None:
    with pytest.raises(ForgedButton):
        pressed(data)


def test_one_request_of_a_person_at_a_time() -> None:
    now = 0.0
    turns = RateLimiter(lambda: now)
    assert turns.admit(5)
    assert turns.admit(6)
    assert not turns.admit(5)
    now = AGAIN_S
    assert not turns.admit(5)  # their call goes on
    turns.done(5)
    assert turns.admit(5)
    turns.done(5)
    assert not turns.admit(5)  # too soon
    now += AGAIN_S
    assert turns.admit(5)


def test_a_target() -> None:
    assert Target.parse("") is None
    assert Target.parse("605@phones") == Target("605", "phones")


async def test_cards_outlive_a_restart(tmp_path: Path) -> None:
    old = CardRow("old", "+79990000001", 5, "{}", "Hello", "Call me", new_secret(), 1.0)
    new = replace(old, id="new", sent_at=100.0)
    async with open_store(tmp_path / "astergram.db") as store:
        for card in (new, old, replace(old, id="failed")):
            CardRepository(store).save(card)
        CardRepository(store).save(replace(new, secret=""))
        CardRepository(store).delete("failed")
    async with open_store(tmp_path / "astergram.db") as store:
        assert await CardRepository(store).since(0.0) == [old, replace(new, secret="")]
        assert await CardRepository(store).since(50.0) == [replace(new, secret="")]
        assert await CardRepository(store).since(0.0) == [replace(new, secret="")]


# Sending, and what becomes of a card


class FakeLine:
    """Sends what it is asked to; ``error`` is raised for a message with a button."""

    def __init__(self, number: str, error: Exception | None = None) -> None:
        self.number = number
        self.card = CardRules(frozenset(CardReason), every_s=100.0, callback=Target("605", "agents"))
        self.error = error
        self.sent: list[str] = []
        self.templates = MessageTemplates("Company", number, number)

    async def peer(self, person_id: int) -> Any:
        return person_id

    async def send(self, peer: Any, text: str) -> None:
        self.sent.append("text")

    async def send_buttons(self, bot: Any, peer: Any, message: Any) -> int:
        if self.error:
            raise self.error
        self.sent.append("card")
        return 1


ANNA = Person(5)
SALES, SUPPORT = "+79990000001", "+79990000002"


@pytest.fixture
async def cards(tmp_path: Path) -> AsyncIterator[Cards]:
    async with open_store(tmp_path / "astergram.db") as store:
        yield Cards(KnownCards(store, lambda: 1000.0), store, cast(Any, None), lambda _: None, clock=lambda: 1000.0)


async def test_two_lines_send_one_person_one_card(cards: Cards) -> None:
    sales, support = FakeLine(SALES), FakeLine(SUPPORT)
    for line in (sales, support):
        await cards.send(cast(Any, line), ANNA, CardReason.MISSED)
    assert (sales.sent, support.sent) == (["card"], [])


class LineWithCard(FakeLine):
    """Whose card has a contact; what came before the text is in ``parts``."""

    def __init__(self) -> None:
        super().__init__(SALES)
        self.card = replace(self.card, contact=Contact("+78005553535", "Acme"))
        self.parts: list[Contact | Picture] = []

    async def send_card_part(self, peer: Any, part: Contact | Picture) -> None:
        self.parts.append(part)


async def test_a_card_goes_without_a_file_that_is_on_another_machine_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        await LineRepository(store).save(SALES, "{}")
        for kind in ("contact_vcard", "picture"):
            await CardFileRepository(store).save(CardFileRow(SALES, kind, "us", "image/png", b"x", 1.0))
        lacked: list[str] = []
        cards = Cards(KnownCards(store), store, cast(Any, None), lambda _: None, lacks=lambda _, kind: kind in lacked)
        for person, (what, vcard, pictures) in enumerate([("", "x", 1), ("picture", "x", 0), ("contact_vcard", "", 1)]):
            lacked[:] = [what]
            line = LineWithCard()
            await cards.send(cast(Any, line), Person(person), CardReason.MISSED)
            contact, *others = line.parts
            assert isinstance(contact, Contact)
            assert (contact.vcard, len(others), line.sent) == (vcard, pictures, ["card"])
    assert "a card goes without its picture: another machine has set it" in caplog.text


@pytest.mark.parametrize(
    ("error", "sent"), [(BotUnavailable("no bot"), ["text"]), (MaybeSent("no answer"), [])], ids=["refused", "unsure"]
)
async def test_a_card_that_may_have_been_sent_is_not_sent_again(
    cards: Cards, error: Exception, sent: list[str]
) -> None:
    line = FakeLine(SALES, error)
    await cards.send(cast(Any, line), ANNA, CardReason.MISSED)
    assert line.sent == sent
    await cards.send(cast(Any, line), ANNA, CardReason.MISSED)
    assert line.sent == sent


class FakeBot:
    """Refuses edits, one after another, as it is told to."""

    def __init__(self, *refusals: EditRefused | None) -> None:
        self.refusals = list(refusals)
        self.edits: list[str] = []

    async def edit(self, message_id: str, text: str, keyboard: Any) -> None:
        self.edits.append(text)
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal


async def progress(bot: FakeBot, *texts: str) -> EditOutcome:
    """Let a card say several things, the last one last."""
    shown = EditedMessage(cast(Any, bot), "message")
    async with asyncio.timeout(10), background_tasks() as tasks:
        running = tasks.create_task(shown.run())
        for text in texts:
            shown.show(text, (), last=text == texts[-1])
            for _ in range(5):
                await asyncio.sleep(0)
        return await running


async def test_a_card_that_is_deleted_is_edited_no_more() -> None:
    gone = EditRefused("MESSAGE_ID_INVALID", None)
    bot = FakeBot(gone)
    assert await progress(bot, "waiting", "calling", "later") is EditOutcome.GONE
    assert bot.edits == ["waiting"]
    bot = FakeBot(None, None, gone)
    assert await progress(bot, "waiting", "calling", "later") is EditOutcome.GONE
    bot = FakeBot(EditRefused("throttled", 0.0))
    assert await progress(bot, "waiting", "later") is EditOutcome.DONE
    bot = FakeBot(*[EditRefused("away", 0.0)] * EDIT_TRIES)
    assert await progress(bot, "later") is EditOutcome.NOT_NOW
    assert len(bot.edits) == EDIT_TRIES


async def test_a_card_that_an_unexpected_error_keeps_from_being_sent_is_not_counted_as_one(cards: Cards) -> None:
    line = FakeLine(SALES, OSError("no room"))
    with pytest.raises(OSError, match="no room"):
        await cards.send(cast(Any, line), ANNA, CardReason.MISSED)
    line.error = None
    await cards.send(cast(Any, line), ANNA, CardReason.MISSED)
    assert line.sent == ["card"]
