"""The connection to AMI: what it is sent, how it breaks, and that it comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ari_app.asterisk.ami import Fields
from ari_app.asterisk.ami_link import AmiLink
from ari_app.asterisk.ami_protocol import LONGEST
from ari_app.asterisk.errors import AriRefused, AriTimeout, AriUnreachable
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.backoff import Backoff
from tests.unit.fake_ami import WAIT_S, FakeAmi, client, error, fake_ami, silent
from tests.unit.fake_ari import eventually

AT_ONCE = Backoff(first_s=0.001, last_s=0.001)
NO_ANSWER_S = 0.05


@pytest.fixture
async def ami() -> AsyncIterator[FakeAmi]:
    async with fake_ami() as fake:
        yield fake


@asynccontextmanager
async def linked(ami: FakeAmi, timeout_s: float = WAIT_S, **options: Any) -> AsyncIterator[AmiLink]:
    link = AmiLink(lambda: client(ami, timeout_s), **{"backoff": AT_ONCE, "refused_s": 0.001, **options})
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(WAIT_S):
            yield link
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert link.state is ConnectionState.CLOSED


@asynccontextmanager
async def listening(ami: FakeAmi) -> AsyncIterator[Callable[[], Any]]:
    heard: asyncio.Queue[Fields] = asyncio.Queue()
    async with linked(ami, on_event=heard.put_nowait) as link:
        await link.connected()
        yield heard.get


def user_event(name: str, *lines: str) -> bytes:
    return "\r\n".join(["Event: UserEvent", "Privilege: user,all", f"UserEvent: {name}", *lines, "", ""]).encode()


async def test_sends_a_user_event(ami: FakeAmi) -> None:
    async with linked(ami) as link:
        await link.connected()
        await link.user_event("TelegramTest", {"Name": "Анна"}, "7")
    event = await ami.event()
    assert (event["UserEvent"], event["Name"], event["ActionID"]) == ("TelegramTest", "Анна", "7")


async def test_connects_again_after_a_cut(ami: FakeAmi) -> None:
    async with linked(ami) as link:
        for logins in (1, 2, 3):
            await link.connected()
            assert ami.logins == logins
            await link.user_event("TelegramTest", {}, "7")
            ami.cut()
            with pytest.raises(AriUnreachable):
                while True:
                    await link.user_event("TelegramTest", {}, "8")


async def test_a_refused_login_is_told_and_tried_again(ami: FakeAmi) -> None:
    ami.answer = error("Authentication failed", "Login")
    async with linked(ami) as link:
        await eventually(lambda: isinstance(link.last_error, AriRefused))
        with pytest.raises(AriUnreachable, match="not connected"):
            await link.user_event("TelegramTest", {}, "7")
        ami.answer = error("", "")
        await link.connected()
        assert link.last_error is None


async def test_an_event_that_may_not_be_sent_is_why_it_is_not_connected(ami: FakeAmi) -> None:
    ami.answer = error("Permission denied", "UserEvent")
    async with linked(ami, refused_s=WAIT_S) as link:
        await link.connected()
        with pytest.raises(AriRefused):
            await link.user_event("TelegramTest", {}, "7")
        await eventually(lambda: link.state is ConnectionState.WAITING)
        assert "write = user" in str(link.last_error)


async def test_what_has_worked_since_is_said_again(ami: FakeAmi, caplog: pytest.LogCaptureFixture) -> None:
    async with linked(ami) as link:
        for _ in range(2):
            caplog.clear()
            await link.connected()
            await link.user_event("TelegramTest", {}, "7")
            ami.cut()
            await eventually(lambda: "broke" in caplog.text)


async def test_an_event_without_an_answer_ends_the_connection(ami: FakeAmi) -> None:
    """Whether it was sent is not known: a later answer must not be taken for that to another one."""
    ami.answer = silent("UserEvent")
    async with linked(ami, NO_ANSWER_S) as link:
        await link.connected()
        with pytest.raises(AriTimeout):
            await link.user_event("TelegramTest", {}, "7")
        await link.connected()
        assert ami.logins == 2


async def test_an_asterisk_that_answers_nothing_any_more_is_noticed(ami: FakeAmi) -> None:
    ami.answer = silent("Ping")
    async with linked(ami, NO_ANSWER_S, ping_every_s=0.001):
        await eventually(lambda: ami.logins >= 2)


async def test_a_character_that_comes_in_two_pieces(ami: FakeAmi) -> None:
    async with listening(ami) as heard:
        event = user_event("TelegramSend", "Text: Анна")
        for byte in event:
            ami.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await heard())["Text"] == "Анна"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe: \r\n\r\n",
        b"Event\r\n\r\nEvent: \r\n\r\nResponse: \r\n\r\n: \r\n: \r\n\r\n",
        b"Response: Success\r\nActionID: nobody's\r\n\r\n",
        b"Response: Error\r\nMessage: Failed to parse message: line too long\r\n\r\n",
        user_event("X", "Event: Shutdown", "event: Shutdown", "Response: Success", "ActionID: 7", "ActionID: 8"),
        user_event("X", "UserEvent: Y", "Message: a", "content: b", "Result: %ff"),
    ],
)
async def test_what_makes_no_sense_is_passed_over(ami: FakeAmi, garbage: bytes) -> None:
    async with listening(ami) as heard:
        ami.send(garbage + user_event("Good"))
        while (await heard()).get("UserEvent") != "Good":
            pass
        assert ami.logins == 1


async def test_a_user_event_is_no_answer(ami: FakeAmi) -> None:
    """Any AMI user may send one with our request's ActionID; the event would count as sent."""
    ami.answer = silent("UserEvent")
    async with linked(ami, NO_ANSWER_S) as link:
        await link.connected()
        sending = asyncio.create_task(link.user_event("TelegramTest", {}, "7"))
        await ami.event()
        ami.send(user_event("Forged", "ActionID: 7", "Response: Success"))
        with pytest.raises(AriTimeout):
            await sending


async def test_a_message_without_an_end(ami: FakeAmi) -> None:
    async with linked(ami) as link:
        await link.connected()
        ami.send(b"Event: " + b"x" * (LONGEST + 1))
        await eventually(lambda: ami.logins >= 2)


async def test_an_error_in_whoever_is_told_ends_nothing(ami: FakeAmi) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def fail(event: Fields) -> None:
        heard.put_nowait(str(event["UserEvent"]))
        raise ZeroDivisionError

    async with linked(ami, on_event=fail) as link:
        await link.connected()
        ami.send(user_event("One") + user_event("Two"))
        assert [await heard.get(), await heard.get()] == ["One", "Two"]
        assert ami.logins == 1
