"""A machine that is signed in by itself: how often it tries, what its status says, and when it is left to a person.

By virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.bus import ACCOUNT, EventBus
from ari_app.cluster.devices import LEFT, SIGNED_IN, WANTED
from ari_app.i18n import message
from ari_app.lines.line_devices import CHECK_S, SPACING_S, TRIES, LineDevices
from ari_app.lines.settings import NoSuchLine, SettingRefused
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.errors import NotReady
from ari_app.telegram.line import LineState
from ari_app.telegram.signin_view import SignInState, SignInView
from ari_app.wrong import Wrong
from tests.fast_time import run

LINE, OTHER = "+79990000001", "+79990000002"
HOUR_S = 3600.0
REFUSED = SignInView(SignInState.ENDED, 0.0, error=message("Nobody is there."), refusal="NOT_ACCEPTED")
PASSWORD = SignInView(SignInState.PASSWORD_NEEDED, 0.0)
CANCELLED = SignInView(SignInState.ENDED, 0.0)


def line(
    number: str = LINE, state: LineState = LineState.SIGNED_OUT, user_id: int | None = None, api_id: int = 1
) -> Any:
    account = SimpleNamespace(api_id=api_id, api_hash="hash")
    return SimpleNamespace(number=number, state=state, user_id=user_id, account=account)


@dataclass
class Machine:
    """One whose sign-ins come to what `leads_to` says."""

    lines: dict[str, Any]
    had: set[str] = field(default_factory=set)
    due: bool = True
    leads_to: Callable[[str], SignInView | None] = lambda _: REFUSED
    tried: list[tuple[str, float]] = field(default_factory=list)
    open: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.bus = EventBus()
        its: Any = self  # lines, sign-ins and what is kept, all in one
        clock = asyncio.get_running_loop().time
        self.devices = LineDevices(its.lines, its, its, self.bus, lambda _: self.due, clock)

    # As SignIns

    def is_open(self, number: str) -> bool:
        return number in self.open

    async def by_machine_alone(self, number: str) -> SignInView | None:
        self.tried.append((number, asyncio.get_running_loop().time()))
        await asyncio.sleep(0.1)
        view = self.leads_to(number)
        if view and view.state is SignInState.SIGNED_IN:
            self.becomes(LineState.READY, number)
        return view

    # As LineRepository

    async def had_device(self) -> set[str]:
        return set(self.had)

    async def has_device(self, number: str) -> None:
        self.had.add(number)

    def becomes(self, state: LineState, number: str = LINE) -> None:
        self.lines[number].state = state
        self.bus.publish(ACCOUNT, number)

    @property
    def word(self) -> str:
        return self.devices.words().get(LINE, "")

    @property
    def said(self) -> str:
        return str(self.devices.said(LINE) or "")


@asynccontextmanager
async def at_work(*lines: Any, **values: Any) -> AsyncIterator[Machine]:
    machine = Machine({each.number: each for each in lines or (line(),)}, **values)
    async with guarded_tasks() as tasks:
        tasks.supervise(machine.devices.follow, "follow")
        tasks.supervise(machine.devices.run, "run")
        await asyncio.sleep(CHECK_S / 2)
        yield machine


def test_it_is_signed_in_and_the_status_says_no_more_of_it() -> None:
    async def scene() -> None:
        async with at_work(leads_to=lambda _: SignInView(SignInState.SIGNED_IN, 0.0)) as machine:
            assert machine.word == WANTED
            await asyncio.sleep(HOUR_S)
            assert [number for number, _ in machine.tried] == [LINE]
            assert (machine.word, machine.said, machine.had) == (SIGNED_IN, "", {LINE})

    run(scene)


def test_what_is_due_for_a_moment_only_is_left_alone() -> None:
    async def scene() -> None:
        async with at_work() as machine:
            await asyncio.sleep(CHECK_S)
            machine.due = False
            await asyncio.sleep(HOUR_S)
            assert machine.tried == []

    run(scene)


def test_what_is_refused_is_tried_again_ever_later_and_then_given_up() -> None:
    async def scene() -> None:
        async with at_work() as machine:
            await asyncio.sleep(3 * CHECK_S)
            assert (len(machine.tried), machine.word) == (1, WANTED)
            assert machine.said == "Not signed in here; the other machines are asked again later. Nobody is there."
            await asyncio.sleep(24 * HOUR_S)
            times = [at for _, at in machine.tried]
            pauses = [after - before for before, after in pairwise(times)]
            assert len(times) == TRIES
            assert pauses[0] > 50
            assert all(after > 1.5 * before for before, after in pairwise(pauses[:-1]))
            assert machine.word == "", "it is another machine's turn"
            assert machine.said.startswith(f"Not signed in here, although the other machines were asked {TRIES} times")
            # Somebody has signed it in; it was signed out on purpose since.
            machine.becomes(LineState.READY)
            await asyncio.sleep(1)
            machine.becomes(LineState.SIGNED_OUT)
            await asyncio.sleep(HOUR_S)
            assert (len(machine.tried), machine.word, machine.said) == (TRIES, LEFT, "")

    run(scene)


ERRORS = (
    NotReady("away"),
    SettingRefused(Wrong("api_id", message("Set it."))),
    NoSuchLine(message("There is no line.")),
)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_errors_are_refusals(error: Exception) -> None:
    def fails(_: str) -> SignInView:
        raise error

    async def scene() -> None:
        async with at_work(leads_to=fails) as machine:
            await asyncio.sleep(3 * CHECK_S)
            assert machine.said.startswith("Not signed in here;")
            await asyncio.sleep(24 * HOUR_S)
            assert len(machine.tried) == TRIES

    run(scene)


def test_an_unexpected_error_is_not_tried_more_often() -> None:
    def fails(_: str) -> SignInView:
        raise ZeroDivisionError

    async def scene() -> None:
        failures = FAILURES.count
        async with at_work(leads_to=fails) as machine:
            await asyncio.sleep(24 * HOUR_S)
            assert len(machine.tried) == TRIES == FAILURES.count - failures
            assert (machine.word, machine.said) == ("", "")

    run(scene)


@pytest.mark.parametrize("view", [PASSWORD, CANCELLED])
def test_what_is_a_persons_matter_is_not_begun_again(view: SignInView) -> None:
    async def scene() -> None:
        async with at_work(leads_to=lambda _: view) as machine:
            await asyncio.sleep(24 * HOUR_S)
            assert (len(machine.tried), machine.word) == (1, LEFT)
            assert ("two-step password" in machine.said) is (view is PASSWORD)
            assert machine.had == {LINE}, "nor after the next start"
            machine.becomes(LineState.READY)
            await asyncio.sleep(1)
            assert machine.said == ""

    run(scene)


def test_who_has_gone_on_with_it_themselves_is_not_disturbed() -> None:
    async def scene() -> None:
        async with at_work(leads_to=lambda _: SignInView(SignInState.CODE_SENT, 0.0)) as machine:
            machine.open.add(LINE)
            assert machine.word == LEFT
            await asyncio.sleep(HOUR_S)
            assert machine.tried == []
            machine.open.clear()
            await asyncio.sleep(3 * CHECK_S)
            assert (len(machine.tried), machine.said) == (1, "")

    run(scene)


@pytest.mark.parametrize(
    ("its_line", "had", "word"),
    [
        (line(state=LineState.READY, user_id=1), set(), SIGNED_IN),
        (line(state=LineState.CONNECTING, user_id=1), set(), SIGNED_IN),
        (line(state=LineState.CONNECTING), set(), LEFT),
        (line(), {LINE}, LEFT),
        (line(api_id=0), set(), ""),
    ],
)
def test_what_has_a_device_or_shall_have_none(its_line: Any, had: set[str], word: str) -> None:
    async def scene() -> None:
        async with at_work(its_line, had=had) as machine:
            assert machine.word == word
            await asyncio.sleep(HOUR_S)
            assert machine.tried == []

    run(scene)


def test_a_machine_that_may_not_be_signed_in_by_itself_wants_nothing() -> None:
    async def scene() -> None:
        async with at_work() as machine:
            its: Any = machine
            alone = LineDevices(its.lines, its, its, EventBus(), None)
            assert alone.words() == {LINE: LEFT}, "until what was is known"
            async with guarded_tasks() as tasks:
                tasks.supervise(alone.follow, "follow")
                await asyncio.sleep(1)
                assert alone.words() == {}

    run(scene)


def test_many_lines_are_signed_in_one_after_the_other() -> None:
    async def scene() -> None:
        async with at_work(line(), line(OTHER), leads_to=lambda _: SignInView(SignInState.SIGNED_IN, 0.0)) as machine:
            await asyncio.sleep(HOUR_S)
            (first, at), (second, later) = machine.tried
            assert {first, second} == {LINE, OTHER} and later - at >= SPACING_S

    run(scene)


def test_a_line_that_is_removed_and_added_again_is_as_new() -> None:
    async def scene() -> None:
        async with at_work(line(state=LineState.READY)) as machine:
            del machine.lines[LINE]
            machine.bus.publish("lines", LINE)
            await asyncio.sleep(1)
            machine.lines[LINE] = line()
            await asyncio.sleep(3 * CHECK_S)
            assert len(machine.tried) == 1

    run(scene)
