"""A line at work on the local Telegram, without Asterisk."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ari_app.store.limits import LimitRepository
from ari_app.store.peers import PeerRepository
from ari_app.store.store import Store
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.account import Account
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line import Line, LineObserver, LineState
from ari_app.telegram.peers import Directory
from ari_app.telegram.profile import Profile
from ari_app.telegram.texts import MessageTemplates
from media.types import EngineProtocol
from tests.observers import Unobserved

LINE, ANNA = "+79990000001", "+79990000002"
ENGINE = EngineProtocol(65, 92, ("9.0.0",))
PATIENCE_S = 20.0
"""What a line notices within some seconds; a busy machine may take longer."""


class Watched:
    """A line, and each state that it has had."""

    def __init__(self, account: Account, store: Store, observer: LineObserver | None = None, **options: Any) -> None:
        self.changed = asyncio.Event()
        self.states: list[LineState] = []
        self.line = Line(
            account,
            ENGINE,
            observer or Unobserved(),
            profile=Profile(LINE, "from-telegram", MessageTemplates("Company", "Line", LINE)),
            limits=Limits(LINE, LimitSettings(), LimitRepository(store, LINE), on_change=self._change),
            directory=Directory(PeerRepository(store, LINE)),
            on_change=self._change,
            **options,
        )

    def _change(self) -> None:
        if not self.states or self.states[-1] is not self.line.state:
            self.states.append(self.line.state)
        self.changed.set()

    async def becomes(self, state: LineState, said: str = "") -> str:
        """Wait for a state, and for what it says of it; gives all that it says."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self.line.state is not state or said not in str(self.line.condition):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pytest.fail(f"the line is {self.line.state.value}: {self.line.condition}")
        return str(self.line.condition)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that has to become true."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - the server's counts have no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def at_work(account: Account, store: Store, **options: Any) -> AsyncIterator[Watched]:
    """A line that runs as the line book has it run; nothing unexpected may happen to it."""
    watched = Watched(account, store, **options)
    failures = FAILURES.count
    async with guarded_tasks() as tasks:
        watched.line.about_to_run()
        tasks.supervise(watched.line.run, "line", watched.line.fail)
        yield watched
    assert FAILURES.count == failures, list(FAILURES.last)
