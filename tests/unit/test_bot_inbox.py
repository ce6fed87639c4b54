"""What is meant for the bot of several machines, whichever of them has fetched it."""

from __future__ import annotations

import pytest

from ari_app.cluster.members import address_of
from ari_app.telegram import card_message, keypad_message
from ari_app.telegram.bot_api import Pressed, Question
from ari_app.telegram.bot_inbox import BotInbox
from ari_app.telegram.bot_machines import Answer, BotAlone, MachineAway
from ari_app.telegram.buttons import NOT_NOW, REFUSAL, Button, ButtonMessage, Keyboard, Press

LINE_ID, ANNA = 10, 20
MESSAGE = ButtonMessage("Press", ((Button("1", "test:1"), Button("2", "test:2")),))
DATA_BYTES = 64  # core.telegram.org/bots/api, InlineKeyboardButton


class Machine:
    """One with an inbox; ``net`` has those that can be asked, by address."""

    def __init__(self, name: str, net: dict[str, Machine]) -> None:
        self.address = address_of(name)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.garbles = False
        self.presses: list[Press] = []
        self.languages: dict[int, str] = {}
        self.net = net
        net[self.address] = self
        self.inbox = BotInbox(self, self.languages.__setitem__)
        self.inbox.on_press("test", self._press)

    def _press(self, press: Press) -> str | None:
        self.presses.append(press)
        return f"pressed {press.data}" if press.data != "test:2" else None

    def fetches(self) -> bool:
        return True

    def others(self) -> list[str]:
        return [address for address in self.net if address != self.address]

    async def ask(self, address: str, what: str, question: bytes) -> bytes:
        self.asked.append(address)
        if (other := self.net.get(address)) is None:
            raise MachineAway("it is away")
        return b"[]" if other.garbles else other.answers[what](question)

    def serve(self, what: str, answer: Answer) -> None:
        self.answers[what] = answer

    def shown(self) -> Keyboard:
        return self.inbox.addressed(MESSAGE.keyboard)


@pytest.fixture
def machines() -> tuple[Machine, Machine]:
    net: dict[str, Machine] = {}
    return Machine("a", net), Machine("b", net)


def press(data: str, id: str = "1") -> Pressed:
    return Pressed(id, Press(data, ANNA, "message"), "ru")


async def test_a_query_reaches_the_machine_whose_line_asks(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    for its, asked in ((a, []), (b, [b.address])):
        with its.inbox.offered(LINE_ID, MESSAGE) as query:
            question = Question("1", LINE_ID, query)
            assert a.inbox.may_be_asked_for(question)
            assert await a.inbox.found(question) == [ButtonMessage("Press", its.shown())]
            assert a.asked == asked
            assert await a.inbox.found(question) == [], "it is good once"
    with b.inbox.offered(LINE_ID, MESSAGE) as query:
        assert await a.inbox.found(Question("1", ANNA, query)) == [], "it is for the line only"
    assert (a.inbox.refused, b.inbox.refused) == (1, 2)


async def test_a_press_reaches_the_machine_that_has_made_the_button(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    for its in (b, a):
        first, second = its.shown()[0]
        assert await a.inbox.pressed(press(first.data, "1")) == "pressed test:1"
        assert await a.inbox.pressed(press(second.data, "2")) is None
        assert [each.data for each in its.presses] == ["test:1", "test:2"]
        assert its.languages == {ANNA: "ru"}
    assert len(a.asked) == 2


async def test_a_press_that_two_machines_have_fetched_is_done_once(machines: tuple[Machine, Machine]) -> None:
    """Whoever has fetched it could not tell Telegram so before another one went on."""
    a, b = machines
    data = a.shown()[0][0].data
    assert await a.inbox.pressed(press(data)) == "pressed test:1"
    assert await b.inbox.pressed(press(data)) is None
    assert len(a.presses) == 1


async def test_a_button_of_before_there_were_others_is_known_to_one_of_them(
    machines: tuple[Machine, Machine],
) -> None:
    a, b = machines
    a.inbox.on_press("test", lambda _: REFUSAL)
    assert await a.inbox.pressed(press("test:1")) == "pressed test:1"
    assert await a.inbox.pressed(press("garbage", "3")) == REFUSAL
    assert await b.inbox.pressed(press("test:1", "2")) == "pressed test:1"
    assert not b.asked


async def test_a_machine_that_is_away(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    del a.net[b.address]
    with b.inbox.offered(LINE_ID, MESSAGE) as query:
        assert await a.inbox.found(Question("1", LINE_ID, query)) == []
    assert await a.inbox.pressed(press(b.shown()[0][0].data)) == NOT_NOW
    assert not b.presses


@pytest.fixture
def three() -> tuple[Machine, Machine, Machine]:
    """All may do what one of them has made the button for."""
    net: dict[str, Machine] = {}
    a, b, c = (Machine(name, net) for name in "abc")
    for each in (a, b, c):
        each.inbox.on_press("test", each._press, shared=True)
    return a, b, c


async def test_who_fetches_a_press_for_a_machine_that_is_away_does_it(three: tuple[Machine, Machine, Machine]) -> None:
    a, b, c = three
    data = b.shown()[0][0].data
    assert await a.inbox.pressed(press(data, "1")) == "pressed test:1"
    assert (len(a.presses), len(b.presses), len(c.presses)) == (0, 1, 0), "it is there"
    del a.net[b.address]
    assert await a.inbox.pressed(press(data, "2")) == "pressed test:1"
    assert (len(a.presses), len(c.presses)) == (1, 0)


@pytest.mark.parametrize("told", [REFUSAL, NOT_NOW])
async def test_what_the_one_that_fetches_cannot_do_either_another_one_does(
    three: tuple[Machine, Machine, Machine], told: str
) -> None:
    a, b, c = three
    for each in (a, b):
        each.inbox.on_press("test", lambda _: told)
    for number, button in enumerate((b.shown(), a.shown())):
        assert await a.inbox.pressed(press(button[0][0].data, str(number))) == "pressed test:1"
    c.inbox.on_press("test", lambda _: told)
    assert await a.inbox.pressed(press(b.shown()[0][0].data, "3")) == told, "nobody can"
    del a.net[b.address]
    assert await a.inbox.pressed(press(b.shown()[0][0].data, "4")) == NOT_NOW, "b might"


async def test_a_press_that_was_done_is_not_done_elsewhere(three: tuple[Machine, Machine, Machine]) -> None:
    a, b, c = three
    data = b.shown()[0][0].data
    assert await a.inbox.pressed(press(data)) == "pressed test:1"
    assert await c.inbox.pressed(press(data)) is None
    assert len(b.presses) == 1 and not a.presses and not c.presses


async def test_a_machine_whose_answer_makes_no_sense(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    b.garbles = True
    with b.inbox.offered(LINE_ID, MESSAGE) as query:
        assert await a.inbox.found(Question("1", LINE_ID, query)) == []
    assert await a.inbox.pressed(press(b.shown()[0][0].data)) == NOT_NOW


@pytest.mark.parametrize("data", ["test:1@>", "test:1@*.bot.press", "test:1@", "@12345678", "garbage"])
async def test_whatever_somebody_invents_is_asked_of_nobody(machines: tuple[Machine, Machine], data: str) -> None:
    a, b = machines
    del a.net[b.address]
    await a.inbox.pressed(press(data))
    assert not a.asked
    assert not await a.inbox.found(Question("1", ANNA, f">.{data}"))
    assert not a.asked


async def test_one_machine_alone_has_no_address() -> None:
    inbox = BotInbox(BotAlone(), lambda *_: None)
    assert inbox.addressed(MESSAGE.keyboard) is MESSAGE.keyboard
    with inbox.offered(LINE_ID, MESSAGE) as query:
        assert "." not in query
        question = Question("1", LINE_ID, query)
        assert inbox.may_be_asked_for(question)
        assert await inbox.found(question) == [MESSAGE]
    assert not inbox.may_be_asked_for(Question("1", LINE_ID, f"{address_of('a')}.x"))
    assert await inbox.pressed(press(f"test:1@{address_of('a')}")) == REFUSAL


def test_there_is_room_for_an_address(machines: tuple[Machine, Machine]) -> None:
    a, _ = machines
    call_or_card = "123456789abc"
    keys = keypad_message.keyboard(keypad_message.signer(call_or_card, 2**63, keypad_message.new_secret()))
    card = card_message.keyboard(card_message.signer(call_or_card, 2**63, card_message.new_secret()), "Call me")
    for row in (*a.inbox.addressed(keys), *a.inbox.addressed(card)):
        assert all(len(each.data.encode()) <= DATA_BYTES for each in row)
