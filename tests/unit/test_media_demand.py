"""How many media processes are kept ready."""

import pytest

from media.demand import KEPT_S, MOST, Demand


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def calls(demand: Demand, clock: Clock, each_second: int, seconds: float = 1.0) -> None:
    for _ in range(round(each_second * seconds)):
        demand.taken()
        clock.now += 1 / each_second


def test_some_are_ready_from_the_beginning(clock: Clock) -> None:
    demand = Demand(2, clock)
    assert (demand.wanted(), demand.eases_in_s()) == (2, None)
    calls(demand, clock, 1, seconds=100)
    assert (demand.wanted(), demand.eases_in_s()) == (2, None)


def test_there_are_more_while_a_burst_grows(clock: Clock) -> None:
    demand, wanted = Demand(2, clock), []
    for _ in range(10):
        calls(demand, clock, 10, seconds=0.1)
        wanted.append(demand.wanted())
    assert wanted == [2, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    calls(demand, clock, 10, seconds=120)
    assert demand.wanted() in (10, 11), "as many as come in a second"


def test_it_is_quiet_again_within_a_minute(clock: Clock) -> None:
    demand = Demand(2, clock)
    calls(demand, clock, 10, seconds=75)
    waited = 0.0
    while (eases_in_s := demand.eases_in_s()) is not None:
        assert demand.wanted() > 2
        clock.now += eases_in_s
        waited += eases_in_s
    assert demand.wanted() == 2
    assert waited <= 2 * KEPT_S <= 60


def test_a_lower_rate_wants_fewer(clock: Clock) -> None:
    demand = Demand(2, clock)
    calls(demand, clock, 10, seconds=5)
    calls(demand, clock, 4, seconds=1.5 * KEPT_S)
    assert demand.wanted() in (3, 4, 5)


def test_there_is_an_end_to_it(clock: Clock) -> None:
    demand = Demand(2, clock)
    calls(demand, clock, 1000)
    assert demand.wanted() == MOST
    many = Demand(MOST + 5, clock)
    calls(many, clock, 1000)
    assert many.wanted() == MOST + 5, "as was set"


def test_none_are_wanted_where_none_was_asked_for(clock: Clock) -> None:
    demand = Demand(0, clock)
    calls(demand, clock, 10)
    assert (demand.wanted(), demand.eases_in_s()) == (0, None)
