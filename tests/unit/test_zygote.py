"""The priority of what is forked from the zygote."""

import os
import resource

import pytest

from media.forker import Forker
from media.zygote import PRIORITY, raise_priority


class Priority:
    """Of this process, as the system has it; ``error``: it may not be raised."""

    def __init__(self, nice: int, error: OSError | None = None) -> None:
        self.nice = nice
        self._error = error

    def get(self, which: int, who: int) -> int:
        assert (which, who) == (os.PRIO_PROCESS, 0)
        return self.nice

    def set(self, which: int, who: int, nice: int) -> None:
        assert (which, who) == (os.PRIO_PROCESS, 0)
        if self._error:
            raise self._error
        self.nice = nice


@pytest.mark.parametrize(("nice", "then"), [(0, PRIORITY), (10, PRIORITY), (PRIORITY, PRIORITY), (-11, -11)])
def test_it_is_raised_unless_it_is_high(monkeypatch: pytest.MonkeyPatch, nice: int, then: int) -> None:
    priority = Priority(nice)
    monkeypatch.setattr(os, "getpriority", priority.get)
    monkeypatch.setattr(os, "setpriority", priority.set)
    assert raise_priority() is None
    assert priority.nice == then


@pytest.mark.parametrize(("limit", "error", "then"), [(0, None, 0), (1, None, 1), (99, None, 1), (1, OSError(), 0)])
def test_real_time_where_somebody_has_allowed_it(
    monkeypatch: pytest.MonkeyPatch, limit: int, error: OSError | None, then: int
) -> None:
    priority, scheduled = Priority(0), [0]

    def schedule(who: int, policy: int, parameter: os.sched_param) -> None:
        assert (who, policy) == (0, os.SCHED_RR)
        if error:
            raise error
        scheduled.append(parameter.sched_priority)

    monkeypatch.setattr(os, "getpriority", priority.get)
    monkeypatch.setattr(os, "setpriority", priority.set)
    monkeypatch.setattr(os, "sched_setscheduler", schedule)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert raise_priority() is None
    assert scheduled[-1] == then
    assert priority.nice == (0 if then else PRIORITY)


async def test_that_it_may_not_be_raised_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "media.forker")
    priority = Priority(0, PermissionError(13, "Permission denied"))
    monkeypatch.setattr(os, "getpriority", priority.get)
    monkeypatch.setattr(os, "setpriority", priority.set)
    said = raise_priority()
    assert said
    forker = Forker()
    for _ in range(2):  # a zygote that was replaced says it, too
        forker._take(said)
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert (
        "program (nice 0), and calls may stutter on a busy machine: nice -5 is refused (Permission denied);"
        in record.message
    )
