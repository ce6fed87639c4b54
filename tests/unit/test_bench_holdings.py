"""Who has held which line, as the bench's measurement of leases keeps it."""

import asyncio

import pytest

from ari_app.sandbox.bench.holdings import HeldTwice, Holdings
from ari_app.sandbox.processes import SandboxError

LINE, OTHER = "+79990400000", "+79990400001"
WAIT_S = 20.0


def test_one_after_the_other_is_right() -> None:
    holdings = Holdings()
    holdings.took("a", LINE, 1.0)
    holdings.took("b", OTHER, 1.5)
    holdings.left("a", LINE, 2.0)
    holdings.took("b", LINE, 2.0)
    holdings.check()
    assert (holdings.holder(LINE), holdings.holder(OTHER), holdings.last(LINE).since) == ("b", "b", 2.0)


@pytest.mark.parametrize(
    ("left", "lasted"), [((2.5, 3.0), "for 0.500 s"), ((3.0, 2.25), "for 0.250 s"), ((2.5, None), "for 0.500 s")]
)
def test_two_at_once_are_found_whoever_is_told_of_first(left: tuple[float, float | None], lasted: str) -> None:
    holdings = Holdings()
    holdings.took("b", LINE, 2.0)
    holdings.took("a", LINE, 1.0)
    assert holdings.holder(LINE) is None, "it is not known"
    for machine, at in zip("ab", left, strict=True):
        if at is not None:
            holdings.left(machine, LINE, at)
    with pytest.raises(HeldTwice, match=rf"\{LINE} was held by machines a and b at once, {lasted}"):
        holdings.check()


def test_two_at_once_without_an_end() -> None:
    holdings = Holdings()
    for machine in "ab":
        holdings.took(machine, LINE, 1.0)
    with pytest.raises(HeldTwice, match="without an end"):
        holdings.check()


def test_a_machine_that_ends_holds_nothing() -> None:
    holdings = Holdings()
    holdings.took("a", LINE, 1.0)
    holdings.left("a", LINE, 2.0)
    holdings.took("a", OTHER, 1.0)
    holdings.ended("a", 3.0)
    holdings.took("a", LINE, 4.0)
    assert [its.until for its in holdings.all] == [2.0, 3.0, None]
    holdings.check()


async def test_waiting_for_all_lines_gives_since_when() -> None:
    holdings = Holdings()
    waiting = asyncio.create_task(holdings.held_by("b", [LINE, OTHER], WAIT_S))
    for machine, line, at in (("a", LINE, 1.0), ("b", OTHER, 2.0), ("b", LINE, 5.0)):
        await asyncio.sleep(0)
        holdings.took(machine, line, at)
    await asyncio.sleep(0)
    assert not waiting.done()
    holdings.left("a", LINE, 4.0)
    assert await waiting == 5.0


async def test_waiting_in_vain_says_what_is_held() -> None:
    holdings = Holdings()
    holdings.took("b", LINE, 1.0)
    with pytest.raises(SandboxError, match=r"machine b holds 1 of 2 lines after 0 s"):
        await holdings.held_by("b", [LINE, OTHER], 0)
