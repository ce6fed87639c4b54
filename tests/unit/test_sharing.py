"""The exchange of histories goes on, whatever becomes of the engine and the database. By virtual time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.sharing import AGAIN, LOOK_EVERY_S, Sharing
from ari_app.i18n import message
from ari_app.store.errors import StoreUnavailable
from ari_app.tasks import guarded_tasks
from tests.fast_time import run


class Parts:
    """Orders and history; ``failures``: what each exchange raises, the next one first."""

    def __init__(self, *failures: Exception | None) -> None:
        self.done: list[tuple[str, float]] = []
        self._failures = list(failures)

    async def obey(self, erase: Any) -> None:
        self.done.append(("orders", asyncio.get_running_loop().time()))

    async def exchange(self) -> None:
        self.done.append(("calls", asyncio.get_running_loop().time()))
        if self._failures and (failure := self._failures.pop(0)):
            raise failure


async def shared(parts: Parts, seconds: float) -> list[tuple[str, float]]:
    its: Any = parts

    async def never(_: Any) -> bool:
        return True

    async with guarded_tasks() as tasks:
        Sharing(its, its).begin(tasks, never)
        await asyncio.sleep(seconds)
    return parts.done


def test_orders_come_first_each_time() -> None:
    done = run(lambda: shared(Parts(), LOOK_EVERY_S * 2.5))
    assert [what for what, _ in done] == ["orders", "calls"] * 3 + ["calls"], "at the end, what has ended with it"


def test_it_goes_on_after_whatever_was_away() -> None:
    failures = EngineAway("away"), StoreUnavailable(message("The disk is full.")), EngineAway("away"), None
    done = run(lambda: shared(Parts(*failures), AGAIN.last_s * 4))
    times = [at for what, at in done if what == "calls"]
    pauses = [later - at for at, later in itertools.pairwise(times)]
    assert pauses[3] - LOOK_EVERY_S < LOOK_EVERY_S / 10
    assert sum(pauses[:3]) <= AGAIN.first_s * (1 + 2 + 4) + 0.1
    assert pauses[2] >= AGAIN.first_s * 4 * (1 - AGAIN.jitter) - 0.1, "the pauses grow"
