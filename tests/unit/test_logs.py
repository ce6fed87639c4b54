"""What a log entry about a line or a call says, and has as fields; and how it is written."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry
from ari_app.calls.scope import CallScope
from ari_app.logs import call_log, line_log, telegram_call_log
from media.logs import LogFormat, LogStyle, about, formatter, masked

LINE, OTHER = "+79990000001", "+79990000009"
PLAIN = "%(levelname)s %(name)s: %(message)s"
log = logging.getLogger(__name__)


def test_an_entry_names_its_line_or_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line_log(log, LINE).info("%d calls", 2)
    call_log(log, "c77").warning("over")
    telegram_call_log(log, 77).warning("over")
    line, call, telegram_call = caplog.records
    assert (line.getMessage(), line.__dict__["line"]) == (f"line {LINE}: 2 calls", LINE)
    assert (call.getMessage(), call.__dict__["call"]) == ("call c77: over", "c77")
    assert (telegram_call.getMessage(), telegram_call.__dict__["telegram_call"]) == ("Telegram call 77: over", "77")
    assert line.funcName == "test_an_entry_names_its_line_or_call"


@contextmanager
def written(of: LogFormat, *, mask: bool = False) -> Iterator[Callable[[], list[str]]]:
    """What this module's logger writes meanwhile, line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(LogStyle(of, mask), PLAIN))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield lambda: stream.getvalue().splitlines()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_an_entry_is_one_line_of_json() -> None:
    with written("json") as lines:
        line_log(log, LINE).warning('said "%s"\nand went', "Привет")
        (line,) = lines()
    entry = json.loads(line)
    at = datetime.fromisoformat(entry.pop("time"))
    assert at.tzinfo is not None
    assert abs(at.timestamp() - datetime.now().astimezone().timestamp()) < 3600
    assert entry == {
        "level": "WARNING",
        "logger": __name__,
        "message": f'line {LINE}: said "Привет"\nand went',
        "line": LINE,
    }
    assert "Привет" in line, "somebody reads it, too"


def test_a_traceback_is_a_field_of_its_entry() -> None:
    with written("json") as lines:
        try:
            raise ValueError("two\nlines")  # noqa: TRY301
        except ValueError:
            log.exception("unexpected error")
        log.info("where am I?", stack_info=True)
        first, second = map(json.loads, lines())
    assert first["exception"].startswith("Traceback (most recent call last):\n")
    assert first["exception"].endswith("ValueError: two\nlines")
    assert first["message"] == "unexpected error"
    assert second["exception"].startswith("Stack (most recent call last):\n")


def test_plain_text_is_a_line_an_entry() -> None:
    with written("plain") as lines:
        log.info("somebody wrote: one\ntwo")
        assert lines() == [f"INFO {__name__}: somebody wrote: one\\ntwo"]
        try:
            raise ValueError("wrong")  # noqa: TRY301
        except ValueError:
            log.exception("unexpected error")
        assert lines()[1] == f"ERROR {__name__}: unexpected error"
        assert lines()[-1] == "ValueError: wrong"


def told(line: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(line).items() if name in ("line", "call")}


async def test_what_a_call_does_is_about_it_whoever_writes() -> None:
    """Tasks that the call begins are about it, and its line is the one that it has by then."""
    registry = CallRegistry()

    async def handler(scope: CallScope) -> None:
        log.info("in its handler")
        scope.call.line = OTHER
        scope.spawn(task())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        scope.call.end(outcome.not_answered(1.0))

    async def task() -> None:
        log.info("in a task")

    with written("json") as lines:
        async with registry.admit(Direction.OUT, LINE, "@anna", 1) as call:
            scope = CallScope(call)
            await scope.run(handler(scope))
        log.info("afterwards")
        entries = {json.loads(line)["message"]: told(line) for line in lines()}
    assert entries["in its handler"] == {"line": LINE, "call": call.id}
    assert entries["in a task"] == {"line": OTHER, "call": call.id}
    assert entries["afterwards"] == {}
    (ended,) = [told(line) for line in lines() if "NOANSWER" in line]
    assert ended == {"line": OTHER, "call": call.id}


def test_text_names_what_its_words_do_not() -> None:
    with written("plain") as lines, about(lambda: {"line": LINE, "call": "c77"}):
        log.info("refused")
        call_log(log, "c77").info("refused")
        log.info("%s has c77", LINE)
        assert lines() == [
            f"INFO {__name__}: line {LINE}: call c77: refused",
            f"INFO {__name__}: line {LINE}: call c77: refused",
            f"INFO {__name__}: {LINE} has c77",
        ]


def test_one_handler_s_text_is_not_another_s() -> None:
    """A formatter leaves the record as it is."""
    with written("plain") as plain, written("json") as lines, about(lambda: {"call": "c77"}):
        log.info("refused")
        assert json.loads(lines()[0])["message"] == "refused"
        assert plain() == [f"INFO {__name__}: call c77: refused"]


def test_what_is_about_nothing_is_as_before() -> None:
    with written("plain") as lines:
        log.info("100 %% of %s", "it")
        assert lines() == [f"INFO {__name__}: 100 % of it"]


# Masked


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("card for +79990000002 (busy)", "card for +7***02 (busy)"),
        ("+4930123456, +79990000002.", "+4***56, +7***02."),
        ("PJSIP/79990000002-0000001a rings 89990000002@phones", "PJSIP/79***02-0000001a rings 89***02@phones"),
        ("a press of 5000000002 was refused", "a press of 50***02 was refused"),
        ("@anna_b calls; tg#anna_b", "@a*** calls; tg***"),
        ("Person(id=5000000002, phone='+79990000002')", "Person(id=50***02, phone='+7***02')"),
        # Nobody's.
        (f"line {LINE}: 2 calls", None),
        ("101@phones dials 600@queues", None),
        ("uniqueid 1790000000.7 at 1790000000.123 s", None),
        (
            "call 0f3a5c7e9b1d, Telegram call 5123456789012345678",
            "call 0f3a5c7e9b1d, Telegram call 5123456789012345678",
        ),
        ("lines/79990000001.session, lines/79990000001.signin.session", None),
        ("2026-11-29 18:20:05,123 from 192.0.2.1:40000, 1234567 bytes", None),
        ("wrong password from 2001:db8::1", None),
    ],
)
def test_a_number_is_told_apart_and_not_told(text: str, left: str | None) -> None:
    assert masked(text) == (text if left is None else left)


@pytest.mark.parametrize("of", ["plain", "json"])
def test_a_masked_entry_names_its_line_and_nobody_else(of: LogFormat) -> None:
    """Also where a traceback, or another's words, have a number."""
    with written(of, mask=True) as lines, about(lambda: {"line": LINE, "call": "c77"}):
        log.info("Found %s, calls through %s; ringing %s@office", "+79990000002", LINE, LINE[1:])
        try:
            raise ValueError("no answer of +79990000002 (@anna_b, 5000000002)")  # noqa: TRY301
        except ValueError:
            log.exception("unexpected error", stack_info=True)
        text = "\n".join(lines())
    assert not any(trace in text for trace in ("9990000002", "anna", "5000000002"))
    assert f"Found +7***02, calls through {LINE}; ringing {LINE[1:]}@office" in text
    assert "ValueError: no answer of +7***02 (@a***, 50***02)" in text
    if of == "json":
        assert [told(line) for line in lines()] == [{"line": LINE, "call": "c77"}] * 2


def test_nothing_is_masked_unless_it_is_set() -> None:
    with written("plain") as lines:
        log.info("card for %s", "+79990000002")
        assert lines() == [f"INFO {__name__}: card for +79990000002"]


def test_a_style_gets_to_another_program() -> None:
    for style in (LogStyle(), LogStyle("json"), LogStyle("plain", mask=True), LogStyle("json", mask=True)):
        assert LogStyle.of(style.arguments) == style
