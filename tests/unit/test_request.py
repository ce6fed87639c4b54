"""The arguments of Stasis(telegram,...)."""

import pytest

from ari_app.calls.request import Request
from ari_app.telegram.peers import MalformedDestination


def test_a_destination_alone() -> None:
    assert Request.parse(["+79990000002"]) == Request("+79990000002")


def test_with_options() -> None:
    request = Request.parse(["@anna_b", "line=79990000001", "timeout=30"])
    assert request == Request("@anna_b", "+79990000001", 30.0)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "no destination"),
        ([""], "no destination"),
        (["+79990000002", "color=red"], "'color=red' is no option"),
        (["+79990000002", "timeout=soon"], "timeout='soon' is no time"),
        (["+79990000002", "timeout=-1"], "is no time"),
        (["+79990000002", "timeout=nan"], "is no time"),
    ],
)
def test_what_makes_no_sense(args: list[str], said: str) -> None:
    with pytest.raises(MalformedDestination, match=said):
        Request.parse(args)
