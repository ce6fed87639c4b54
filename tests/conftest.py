"""Fixtures shared by all tests."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ari_app.sandbox import debian
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.tasks import FAILURES

NEWEST, OLDEST = "22", "16"
TREES = {NEWEST: "asterisk", OLDEST: "asterisk-16"}
"""By Asterisk's version: the sandbox's tree."""
TURN, ROOM = Path(__file__), Path(__file__).with_name("__init__.py")
"""What a run's workers lock: while they wait to begin a test, and, shared, while they have one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which Asterisk; without it the newest, and the oldest for what is marked ``asterisk_16``."""
    parser.addoption("--asterisk", choices=(*TREES, "all"), help="Asterisk's version for the tests that need one")


def pytest_configure() -> None:
    """Programs that the tests interrupt inherit what becomes of SIGINT; a shell has its background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that needs an Asterisk runs with each version that is wanted."""
    if "asterisk_version" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--asterisk")
    old_too = wanted == "all" or (wanted is None and metafunc.definition.get_closest_marker("asterisk_16"))
    versions = list(TREES) if old_too else [wanted or NEWEST]
    if versions != [NEWEST]:
        metafunc.parametrize("asterisk_version", versions, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked ``asterisk_22`` needs something that older ones lack."""
    impossible = [
        item
        for item in items
        if item.get_closest_marker("asterisk_22")
        and getattr(item, "callspec", None)
        and item.callspec.params.get("asterisk_version") == OLDEST  # type: ignore[attr-defined]
    ]
    if impossible:
        config.hook.pytest_deselected(items=impossible)
        items[:] = [item for item in items if item not in impossible]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What is marked ``alone`` waits for the other workers' tests, and theirs for it, before its time limit begins."""
    with ExitStack() as stack:
        with _locked(TURN, fcntl.LOCK_EX):
            stack.enter_context(_locked(ROOM, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH))
        return (yield)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open() as file:
        fcntl.flock(file, how)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough: a process that a test has forked has it open


@pytest.fixture(autouse=True)
def _no_failures_yet() -> None:
    """What failed in a test before this one is not this one's: the process is the same."""
    FAILURES.count = 0
    FAILURES.last.clear()


@pytest.fixture
def extra_dialplan() -> str:
    """Lines for the private Asterisk's dialplan; a module or test overrides this."""
    return ""


@pytest.fixture
def asterisk_version(request: pytest.FixtureRequest) -> str:
    """Which Asterisk a test has."""
    return str(getattr(request, "param", NEWEST))


@pytest.fixture
async def asterisk_tree(asterisk_version: str) -> debian.Tree:
    """That Asterisk, unpacked."""
    return await asyncio.to_thread(debian.unpack, TREES[asterisk_version])


@pytest.fixture
async def asterisk(tmp_path: Path, extra_dialplan: str, asterisk_tree: debian.Tree) -> AsyncIterator[PrivateAsterisk]:
    """A real Asterisk for one test, with its own ports."""
    async with PrivateAsterisk(tmp_path / "asterisk", dialplan=extra_dialplan, tree=asterisk_tree) as running:
        yield running
