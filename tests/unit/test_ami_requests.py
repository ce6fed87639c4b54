"""Requests by AMI: who may ask, what is answered, and what never is done twice."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.pbx import ami_requests
from ari_app.pbx.ami_requests import ANSWERS, FRESH_S, AmiRequests, signature
from ari_app.pbx.events import ReportedEvent, TelegramResponse
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.errors import NotReady
from ari_app.telegram.profile import Target
from tests.unit.fake_ari import eventually

EVENTS_PAGE = Path(__file__).parents[2] / "docs/events.md"
KEY, NOW = "a key", 1_790_000_000.0


class Services:
    """Does what it is told, or fails."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.error: Exception | None = None
        self.hangs = False
        self.recorded: list[tuple[str, str, str]] = []

    async def send(self, line: str | None, to: str, text: str) -> None:
        await self._do(line, to, text)

    async def call(self, line: str | None, to: str, target: Target) -> str:
        await self._do(line, to, target)
        return "call1"

    def record(self, user: str, request: str, subject: str) -> None:
        self.recorded.append((user, request, subject))

    def hang_up(self, call_id: str) -> bool:
        self.done.append(call_id)
        return call_id == "call1"

    async def _do(self, *what: Any) -> None:
        self.done.append(what)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error


class Rig:
    """Requests, and what was answered."""

    def __init__(self, tasks: Any) -> None:
        self.services = Services()
        self.now = NOW
        self.asked: list[str] = []
        self.answers: asyncio.Queue[ReportedEvent] = asyncio.Queue()
        self.requests = AmiRequests(
            self.services, {"crm": KEY}, self.answers.put_nowait, self.asked.append, tasks, clock=lambda: self.now
        )

    def ask(self, name: str, key: str = KEY, **headers: str) -> None:
        """A request, signed."""
        signed = {"UserEvent": name, "ActionID": "1", "User": "crm", "Time": f"{NOW:.0f}", **headers}
        self.requests.take({**signed, "Event": "UserEvent", "Signature": signature(key, signed)})

    async def answer(self) -> tuple[str, str]:
        async with asyncio.timeout(5):
            answer = await self.answers.get()
        assert isinstance(answer, TelegramResponse)
        return answer.result, answer.message


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    async with guarded_tasks() as tasks:
        yield Rig(tasks)


async def test_what_is_asked_is_done_and_answered() -> None:
    async with rig() as it:
        it.ask("TelegramSend", To="@anna", Text="Hello")
        assert await it.answer() == ("Success", "Text sent to @anna.")
        it.ask("TelegramCall", ActionID="2", To="@anna", Exten="101@phones", Line="+7999")
        assert (await it.answer())[0] == "Success"
        it.ask("TelegramHangup", ActionID="3", CallID="call1")
        assert (await it.answer())[0] == "Success"
        assert [(user, request) for user, request, _ in it.services.recorded] == [
            ("crm", "TelegramSend"),
            ("crm", "TelegramCall"),
            ("crm", "TelegramHangup"),
        ]
        assert it.services.done == [
            (None, "@anna", "Hello"),
            ("+7999", "@anna", Target("101", "phones")),
            "call1",
        ]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"key": "another"}, "Signature"),
        ({"User": "nobody"}, "requesters"),
        ({"User": ""}, "requesters"),
        ({"Time": f"{NOW - FRESH_S - 1:.0f}"}, "clocks"),
        ({"Time": "nan"}, "clocks"),
        ({"Time": "yesterday"}, "Unix time"),
        ({"ActionID": ""}, "ActionID"),
        ({"Time": f"{NOW - 1:.0f}"}, "before Astergram was started"),
    ],
)
async def test_who_may_not_ask_is_told_why(how: dict[str, str], said: str) -> None:
    async with rig() as it:
        headers = {"To": "@anna", "Text": "Hello"} | how
        signed = {name: value for name, value in headers.items() if name != "key"}
        base = {"UserEvent": "TelegramSend", "ActionID": "1", "User": "crm", "Time": f"{NOW:.0f}"} | signed
        present = {name: value for name, value in base.items() if value}
        it.requests.take({**base, "Signature": signature(how.get("key", KEY), present)})
        result, message = await it.answer()
        assert result == "Error"
        assert said in message
        assert KEY not in message
        assert it.services.done == []


@pytest.mark.parametrize("given", ["", "я", "\x00", "ab" * 600])
async def test_a_signature_that_can_be_none(given: str) -> None:
    async with rig() as it:
        it.requests.take({"UserEvent": "TelegramHangup", "ActionID": "1", "User": "crm", "Signature": given})
        assert "Signature" in (await it.answer())[1]


async def test_who_asks_without_end_is_not_answered_without_end(caplog: pytest.LogCaptureFixture) -> None:
    async with rig() as it:
        for number in range(3 * ANSWERS):
            it.requests.take({"UserEvent": "TelegramStatus", "ActionID": str(number)})
            it.ask("TelegramSend", key="another", ActionID=str(number), To="@anna", Text="Hello")
        assert len(it.asked) == it.answers.qsize() == ANSWERS
        assert len(caplog.records) == 2
        it.ask("TelegramSend", ActionID="mine", To="@anna", Text="Hello")
        await eventually(lambda: len(it.services.done) == 1)


@pytest.mark.parametrize("changed", ["To", "Text", "Line", "User", "Time", "ActionID"])
async def test_nobody_can_change_what_was_signed(changed: str) -> None:
    async with rig() as it:
        signed = {"UserEvent": "TelegramSend", "ActionID": "1", "User": "crm", "Time": f"{NOW:.0f}", "To": "@anna"}
        signed["Text"] = "Hello"
        it.requests.take({**signed, "Signature": signature(KEY, signed), changed: "1790000001"})
        assert (await it.answer())[0] == "Error"
        assert it.services.done == []


async def test_a_request_is_done_once() -> None:
    async with rig() as it:
        it.ask("TelegramSend", To="@anna", Text="Hello")
        it.ask("TelegramSend", To="@anna", Text="Hello")
        said = {await it.answer(), await it.answer()}
        assert ("Error", "this ActionID was used already") in said
        assert len(it.services.done) == 1


@pytest.mark.parametrize(
    ("name", "headers", "said"),
    [
        ("TelegramSend", {"Text": "Hello"}, "To is missing"),
        ("TelegramSend", {"To": "@anna"}, "Text is missing"),
        ("TelegramCall", {"To": "@anna", "Exten": "101@"}, "EXTENSION@CONTEXT"),
        ("TelegramCall", {"To": "@anna", "Exten": "@phones"}, "EXTENSION@CONTEXT"),
        ("TelegramCall", {"To": "@anna", "Exten": "101@phones/n&PJSIP/102"}, "EXTENSION@CONTEXT"),
        ("TelegramCall", {"To": "@anna", "Exten": "1 01@phones"}, "EXTENSION@CONTEXT"),
        ("TelegramHangup", {"CallID": "call9"}, "no live call call9"),
    ],
)
async def test_what_makes_no_sense_is_refused(name: str, headers: dict[str, str], said: str) -> None:
    async with rig() as it:
        it.ask(name, **headers)
        result, message = await it.answer()
        assert result == "Error"
        assert said in message


async def test_what_goes_wrong_is_answered() -> None:
    async with rig() as it:
        it.services.error = NotReady("line +7999 is signed out")
        it.ask("TelegramSend", To="@anna", Text="Hello")
        assert await it.answer() == ("Error", "line +7999 is signed out")
        failures = FAILURES.count
        it.services.error = RuntimeError("a secret of ours")
        it.ask("TelegramSend", ActionID="2", To="@anna", Text="Hello")
        assert await it.answer() == ("Error", "unexpected error; the log has it")
    assert FAILURES.count == failures + 1


async def test_what_takes_too_long_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_requests, "ANSWER_S", 0.01)
    async with rig() as it:
        it.services.hangs = True
        it.ask("TelegramSend", To="@anna", Text="Hello")
        assert await it.answer() == (
            "Error",
            "no answer of Telegram's within 0.01 s; it may have been done all the same",
        )


async def test_there_are_not_too_many_at_a_time() -> None:
    async with rig() as it:
        it.services.hangs = True
        for number in range(ami_requests.AT_A_TIME + 1):
            it.ask("TelegramSend", ActionID=str(number), To="@anna", Text="Hello")
        result, message = await it.answer()
        assert result == "Error"
        assert "ask again" in message


async def test_who_waits_when_the_program_stops_is_answered() -> None:
    async with rig() as it:
        it.services.hangs = True
        it.ask("TelegramSend", To="@anna", Text="Hello")
        await asyncio.sleep(0)
    assert await it.answer() == ("Error", "Astergram was stopped; it may have been done all the same")


async def test_status_needs_no_signature_and_others_are_left_alone() -> None:
    async with rig() as it:
        it.requests.take({"UserEvent": "TelegramStatus", "ActionID": "7"})
        it.requests.take({"UserEvent": "TelegramCallEnded", "ActionID": "8"})
        it.requests.take({"UserEvent": "Anything"})
        assert it.asked == ["7"]
        assert it.answers.empty()


async def test_the_example_of_the_page_is_signed_as_it_has_to_be() -> None:
    example = EVENTS_PAGE.read_text().partition("In Python:\n\n")[2].partition("\n\n")[0]
    sent: list[dict[str, str]] = []
    manager = SimpleNamespace(send_action=sent.append)
    clock = SimpleNamespace(time=lambda: NOW)
    exec(dedent(example), {"hmac": hmac, "time": clock, "key": KEY, "manager": manager})  # noqa: S102 - our own page's
    async with rig() as it:
        it.requests.take(sent[0])
        assert (await it.answer())[1] == f"there is no live call {sent[0]['CallID']}"


async def test_a_text_of_several_lines() -> None:
    """And AMI's own Line, which it sends with ``debug = on``."""
    async with rig() as it:
        signed = {"UserEvent": "TelegramSend", "ActionID": "1", "User": "crm", "Time": f"{NOW:.0f}", "To": "@anna"}
        signed |= {"Text": "one\ntwo", "Line": "+7999"}
        sent: dict[str, Any] = {**signed, "Text": ["one", "two"], "Line": ["5311", "+7999"]}
        it.requests.take({**sent, "Signature": signature(KEY, signed)})
        assert (await it.answer())[0] == "Success"
        assert it.services.done == [("+7999", "@anna", "one\ntwo")]
