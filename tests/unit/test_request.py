"""The arguments of Stasis(telegram,...)."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from telethon import errors

from ari_app.calls.registry import LineFull
from ari_app.calls.request import Request, Route
from ari_app.store.limits import LimitRepository
from ari_app.store.peers import PeerRepository
from ari_app.store.store import open_store
from ari_app.telegram.account import Account, Server
from ari_app.telegram.errors import Frozen, Limited, NotReady
from ari_app.telegram.limits import CALL, Limits, LimitSettings
from ari_app.telegram.line import Line
from ari_app.telegram.lists import Denied
from ari_app.telegram.peers import Directory, MalformedDestination
from ari_app.telegram.profile import Callers, Profile
from ari_app.telegram.texts import MessageTemplates
from media.types import EngineProtocol
from tests.observers import Unobserved


def test_a_destination_alone() -> None:
    assert Request.parse(["+79990000002"]) == Request("+79990000002")


def test_with_options() -> None:
    request = Request.parse(["@anna_b", "line=79990000001", "timeout=30", "card=no"])
    assert request == Request("@anna_b", "+79990000001", 30.0, card=False)
    assert Request.parse(["@anna_b", "card=YES"]).card is True
    assert Request.parse(["@anna_b", ""]) == Request("@anna_b")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "no destination"),
        ([""], "no destination"),
        (["+79990000002", "color=red"], "'color=red' is no option"),
        (["+79990000002", "timeout=soon"], "timeout='soon' is no time"),
        (["+79990000002", "timeout=-1"], "is no time"),
        (["+79990000002", "timeout=nan"], "is no time"),
        (["+79990000002", "card=maybe"], "card='maybe' is neither"),
    ],
)
def test_what_makes_no_sense(args: list[str], said: str) -> None:
    with pytest.raises(MalformedDestination, match=said):
        Request.parse(args)


# --- the line to call through

ANYBODY = Request("+79990000002")
PAUSED = Limited("Telegram asks to wait", 30)
DENIED = Denied("in the deny list")


class ReadyLine(Line):
    """A line that is taken for connected."""

    ready = True

    @property
    def online(self) -> Any:
        return object() if self.ready else None


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[list[ReadyLine]]:
    """The first is for phone 101, the second is the default, the others are for whom there is no better one."""
    callers = [Callers(frozenset({"101"})), Callers(default=True), Callers(), Callers()]
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(tmp_path / "astergram.db"))
        made = []
        for digit, whose in enumerate(callers, start=1):
            number = f"+7999000000{digit}"
            limits = Limits(number, LimitSettings(), LimitRepository(store, number))
            await stack.enter_async_context(limits)
            account = Account(number, 1, "hash", tmp_path / number, Server())
            directory = Directory(PeerRepository(store, number))
            engine = EngineProtocol(65, 92, ("9.0.0",))
            profile = Profile(number, "from-telegram", MessageTemplates(number, number, number), callers=whose)
            line = ReadyLine(account, engine, Unobserved(), profile=profile, limits=limits, directory=directory)
            made.append(line)
        yield made


def tried(route: Route) -> list[str]:
    """The last digits of the lines of a route, each of them limited by Telegram."""
    found = []
    with pytest.raises(Limited):
        while True:
            found.append(route.line.number[-1])
            route.move_on(PAUSED)
    return found


def test_the_callers_line_then_the_default_then_the_least_busy(lines: list[ReadyLine]) -> None:
    for line in lines:
        line.max_calls = 5
    busy = Counter({"+79990000001": 2, "+79990000003": 1})
    assert tried(Route(ANYBODY, "101", lines, lambda: busy)) == ["1", "2", "4", "3"]
    assert tried(Route(ANYBODY, "102", lines, lambda: busy)) == ["2", "4", "3", "1"]


async def test_a_line_that_can_not_call_is_passed_over(lines: list[ReadyLine]) -> None:
    lines[0].ready = False
    await lines[1].limits.learn(CALL, errors.FloodWaitError(request=None, capture=30))
    busy = Counter({"+79990000003": 1})
    assert Route(ANYBODY, "101", lines, lambda: busy).line is lines[3]


async def test_a_line_whose_account_is_frozen_is_passed_over(lines: list[ReadyLine]) -> None:
    await lines[0].limits.learn(CALL, errors.FrozenMethodInvalidError(request=None))
    assert Route(ANYBODY, "101", lines, Counter).line is lines[1]
    for calls in (0, 1):  # and not that it is full
        with pytest.raises(Frozen):
            Route(Request("+79990000002", "+79990000001"), "101", lines, partial(Counter, {"+79990000001": calls}))


async def test_what_the_dialplan_hears_when_no_line_can(lines: list[ReadyLine]) -> None:
    full = Counter(line.number for line in lines)
    for line in lines[:2]:
        line.ready = False
    with pytest.raises(LineFull):
        Route(ANYBODY, "", lines, lambda: full)
    await lines[3].limits.learn(CALL, errors.PeerFloodError(request=None))
    with pytest.raises(Limited, match="PEER_FLOOD"):
        Route(ANYBODY, "", lines, lambda: Counter({"+79990000003": 1}))
    with pytest.raises(NotReady):
        Route(ANYBODY, "", lines[:2], lambda: full)


def test_no_other_line_than_the_one_asked_for(lines: list[ReadyLine]) -> None:
    asked = Request("+79990000002", line="+79990000003")
    assert tried(Route(asked, "101", lines, Counter)) == ["3"]
    lines[2].ready = False
    with pytest.raises(NotReady):
        Route(asked, "101", lines, Counter)
    with pytest.raises(NotReady, match="there is no line"):
        Route(Request("+79990000002", line="+79990000008"), "101", lines, Counter)


def test_nobody_is_called_twice(lines: list[ReadyLine]) -> None:
    route = Route(ANYBODY, "", lines, Counter)
    route.call_requested = True
    with pytest.raises(Limited):
        route.move_on(PAUSED)


def test_a_deny_list_holds_unless_the_line_stood_in_for_another(lines: list[ReadyLine]) -> None:
    route = Route(ANYBODY, "", lines, Counter)
    with pytest.raises(Denied):
        route.move_on(DENIED)
    route = Route(ANYBODY, "", lines[:3], Counter)
    route.move_on(PAUSED)
    route.move_on(DENIED)
    with pytest.raises(Limited):
        route.move_on(DENIED)
