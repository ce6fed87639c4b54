"""Guarded tasks: whatever is raised in one of them ends that one only, is logged with its name, and counted."""

import ast
import asyncio
import sqlite3
from pathlib import Path

import pytest
from telethon.errors import RPCError

import ari_app
from ari_app.backoff import Backoff
from ari_app.tasks import FAILURES, guarded_tasks
from tests.guarded_starts import INSIDE, ONE_CALLS, THEIR_OWN

ROOT = Path(ari_app.__file__).parent

ERRORS = (
    sqlite3.OperationalError("database or disk is full"),
    OSError("no space left on device"),
    ValueError("no such name"),
    RPCError(None, "RPC_CALL_FAIL", 500),
    asyncio.CancelledError(),  # of a future that the task waits for
)


async def forever() -> None:
    await asyncio.Event().wait()


async def failing(error: BaseException) -> None:
    """Fails as somebody who waits for a future's result does."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if isinstance(error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(error)
    await future


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_an_error_ends_its_own_task_only(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    told: list[BaseException] = []
    count = FAILURES.count
    async with guarded_tasks() as tasks:
        other = tasks.spawn(forever(), "the other one")
        await tasks.spawn(failing(error), "keypad of call 42", told.append)
        assert not other.done()
    assert [type(each) for each in told] == [type(error)]
    assert FAILURES.count == count + 1
    assert FAILURES.last[-1].task == "keypad of call 42"
    assert "keypad of call 42: unexpected error" in caplog.text


async def test_a_task_that_is_cancelled_has_not_failed() -> None:
    count = FAILURES.count
    async with guarded_tasks() as tasks:
        begun = tasks.spawn(forever(), "begun")
        await asyncio.sleep(0)
        begun.cancel()
        tasks.spawn(forever(), "never begun").cancel()
    assert begun.cancelled()
    assert FAILURES.count == count


async def test_an_error_of_who_is_told_ends_nothing_either() -> None:
    def refuse(error: BaseException) -> None:
        raise KeyError

    async with guarded_tasks() as tasks:
        await tasks.spawn(failing(ValueError()), "work", refuse)
        assert await tasks.spawn(asyncio.sleep(0, "more work"), "more work") == "more work"


async def test_nothing_is_started_when_they_end() -> None:
    async with guarded_tasks() as tasks:
        pass
    with pytest.raises(RuntimeError):
        tasks.spawn(forever(), "late")


async def test_what_is_supervised_is_begun_again_with_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, waits = list(ERRORS), []

    async def work() -> None:
        if errors:
            await failing(errors.pop())

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr("ari_app.tasks.RESTART", Backoff(1000.0, 4000.0))
    async with guarded_tasks() as tasks:
        await tasks.supervise(work, "call history")
    assert waits == [1000, 2000, 4000, 4000, 4000]
    assert not errors


async def test_what_is_supervised_ends_when_it_is_cancelled() -> None:
    async with guarded_tasks() as tasks:
        task = tasks.supervise(forever, "call history")
        await asyncio.sleep(0)
    assert task.cancelled()


async def test_what_is_supervised_ends_when_it_fails_while_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file does that can't be closed on a full disk."""
    count = FAILURES.count

    async def work() -> None:
        try:
            await forever()
        finally:
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("ari_app.tasks.RESTART", Backoff(0.0, 0.0))
    async with guarded_tasks() as tasks:
        task = tasks.supervise(work, "line +79990000001")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        ended = task.done()
    assert ended
    assert FAILURES.count == count + 1


STARTS = {"create_task", "ensure_future", "TaskGroup"}


def test_every_task_is_started_under_a_guard() -> None:
    raw: list[str] = []
    for path in [*ROOT.rglob("*.py"), *(ROOT.parent / "media").rglob("*.py")]:
        name = path.relative_to(ROOT.parent).as_posix()
        ours = name.removeprefix("ari_app/")
        if ours in INSIDE | THEIR_OWN | ONE_CALLS or ours.startswith("sandbox/"):
            continue
        tree = ast.parse(path.read_text())
        kept = {
            id(node.func)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and name.startswith("media/") and _is_guarded(node)
        }
        raw.extend(
            f"{name}:{node.lineno} {node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in STARTS and id(node) not in kept
        )
    assert raw == []


def _is_guarded(node: ast.Call) -> bool:
    """`create_task(guarded(...))`, or the group for such: the controller's side of `media/` has a guard of its own."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "TaskGroup":
        return True
    return bool(node.args) and isinstance(work := node.args[0], ast.Call) and ast.unparse(work.func) == "guarded"
