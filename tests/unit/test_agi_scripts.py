"""What a dialplan gets from each script, asked over a socket as Asterisk does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ari_app.asterisk import agi
from ari_app.asterisk.agi import AgiServer
from ari_app.asterisk.legs import PbxChannel
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry
from ari_app.pbx.agi_scripts import NOBODY, AgiScripts
from ari_app.reports.audit import Actor
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.buttons import MaybeSent
from ari_app.telegram.errors import Frozen, Limited, NotReady, Restricted, SignedOut, Unreachable
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import LineState
from ari_app.telegram.peers import Callee
from ari_app.telegram.profile import Callers
from tests.unit.agi_client import HOST, WAIT_S, asked, calling, header
from tests.unit.fake_telegram import PEER
from tests.unit.pbx_lines import ANNA, NOBODY_THERE, PHONE, SALES, SUPPORT, PbxCards, PbxLine, services

LINKEDID = "1795943447.4"
STATUS, REASON = "TELEGRAM_AGI_STATUS", "TELEGRAM_AGI_REASON"
FROM_EARLIER = {
    **dict.fromkeys(NOBODY, "somebody else"),
    "TELEGRAM_EXISTS": "yes",
    "TELEGRAM_SENT": "yes",
    "TELEGRAM_CARD": "yes",
    "TELEGRAM_LINE_STATE": "online",
    "TELEGRAM_LINE_FREE": "5",
    "TELEGRAM_LINE_PAUSE": "5",
    STATUS: "OK",
    REASON: "something",
}
"""What earlier requests have left on a channel."""


@dataclass
class Pbx:
    """Everything that can be asked."""

    port: int
    line: PbxLine
    cards: PbxCards
    registry: CallRegistry
    audited: list[tuple[Actor, str, str]] = field(default_factory=list)

    async def ask(self, script: str, *arguments: str) -> dict[str, str]:
        """The channel's variables afterwards."""
        return await asked(self.port, script, *arguments, **FROM_EARLIER, **{"CHANNEL(linkedid)": LINKEDID})


@asynccontextmanager
async def pbx_of(*others: PbxLine, timeout_s: float = WAIT_S) -> AsyncIterator[Pbx]:
    made = Pbx(0, PbxLine(), PbxCards(), CallRegistry())
    async with asyncio.timeout(2 * WAIT_S), guarded_tasks() as tasks:
        asked_for = services(tasks, made.line, *others, cards=made.cards, registry=made.registry)
        scripts = AgiScripts(asked_for, made.registry, lambda *entry: made.audited.append(entry))
        server = AgiServer(HOST, 0, scripts.by_name, scripts.failed, timeout_s=timeout_s)
        tasks.supervise(server.run, "FastAGI")
        await server.listening()
        made.port = server.port
        yield made


@pytest.fixture
async def pbx(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Pbx]:
    caplog.set_level(logging.INFO)
    async with pbx_of() as made:
        yield made


def told(variables: Mapping[str, str], *names: str) -> tuple[str, ...]:
    return tuple(variables[name] for name in (*names, STATUS))


async def test_somebody_who_is_on_telegram(pbx: Pbx) -> None:
    variables = await pbx.ask("lookup", PHONE)
    assert told(variables, "TELEGRAM_EXISTS", REASON) == ("yes", "", "OK")
    assert {name: variables[name] for name in NOBODY} == {
        "TELEGRAM_ID": "20",
        "TELEGRAM_PHONE": PHONE,
        "TELEGRAM_USERNAME": "anna_b",
        "TELEGRAM_FIRST_NAME": 'Анна "А"',
        "TELEGRAM_LAST_NAME": "Б",
        "TELEGRAM_LANGUAGE": "ru",
    }


@pytest.mark.parametrize(
    ("error", "exists", "status"),
    [
        (NOBODY_THERE, "no", "NOTFOUND"),
        (Limited("wait", 30), "limited", "LIMITED"),
        (Frozen("frozen"), "unknown", "RESTRICTED"),
        (Restricted("in the deny list"), "unknown", "RESTRICTED"),
        (NotReady("connecting"), "unknown", "UNAVAILABLE"),
        (SignedOut("revoked"), "unknown", "UNAVAILABLE"),
        (Unreachable("no answer"), "unknown", "ERROR"),
        (TimeoutError(), "unknown", "TIMEOUT"),
    ],
    ids=repr,
)
async def test_a_lookup_that_finds_nobody(pbx: Pbx, error: Exception, exists: str, status: str) -> None:
    """Nothing is left of what an earlier one has found."""
    pbx.line.answers = [error]
    variables = await pbx.ask("lookup", PHONE)
    assert told(variables, "TELEGRAM_EXISTS") == (exists, status)
    assert {name: variables[name] for name in NOBODY} == NOBODY
    assert variables[REASON]
    assert FAILURES.count == 0


@pytest.mark.parametrize(
    "arguments", [(), ("",), ("112",), ("+7",), (PHONE, "line=1", "x"), (PHONE + " x",), ("a\nb",)], ids=repr
)
async def test_what_can_not_be_looked_up(pbx: Pbx, arguments: tuple[str, ...]) -> None:
    pbx.line.answers = [KeyError("was asked")] if arguments != ("112",) else [NOBODY_THERE]
    variables = await pbx.ask("lookup", *arguments)
    expected = "NOTFOUND" if arguments == ("112",) else "MALFORMED"
    assert told(variables) == (expected,)


async def test_a_named_line(pbx: Pbx) -> None:
    for name in ("line=79990000001", "line=+79990000001", " 79990000001", "+79990000001", "line=", ""):
        assert told(await pbx.ask("lookup", PHONE, name), "TELEGRAM_EXISTS") == ("yes", "OK")
    assert told(await pbx.ask("lookup", PHONE, "line=79990000077"), "TELEGRAM_EXISTS") == ("unknown", "UNAVAILABLE")


async def test_the_line_of_the_phone_that_asks() -> None:
    support = PbxLine(SUPPORT, callers=Callers(frozenset({"102"})), answers=[NOBODY_THERE])
    async with pbx_of(support) as pbx:
        for caller, exists in (("101", "yes"), ("unknown", "yes"), ("102", "no")):
            async with calling(pbx.port, header("lookup", PHONE, agi_callerid=caller)) as client:
                assert (await client.run())["TELEGRAM_EXISTS"] == exists


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("Hello",), "Hello"),
        ((" Hello", " Anna", "", "bye "), "Hello, Anna,,bye"),
        (("Hello", " Anna", "line=79990000001"), "Hello, Anna"),
        (("Ring us: +79990000001",), "Ring us: +79990000001"),
        (("Ring us", "+79990000001"), "Ring us,+79990000001"),
        (("two\nlines", "x: y"), "two\nlines,x: y"),
        (('"quoted" \\ Привет 🙂',), '"quoted" \\ Привет 🙂'),
    ],
)
async def test_a_text_is_sent_as_it_is(pbx: Pbx, arguments: tuple[str, ...], sent: str) -> None:
    assert told(await pbx.ask("send", PHONE, *arguments), "TELEGRAM_SENT", REASON) == ("yes", "", "OK")
    assert pbx.line.sent == [sent]


@pytest.mark.parametrize("arguments", [(), (PHONE,), (PHONE, ""), (PHONE, " ", "line=79990000001"), ("nobody", "Hi")])
async def test_a_text_that_can_not_be_sent(pbx: Pbx, arguments: tuple[str, ...]) -> None:
    assert told(await pbx.ask("send", *arguments), "TELEGRAM_SENT") == ("no", "MALFORMED")
    assert pbx.line.sent == []


ENDINGS = [
    (NOBODY_THERE, "no", "NOTFOUND"),
    (Restricted("privacy"), "no", "RESTRICTED"),
    (Limited("PEER_FLOOD", None), "no", "LIMITED"),
    (NotReady("connecting"), "no", "UNAVAILABLE"),
    (MaybeSent("no answer"), "unknown", "ERROR"),
    (TimeoutError(), "unknown", "TIMEOUT"),
]


@pytest.mark.parametrize(("error", "sent", "status"), ENDINGS, ids=repr)
async def test_whether_it_was_sent(pbx: Pbx, error: Exception, sent: str, status: str) -> None:
    pbx.line.answers, pbx.cards.error = [error], error
    variables = await pbx.ask("send", PHONE, "Hello")
    assert told(variables, "TELEGRAM_SENT") == (sent, status)
    assert variables[REASON]
    pbx.line.answers = [Callee(ANNA, PEER)]
    if not isinstance(error, TimeoutError):
        assert told(await pbx.ask("card", PHONE), "TELEGRAM_CARD") == (sent, status)


async def test_a_card(pbx: Pbx) -> None:
    assert told(await pbx.ask("card", PHONE, "line=79990000001"), "TELEGRAM_CARD", REASON) == ("yes", "", "OK")
    assert pbx.cards.sent == [(SALES, ANNA.id)]
    assert told(await pbx.ask("card"), "TELEGRAM_CARD") == ("no", "MALFORMED")


async def test_an_unexpected_error_is_said_and_counted(pbx: Pbx, caplog: pytest.LogCaptureFixture) -> None:
    pbx.line.answers = [KeyError("oops")]
    assert told(await pbx.ask("lookup", PHONE), "TELEGRAM_EXISTS") == ("unknown", "ERROR")
    assert told(await pbx.ask("send", PHONE, "Hello"), "TELEGRAM_SENT") == ("unknown", "ERROR")
    assert FAILURES.count == 2


async def test_what_a_dialplan_sends_is_in_the_audit_log(pbx: Pbx) -> None:
    """Whom, from which place of the dialplan, of which Asterisk; never the text. What only reads is not."""
    for script, *arguments in (("send", PHONE, "a secret text"), ("card", PHONE), ("lookup", PHONE), ("line", SALES)):
        assert (await pbx.ask(script, *arguments))[STATUS] == "OK", script
    place = Actor("FastAGI", "600@sales", HOST)
    assert pbx.audited == [(place, "text sent", PHONE), (place, "card sent", PHONE)]
    pbx.line.answers = [NOBODY_THERE]
    await pbx.ask("send", PHONE, "another")
    assert len(pbx.audited) == 2


async def test_the_text_is_in_no_log(pbx: Pbx, caplog: pytest.LogCaptureFixture) -> None:
    await pbx.ask("send", PHONE, "secret")
    pbx.line.answers = [KeyError("oops")]
    await pbx.ask("send", PHONE, "secret")
    await pbx.ask("send", "nobody", "secret")
    assert PHONE in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_late_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agi, "ANSWER_SHARE", 0.99)
    async with pbx_of() as pbx:
        pbx.line.waits_for = asyncio.Event()
        assert told(await pbx.ask("lookup", PHONE), "TELEGRAM_EXISTS") == ("unknown", "TIMEOUT")
        assert told(await pbx.ask("send", PHONE, "Hello"), "TELEGRAM_SENT") == ("unknown", "TIMEOUT")
        assert pbx.line.sent == []
        pbx.line.waits_for, pbx.cards.let_go = None, asyncio.Event()
        assert told(await pbx.ask("card", PHONE), "TELEGRAM_CARD") == ("unknown", "TIMEOUT")
        pbx.cards.let_go.set()
        while not pbx.cards.sent:  # noqa: ASYNC110 - it goes on by itself
            await asyncio.sleep(0)


async def test_the_call_that_a_channel_belongs_to(pbx: Pbx) -> None:
    async with pbx.registry.admit(Direction.IN, SALES, "20", 2, ANNA) as call:
        call.channel = PbxChannel("1795943447.9", "Local/79990000001@from-telegram-1;1", LINKEDID)
        variables = await pbx.ask("identity")
    assert told(variables, REASON) == ("", "OK")
    assert {name: variables[name] for name in call.variables()} == call.variables()


async def test_a_channel_without_a_call_keeps_what_it_has(pbx: Pbx) -> None:
    variables = await pbx.ask("identity")
    assert told(variables, "TELEGRAM_ID") == ("somebody else", "NOTFOUND")


@pytest.mark.parametrize("number", ["79990000001", "+79990000001", "line=+79990000001"])
async def test_a_line(pbx: Pbx, number: str) -> None:
    names = "TELEGRAM_LINE_STATE", "TELEGRAM_LINE_FREE", "TELEGRAM_LINE_PAUSE"
    assert told(await pbx.ask("line", number), *names) == ("online", "2", "0", "OK")
    pbx.line.pauses = {CALL: (89.1, "FLOOD_WAIT_60")}
    async with pbx.registry.admit(Direction.IN, SALES, "x", 2):
        assert told(await pbx.ask("line", number), *names) == ("online", "1", "90", "OK")
    pbx.line.state = LineState.SIGNED_OUT
    assert told(await pbx.ask("line", number), *names) == ("signed-out", "0", "90", "OK")


@pytest.mark.parametrize("arguments", [(), ("",), ("79990000077",), ("79990000001", "x")])
async def test_no_such_line(pbx: Pbx, arguments: tuple[str, ...]) -> None:
    names = "TELEGRAM_LINE_STATE", "TELEGRAM_LINE_FREE", "TELEGRAM_LINE_PAUSE"
    assert told(await pbx.ask("line", *arguments), *names) == ("unknown", "0", "0", "NOTFOUND")


async def test_a_script_that_does_not_exist(pbx: Pbx) -> None:
    variables = await pbx.ask("lokup", PHONE)
    assert told(variables) == ("MALFORMED",)
    assert variables[REASON] == "there is no script 'lokup', but lookup, identity, send, card, line"
