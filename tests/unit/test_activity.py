"""What has happened lately, as the overview tells it: lights that change, pauses, starts."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_app.bus import EventBus
from ari_app.i18n import message
from ari_app.lines.health import Colour, StatusLight
from ari_app.pbx.activity import REMEMBERED, RecentActivity
from ari_app.pbx.events import TelegramDrain, TelegramPause, TelegramStarted

LINE, NOW = "+79990000001", 1_790_000_000.0


class Statuses:
    """Lights as a test has them."""

    def __init__(self) -> None:
        self.lights = {"asterisk": Colour.ORANGE, "account": Colour.ORANGE}

    def shared(self) -> dict[str, StatusLight]:
        return {"asterisk": self._light("asterisk")}

    def of_line(self, line: Any) -> dict[str, StatusLight]:
        return {"account": self._light("account")}

    def _light(self, name: str) -> StatusLight:
        colour = self.lights[name]
        return StatusLight(colour, message("{name} is {colour}.", name=name, colour=colour.value))


@pytest.fixture
def statuses() -> Statuses:
    return Statuses()


@pytest.fixture
def activity(statuses: Statuses) -> RecentActivity:
    line = SimpleNamespace(name="Sales")
    return RecentActivity(cast(Any, {LINE: line}), cast(Any, statuses), EventBus(), lambda: NOW)


def said(activity: RecentActivity) -> list[str]:
    return [str(each.sentence) for each in activity.all]


def test_a_light_is_told_once_it_has_worked_and_each_change_from_then_on(
    activity: RecentActivity, statuses: Statuses
) -> None:
    for colour in (Colour.ORANGE, Colour.GREEN, Colour.GREEN, Colour.RED, Colour.RED, Colour.GREEN):
        statuses.lights["account"] = colour
        activity.look()
    assert said(activity) == ["Sales: account is red.", "Sales: account is green."]
    statuses.lights["asterisk"] = Colour.GREEN
    activity.look()
    statuses.lights["asterisk"] = Colour.ORANGE
    activity.look()
    assert said(activity)[-1] == "asterisk is orange."


def test_events(activity: RecentActivity) -> None:
    activity.put(TelegramStarted(version="0.2.0"))
    activity.put(TelegramPause(line=LINE, request="phone.requestCall", seconds=300, reason="FLOOD_WAIT_300"))
    activity.put(TelegramPause(line="+79990000009", request="phone.requestCall", seconds=0))
    activity.put(TelegramDrain(state="begun"))
    activity.put(TelegramDrain(state="empty"))
    assert sorted(said(activity)) == [
        "+79990000009: phone.requestCall is no longer paused",
        "Astergram 0.2.0 was started",
        "New calls were stopped",
        "Sales: paused, Telegram said FLOOD_WAIT_300 (phone.requestCall)",
    ]


def test_it_is_bounded(activity: RecentActivity) -> None:
    for _ in range(REMEMBERED + 5):
        activity.put(TelegramStarted(version="1"))
    assert len(activity.all) == REMEMBERED
