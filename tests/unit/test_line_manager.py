"""Whatever goes wrong while a line is changed, it is at work afterwards, or it is no more a line."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.bus import EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.duty import Alone
from ari_app.cluster.file_leases import FileLeases
from ari_app.cluster.shared_settings import NotShared
from ari_app.lines.factory import Accounts
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.lines import Lines
from ari_app.lines.manager import LineManager
from ari_app.lines.settings import LineSettings, NoSuchLine
from ari_app.store.lines import LineRepository
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.account import Account, Server
from ari_app.telegram.errors import NotReady
from tests.other_machines import OtherMachines

LINE, OTHER = "+79990000001", "+79990000002"
FULL = sqlite3.OperationalError("database or disk is full")
PATIENCE_S = 10.0


class FakeLine:
    """Runs until it is stopped; letting go of its session takes a moment."""

    def __init__(self, number: str, account: Account) -> None:
        self.number = number
        self.account = account
        self.running = 0
        self.error: Exception | None = None  # of letting go of its session
        self.deaf = 0  # how many times it goes on although it is cancelled

    async def run(self) -> None:
        self.running += 1
        assert self.running == 1, "two hold one session"
        try:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if not self.deaf:
                        raise
                    self.deaf -= 1
        finally:
            await asyncio.sleep(0)
            self.running -= 1
            if error := self.error:
                self.error = None
                raise error

    def require_online(self) -> Any:
        return SimpleNamespace(session=object())

    def about_to_run(self) -> None: ...

    def use(self, profile: Any) -> None: ...

    def fail(self, error: BaseException) -> None: ...


class World:
    """A line book in which every step that takes time can fail, or wait."""

    def __init__(self, folder: Path) -> None:
        self.accounts = Accounts(Server(host="127.0.0.1", port=1), lambda number: folder / f"{number}.session")
        self.broken = ""
        self.error: BaseException | None = None  # None: the step waits until it is `repaired`
        self.reached = asyncio.Event()
        self.repaired = asyncio.Event()
        self.steps: list[str] = []
        self.book: Any = None

    async def step(self, name: str) -> None:
        self.steps.append(name)
        if name != self.broken:
            return
        self.reached.set()
        if isinstance(self.error, asyncio.CancelledError):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        if self.error:
            raise self.error
        await self.repaired.wait()

    def stepping(self, name: str, whole: Callable[..., Awaitable[Any]] | None = None) -> Callable[..., Any]:
        """Something that takes time, in place of what it stands for or before it."""

        async def stepped(*arguments: Any, **options: Any) -> Any:
            await self.step(name)
            return await whole(*arguments, **options) if whole else None

        return stepped

    # lines.factory.LineFactory

    def line(self, settings: LineSettings) -> Any:
        return FakeLine(settings.number, self.account(settings))

    def forget(self, number: str) -> None:
        """Nobody is told of it anyway."""

    def account(self, settings: LineSettings) -> Account:
        return self.accounts.of(settings, InstallationSettings(api_id=1, api_hash="hash"))

    def profile(self, settings: LineSettings) -> Any:
        return None

    # lines.manager.Chats

    async def run(self, line: Any) -> None:
        await asyncio.Event().wait()

    async def at_last(self, line: Any) -> None:
        await self.step("clean_up")

    async def at_work(self, number: str) -> None:
        """Wait until exactly one holds the line's session."""
        async with asyncio.timeout(PATIENCE_S):
            while self.book.lines[number].running != 1:  # noqa: ASYNC110 - what counts is how many run
                await asyncio.sleep(0)


@asynccontextmanager
async def at_work(made: World, folder: Path) -> AsyncIterator[World]:
    """Two lines are."""
    async with open_store(folder / "astergram.db") as store, guarded_tasks() as tasks:
        factory: Any = made
        duty = Alone(FileLeases(folder / "leases"))
        made.book = LineManager(store, Lines(), factory, made, CallRegistry(), EventBus(), tasks, duty)
        for number in (LINE, OTHER):
            await made.book.add(LineSettings.of({"number": number}))
            await made.at_work(number)
        yield made


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two lines are at work."""
    made = World(tmp_path)
    book_module = "ari_app.lines.manager"
    for name in ("save", "remove", "forget_caches"):
        monkeypatch.setattr(LineRepository, name, made.stepping(name, getattr(LineRepository, name)))
    monkeypatch.setattr(CallRegistry, "end_calls", made.stepping("end_calls"))
    monkeypatch.setattr("ari_app.telegram.setup.log_out", made.stepping("log_out"))
    monkeypatch.setattr(f"{book_module}.adopt", made.stepping("adopt"))
    monkeypatch.setattr(f"{book_module}.retire", made.stepping("retire"))
    monkeypatch.setattr("asyncio.to_thread", made.stepping("to_thread"))
    async with at_work(made, tmp_path):
        made.steps.clear()
        yield made


Change = Callable[[World], Any]


def reset(world: World) -> Any:
    return world.book.reset(LINE)


def remove(world: World) -> Any:
    return world.book.remove(LINE)


def log_out(world: World) -> Any:
    return world.book.log_out(LINE)


def other_application(world: World) -> Any:
    return world.book.change(LINE, {"api_id": 2, "api_hash": "other"})


def new_session(world: World) -> Any:
    return world.book._adopt(world.book.lines[LINE].account)


CHANGES = {
    reset: ("end_calls", "clean_up", "forget_caches", "to_thread"),
    remove: ("end_calls", "clean_up", "remove", "to_thread"),
    log_out: ("end_calls", "clean_up", "log_out", "to_thread"),
    other_application: ("save", "end_calls"),
    new_session: ("end_calls", "adopt", "retire"),
}
EVERY_STEP = [
    pytest.param(change, step, id=f"{change.__name__}-{step}") for change, steps in CHANGES.items() for step in steps
]


async def nothing_left_to_do(world: World) -> None:
    """The line is at work, or it is gone; and whatever is asked for next is done."""
    if LINE in world.book.lines:
        await world.at_work(LINE)
        assert world.book.settings(LINE).number == LINE
        await world.book.reset(LINE)
        await world.at_work(LINE)
        await world.book.remove(LINE)
    with pytest.raises(NoSuchLine):
        world.book.line(LINE)
    assert LINE not in await world.book._repository.all()
    await world.book.add(LineSettings.of({"number": LINE}))
    await world.at_work(LINE)
    assert world.book.lines[OTHER].running == 1


@pytest.mark.parametrize(("change", "step"), EVERY_STEP)
async def test_nothing_fails(world: World, change: Change, step: str) -> None:
    await change(world)
    assert step in world.steps
    await nothing_left_to_do(world)


@pytest.mark.parametrize("error", [FULL, OSError("no space"), asyncio.CancelledError()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(("change", "step"), EVERY_STEP)
async def test_a_step_fails(world: World, change: Change, step: str, error: BaseException) -> None:
    world.broken, world.error = step, error
    with suppress(sqlite3.OperationalError, OSError, NotReady):  # never a cancellation: nobody has cancelled it
        await change(world)
    assert world.reached.is_set()
    world.broken = ""
    await nothing_left_to_do(world)


@pytest.mark.parametrize(("change", "step"), EVERY_STEP)
async def test_whoever_asked_goes_away(world: World, change: Change, step: str) -> None:
    world.broken = step
    asking = asyncio.create_task(change(world))
    await world.reached.wait()
    asking.cancel()
    await asyncio.wait({asking})
    world.repaired.set()
    async with world.book._changing:  # it is done all the same
        pass
    await nothing_left_to_do(world)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_line_fails_while_it_is_stopped(world: World, change: Change) -> None:
    line = world.book.lines[LINE]
    line.error = FULL
    await change(world)
    assert line.error is None
    await nothing_left_to_do(world)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_line_does_not_hear_that_it_is_to_stop(
    world: World, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.lines.manager.STOP_S", 0.01)
    world.book.lines[LINE].deaf = 1
    await change(world)
    await nothing_left_to_do(world)


async def test_a_line_that_can_not_be_made_is_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    third = LineSettings.of({"number": "+79990000003"})
    with monkeypatch.context() as patch:
        patch.setattr(world, "line", lambda settings: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await world.book.add(third)
    await world.book.add(third)


async def test_the_new_session_is_in_its_place_before_the_old_one_is_signed_out(world: World) -> None:
    await world.book._adopt(world.book.lines[LINE].account)
    assert world.steps == ["end_calls", "adopt", "retire"]


async def test_other_machines_are_told_before_a_line_changes(world: World) -> None:
    others = world.book._shared = OtherMachines()
    await world.book.change(LINE, {"name": "Sales"})
    await world.book.remove(OTHER)
    await world.book.add(LineSettings.of({"number": OTHER, "name": "Support"}))
    assert others.told == [
        (LINE, world.book.settings(LINE).stored()),
        (OTHER, None),
        (OTHER, world.book.settings(OTHER).stored()),
    ]
    others.away = True
    world.steps.clear()
    for change in (
        world.book.change(LINE, {"name": "Nobody"}),
        world.book.remove(LINE),
        world.book.add(LineSettings.of({"number": "+79990000005"})),
    ):
        with pytest.raises(NotShared):
            await change
    assert world.steps == []
    assert [each.name for each in world.book.all_settings()] == ["Sales", "Support"]


async def test_lines_follow_another_machine(world: World) -> None:
    others = world.book._shared = OtherMachines()
    third = LineSettings.of({"number": "+79990000005", "name": "Third"})
    await world.book.follow(third.number, third.stored())
    await world.at_work(third.number)
    await world.book.follow(LINE, LineSettings.of({"number": LINE, "name": "Sales"}).stored())
    await world.book.follow(OTHER, None)
    assert {each.number: each.name for each in world.book.all_settings()} == {LINE: "Sales", third.number: "Third"}
    assert (await world.book._repository.all()).keys() == {LINE, third.number}
    assert OTHER not in world.book.lines
    world.steps.clear()
    await world.book.follow(third.number, third.stored())  # as it is already
    await world.book.follow(OTHER, None)
    assert world.steps == []
    with pytest.raises(ValueError, match="of_a_newer_version"):
        await world.book.follow(LINE, f'{{"number": "{LINE}", "of_a_newer_version": 1}}')
    assert world.book.settings(LINE).name == "Sales"
    assert others.told == []
