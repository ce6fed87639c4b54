"""Which machine of a cluster is signed in next, so that a line has as many devices as is set."""

from __future__ import annotations

import pytest

from ari_app.cluster.devices import GONE_S, LEFT, SIGNED_IN, WANTED, is_next
from ari_app.cluster.members import SILENT_S, Member

LINE = "+79990000001"
EARLIER = "earlier version"
NOW, A_WHILE, GONE = 0.5, SILENT_S + 1, GONE_S + 1


def member(machine: str, word: str, silent_s: float = NOW) -> tuple[Member, float]:
    """What a machine has last said of the line's device; "" for nothing."""
    devices = {"+1": SIGNED_IN, **({LINE: word} if word else {})}
    return Member(machine, devices=None if word == EARLIER else devices), silent_s


A = member("a", SIGNED_IN)


@pytest.mark.parametrize(
    ("others", "devices", "of_b"),
    [
        # Somebody has to be there who accepts.
        ([], 2, False),
        ([member("a", WANTED)], 2, False),
        ([member("a", SIGNED_IN, A_WHILE)], 2, False),
        ([member("a", LEFT)], 2, False),
        # On as many machines as is set.
        ([A], 1, False),
        ([A], 2, True),
        ([A, member("c", SIGNED_IN)], 2, False),
        ([A, member("c", SIGNED_IN)], 3, True),
        # In their order.
        ([A, member("c", WANTED)], 2, True),
        ([member("c", SIGNED_IN), member("a", WANTED)], 2, False),
        ([member("c", SIGNED_IN), member("a", WANTED)], 3, True),
        # One that would not be signed in takes no turn; what is a person's matter takes a place.
        ([member("c", SIGNED_IN), member("a", "")], 2, True),
        ([member("c", SIGNED_IN), member("a", LEFT)], 2, False),
        ([member("c", SIGNED_IN), member("a", LEFT)], 3, True),
        ([member("c", SIGNED_IN), member("a", "of a later version")], 2, False),
        ([member("c", SIGNED_IN), member("a", EARLIER)], 2, False),
        # One that is restarted is waited for, one that is gone is not.
        ([A, member("c", SIGNED_IN, A_WHILE)], 2, False),
        ([A, member("c", SIGNED_IN, GONE)], 2, True),
        ([member("c", SIGNED_IN), member("a", WANTED, A_WHILE)], 2, False),
        ([member("c", SIGNED_IN), member("a", WANTED, GONE)], 2, True),
        # What this machine has said itself does not count: it knows better.
        ([A, member("b", SIGNED_IN)], 2, True),
    ],
)
def test_whose_turn_it_is(others: list[tuple[Member, float]], devices: int, of_b: bool) -> None:
    assert is_next(LINE, "b", others, devices) is of_b


def test_of_many_that_want_one_as_many_are_next_as_are_lacking() -> None:
    wanting = [member(name, WANTED) for name in "bcdef"]
    assert [each.machine for each, _ in wanting if is_next(LINE, each.machine, [A, *wanting], 4)] == ["b", "c", "d"]
