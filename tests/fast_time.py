"""An event loop whose time jumps to the next timer as soon as nothing else is left to be done."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PASS_S = 1e-6  # for one pass of the loop: time never stands still


class _Selector(selectors.DefaultSelector):
    """Waits for nobody, and counts the time for which it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("every task waits, and no timer is set")
        self.waited_s += max(PASS_S, timeout)
        return super().select(0)


class FastLoop(asyncio.SelectorEventLoop):
    """Only for what waits for timers, and for its own tasks."""

    def __init__(self) -> None:
        self._passes = _Selector()
        super().__init__(self._passes)

    def time(self) -> float:
        return self._passes.waited_s if hasattr(self, "_passes") else 0.0


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something in a loop of its own."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(main())
