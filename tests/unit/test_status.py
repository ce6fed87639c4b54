"""What each light says, and the button that does something about it."""

from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls.drain import Drain
from ari_app.calls.reasons import Draining
from ari_app.i18n import message
from ari_app.lines.health import Colour, Remedy, StatusMonitor, account_status, asterisk_status, bot_status
from ari_app.telegram import dialogue as module
from ari_app.telegram.bot import BotState
from ari_app.telegram.dialogue import BotDialogue, BotProblem
from ari_app.telegram.line import LineState

SAID = message("What has happened.")


def line(state: LineState = LineState.READY, **values: Any) -> Any:
    known = {"condition": SAID, "frozen": "", "pauses": {}, "bot_problem": None, "dialogue": True}
    account = SimpleNamespace(api_id=values.pop("api_id", 1), api_hash="hash")
    return SimpleNamespace(state=state, account=account, **(known | values))


def bot(state: BotState) -> Any:
    return SimpleNamespace(state=state, sentence=SAID, username="astergram_bot")


@pytest.mark.parametrize(
    ("state", "values", "colour", "remedy"),
    [
        (BotState.NO_TOKEN, {}, Colour.GREY, Remedy.BOT_TOKEN),
        (BotState.REFUSED, {}, Colour.RED, Remedy.BOT_TOKEN),
        (BotState.CONFLICT, {}, Colour.RED, Remedy.BOT_TOKEN),
        (BotState.NO_INLINE, {}, Colour.RED, Remedy.INLINE_MODE),
        (BotState.CONNECTING, {}, Colour.ORANGE, None),
        (BotState.READY, {}, Colour.GREEN, None),
        (BotState.READY, {"dialogue": None}, Colour.GREEN, None),
        (BotState.READY, {"dialogue": False}, Colour.RED, Remedy.START_BOT),
        (BotState.READY, {"bot_problem": BotProblem(SAID, passes=False)}, Colour.RED, Remedy.BOT_TOKEN),
        (BotState.READY, {"bot_problem": BotProblem(SAID, passes=True)}, Colour.ORANGE, None),
    ],
)
def test_the_bots_light(state: BotState, values: dict[str, Any], colour: Colour, remedy: Remedy | None) -> None:
    light = bot_status(bot(state), line(**values))
    assert (light.colour, light.remedy) == (colour, remedy)


@pytest.mark.parametrize(
    ("its_line", "colour", "remedy"),
    [
        (line(), Colour.GREEN, None),
        (line(LineState.CONNECTING), Colour.ORANGE, None),
        (line(LineState.SIGNED_OUT), Colour.RED, Remedy.SIGN_IN),
        (line(LineState.SIGNED_OUT, api_id=0), Colour.RED, Remedy.APPLICATION),
    ],
)
def test_the_clients_light(its_line: Any, colour: Colour, remedy: Remedy | None) -> None:
    light = account_status(its_line)
    assert (light.colour, light.remedy) == (colour, remedy)


def test_asterisks_light() -> None:
    from ari_app.asterisk.errors import AriRefused
    from ari_app.asterisk.reconnecting import ConnectionState

    def ari(state: ConnectionState, error: Exception | None) -> Any:
        return SimpleNamespace(state=state, refusal=None, last_error=error, base="http://pbx:8088")

    connecting = next(state for state in ConnectionState if state is not ConnectionState.CONNECTED)
    refused = AriRefused.__new__(AriRefused)
    lights = [
        asterisk_status(ari(ConnectionState.CONNECTED, None)),
        asterisk_status(ari(connecting, None)),
        asterisk_status(ari(connecting, OSError("away"))),
        asterisk_status(ari(connecting, refused)),
    ]
    assert [(light.colour, light.remedy) for light in lights] == [
        (Colour.GREEN, None),
        (Colour.ORANGE, None),
        (Colour.ORANGE, Remedy.DOCTOR),
        (Colour.RED, Remedy.DOCTOR),
    ]


async def test_a_bot_whose_keypad_shows_needs_no_dialogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a message of its could not be sent, or it is another bot."""
    name = "calls_bot"

    async def no_dialogue(*_: object) -> bool:
        return False

    async def peer(*_: object) -> Any:
        return SimpleNamespace(user_id=7)

    monkeypatch.setattr(module, "has_dialogue", no_dialogue)
    monkeypatch.setattr(module, "bot_peer", peer)
    client: Any = None
    known = BotDialogue(lambda: name, lambda: None)
    await known._ask(client)
    assert known.open is False
    known.works()
    assert known.open
    await known._ask(client)  # an hour later
    assert known.open
    known.doubt()
    await known._ask(client)
    assert not known.open
    known.works()
    name = "another_bot"
    await known._ask(client)
    assert not known.open


async def test_what_is_known_of_a_line_that_is_not_signed_in_stands_in_its_status() -> None:
    ari, bus = SimpleNamespace(state=ConnectionState.CONNECTED, refusal=None), EventBus()
    known = message("Another machine is asked.")
    its_bot = bot(BotState.READY)
    monitor = StatusMonitor({}, ari, its_bot, bus, signed_out=lambda _: known)  # type: ignore[arg-type]
    for state, api_id, said in (
        (LineState.SIGNED_OUT, 1, known),
        (LineState.SIGNED_OUT, 0, SAID),
        (LineState.READY, 1, SAID),
        (LineState.CONNECTING, 1, SAID),
    ):
        light = monitor.lights(line(state, api_id=api_id, number="+1")).account
        assert light.sentence == said
        assert (light.colour is Colour.RED) is (state is LineState.SIGNED_OUT)


async def test_a_line_says_that_it_takes_no_calls_while_astergram_is_drained() -> None:
    bus, number = EventBus(), "+79990000001"
    drain = Drain(bus)
    ari, its_line = SimpleNamespace(state=ConnectionState.CONNECTED, refusal=None), line()
    its_line.number = number
    monitor = StatusMonitor({number: its_line}, ari, bot(BotState.READY), bus, drain)  # type: ignore[arg-type]
    before = monitor.status(its_line)
    assert before.asterisk.colour is Colour.GREEN
    drain.begin(1)
    drained = monitor.status(its_line)
    assert (drained.asterisk.colour, str(drained.asterisk.sentence)) == (Colour.ORANGE, str(Draining()))
    assert (drained.account, drained.bot) == (before.account, before.bot)
    drain.cancel(1)
    assert monitor.status(its_line).asterisk.colour is Colour.GREEN
