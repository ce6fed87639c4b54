"""Typed texts as keys, and the order and bounds of a call's keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_app.asterisk.errors import AriTimeout, LegEnded
from ari_app.asterisk.hangup import Hangup
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.dtmf import MAX_DIGITS, MAX_WAITING, DigitsRefused, DtmfQueue, digits_of
from ari_app.calls.events import CallEnded, CallEvent, DigitsDialled, DigitsLost
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.claims import OnlyMachine
from ari_app.tasks import background_tasks
from ari_app.telegram.peers import Person


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("102", "102"),
        (" 1 0-2# ", "102#"),
        ("*9,,5A", "*9,,5A"),
        ("١٠٢", "102"),
        ("1" * MAX_DIGITS, "1" * MAX_DIGITS),
        ("1" * (MAX_DIGITS + 1), None),
        ("", None),
        ("-", None),
        (",", None),
        ("102!", None),
        ("bad", None),
        ("E", None),
        ("ext 102", None),
        ("1\n2", None),
        ("½", None),
        ("²", None),
    ],
)
def test_which_texts_are_keys(text: str, keys: str | None) -> None:
    assert digits_of(text) == keys


class Sent:
    """Where keys go; can be slow, or fail."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.errors: list[Exception] = []
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, key: str) -> None:
        await self.free.wait()
        if self.errors:
            raise self.errors.pop()
        self.keys.append(key)


@asynccontextmanager
async def sending(keys: DtmfQueue, sent: Sent) -> AsyncIterator[None]:
    async with background_tasks() as tasks:
        tasks.create_task(keys.send_with(sent))
        yield


def a_call() -> Call:
    call = Call("id", Direction.IN, "+79990000001", "7")
    call.dtmf.open()
    return call


async def taken(events: asyncio.Queue[CallEvent], count: int) -> list[CallEvent]:
    async with asyncio.timeout(5):
        return [await events.get() for _ in range(count)]


async def test_keys_go_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.calls.dtmf.GATHER_S", 0.05, raising=False)
    events, sent = asyncio.Queue[CallEvent](), Sent()
    keys = DtmfQueue(events.put_nowait)
    keys.open()
    keys.press("1,,0")  # before anybody listens
    sent.free.clear()
    async with sending(keys, sent):
        keys.press("2")
        sent.free.set()
        assert await taken(events, 1) == [DigitsDialled(3)]
    assert sent.keys == ["1", "ww0", "2"]


async def test_a_lost_key_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.calls.dtmf.GATHER_S", 0.05, raising=False)
    events, sent = asyncio.Queue[CallEvent](), Sent()
    keys = DtmfQueue(events.put_nowait)
    keys.open()
    sent.errors.append(AriTimeout("POST /channels/x/dtmf: no answer"))
    async with sending(keys, sent):
        keys.press("12")
        assert await taken(events, 2) == [DigitsLost(1, "AriTimeout"), DigitsDialled(1)]
    assert sent.keys == ["2"]


async def test_keys_of_a_call_that_ends_are_told_before_its_end() -> None:
    call, sent = a_call(), Sent()
    async with sending(call.dtmf, sent):
        call.dtmf.press("123")
        async with asyncio.timeout(5):
            while len(sent.keys) < 3:  # noqa: ASYNC110 - it has no event of its own
                await asyncio.sleep(0)
        call.end(outcome.shut_down(talking=False))
    dialled, ended = (each.event for each in call.events)
    assert dialled == DigitsDialled(3)
    assert ended == CallEnded.of(outcome.shut_down(talking=False))


async def test_keys_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps pressing makes one event of it, and another after a pause."""
    monkeypatch.setattr("ari_app.calls.dtmf.GATHER_S", 0.05)
    events, sent = asyncio.Queue[CallEvent](), Sent()
    keys = DtmfQueue(events.put_nowait)
    keys.open()
    sent.errors.append(AriTimeout("POST /channels/x/dtmf: no answer"))
    sent.errors.append(AriTimeout("POST /channels/x/dtmf: no answer"))
    async with sending(keys, sent):
        for _ in range(500):
            keys.press("1")
            await asyncio.sleep(0)
        assert await taken(events, 2) == [DigitsLost(2, "AriTimeout"), DigitsDialled(498)]
        keys.press("1")
        assert await taken(events, 1) == [DigitsDialled(1)]


async def test_a_leg_that_ended_is_told() -> None:
    call, sent = a_call(), Sent()
    sent.errors.append(LegEnded("it ended", Hangup.with_cause(16)))
    call.dtmf.press("1")
    with pytest.raises(LegEnded):
        await call.dtmf.send_with(sent)


def test_keys_are_taken_only_while_the_call_lives() -> None:
    call = Call("id", Direction.IN, "+79990000001", "7")
    with pytest.raises(DigitsRefused, match="no call that takes keys"):
        call.dtmf.press("1")
    call.dtmf.open()
    call.dtmf.press("1")
    call.end(outcome.shut_down(talking=False))
    with pytest.raises(DigitsRefused, match="no call that takes keys"):
        call.dtmf.press("1")


def test_all_keys_or_none() -> None:
    keys = a_call().dtmf
    keys.press("1" * (MAX_WAITING - 1))
    with pytest.raises(DigitsRefused, match="wait to be sent"):
        keys.press("12")
    keys.press("1")
    with pytest.raises(DigitsRefused, match="a key is one of"):
        keys.press("x")


async def test_whose_call_takes_keys() -> None:
    registry = CallRegistry()
    async with (
        registry.admit(Direction.OUT, "+79990000001", "+79990000002", 3) as first,
        registry.admit(Direction.IN, "+79990000001", "7", 3) as second,
    ):
        assert registry.dtmf_call("+79990000001", 7) is None
        for call in (first, second):
            call.person = Person(7)
            call.dtmf.open()
        assert registry.dtmf_call("+79990000001", 7) is second
        assert registry.dtmf_call("+79990000001", 8) is None
        assert registry.dtmf_call("+79990000009", 7) is None
        second.end(outcome.shut_down(talking=False))
        assert registry.dtmf_call("+79990000001", 7) is first


async def test_what_was_written_before_the_call_is_neither_dialled_nor_answered() -> None:
    """Telegram delivers it when the line is back, and then another call may be live."""
    pressed: list[str] = []

    async def press(key: str) -> None:
        pressed.append(key)

    line, nobody = SimpleNamespace(number="+79990000001"), cast(Any, None)
    registry = CallRegistry()
    dispatcher = CallDispatcher({}, registry, nobody, nobody, nobody, nobody, OnlyMachine())
    async with registry.admit(Direction.IN, line.number, "7", 1, Person(7)) as call, background_tasks() as tasks:
        call.dtmf.open(since=1000.0)
        tasks.create_task(call.dtmf.send_with(press))
        assert dispatcher.on_text(cast(Any, line), 7, "101", 999.0)
        assert dispatcher.on_text(cast(Any, line), 7, "2", 1000.0)  # Telegram's dates are whole seconds
        assert not dispatcher.on_text(cast(Any, line), 7, "hello", 999.0)
        async with asyncio.timeout(10):
            while not pressed:  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0)
        call.end(outcome.shut_down(talking=False))
    assert pressed == ["2"]
