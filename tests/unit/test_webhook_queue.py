"""Deliveries that wait: in order for each call, again and again, for a day, and no more than there is room for."""

import asyncio
from dataclasses import dataclass, field

import pytest

from ari_app.backoff import Backoff
from ari_app.store.webhooks import DeliveryRow
from ari_app.webhooks.queue import GIVE_UP_S, DeliveryQueue, SendResult

NOW = 1_790_000_000.0
TAKEN, REFUSED = SendResult(taken=True, status=200), SendResult(taken=False, status=500, error="answered 500")


@dataclass
class Its:
    """A queue, its clock, and what was kept."""

    most: int = 100
    now: float = NOW
    kept: list[DeliveryRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        retry = Backoff(first_s=5.0, last_s=600.0)
        self.queue = DeliveryQueue(
            "webhook crm.example.com", self.kept.append, lambda: self.now, most=self.most, retry=retry
        )

    def put(self, *ids: int, key: str = "call") -> None:
        for id in ids:
            self.queue.put(delivery(id, key, self.now))

    def taken(self) -> list[int]:
        """What is to be sent now."""
        found = []
        while row := self.queue.take():
            found.append(row.id)
        return found

    def states(self) -> dict[int, str]:
        return {row.id: row.state for row in self.kept}


def delivery(id: int, key: str = "call", at: float = NOW) -> DeliveryRow:
    return DeliveryRow(id, "hook", f"msg_{id}", "call.ended", key, "{}", made_at=at, since=at, next_at=at)


@pytest.fixture
def its() -> Its:
    return Its()


def test_an_event_waits_for_the_one_before_it_in_its_call(its: Its) -> None:
    its.put(1, 2, key="a")
    its.put(3, key="b")
    assert its.taken() == [1, 3]
    its.queue.answered(1, TAKEN)
    assert its.taken() == [2]


def test_what_is_not_taken_is_tried_again_and_holds_up_its_own_call_only(its: Its) -> None:
    its.put(1, 2, key="a")
    its.taken()
    its.queue.answered(1, REFUSED)
    its.put(3, key="b")
    assert its.taken() == [3]
    its.now += 4.9
    assert its.taken() == []
    its.now += 0.1
    assert its.taken() == [1]
    its.queue.answered(1, REFUSED)
    assert its.queue.wait_s == 10.0


def test_the_pause_grows_up_to_a_bound(its: Its) -> None:
    its.put(1)
    pauses = []
    for _ in range(9):
        its.taken()
        its.queue.answered(1, REFUSED)
        pauses.append(its.queue.wait_s)
        its.now += its.queue.wait_s or 0
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_a_receiver_may_ask_to_be_left_alone_but_not_for_long(its: Its) -> None:
    its.put(1)
    its.taken()
    its.queue.answered(1, SendResult(taken=False, status=429, error="answered 429", wait_s=60.0))
    assert its.queue.wait_s == 60.0
    its.now += 60
    its.taken()
    its.queue.answered(1, SendResult(taken=False, status=429, error="answered 429", wait_s=1e9))
    assert its.queue.wait_s == 600.0


def test_after_a_day_it_is_given_up_and_the_next_one_has_its_turn(its: Its) -> None:
    its.put(1, 2)
    its.now += GIVE_UP_S
    assert its.taken() == [1]
    its.queue.answered(1, REFUSED)
    assert (its.states()[1], its.queue.given_up) == ("failed", 1)
    assert its.taken() == [2]


def test_where_there_is_no_room_the_oldest_are_lost_but_not_what_is_being_sent() -> None:
    its = Its(most=3)
    its.put(1, key="a")
    assert its.taken() == [1]
    its.put(2, 3, 4, 5, key="b")
    assert (its.states()[2], its.queue.lost, len(its.queue)) == ("lost", 1, 4)
    its.queue.answered(1, TAKEN)
    assert its.taken() == [3]
    its.put(6, 7, key="b")
    assert its.states()[4] == "lost"
    its.queue.answered(3, TAKEN)
    assert its.taken() == [5]


def test_what_is_over_is_sent_again_as_new(its: Its) -> None:
    its.put(1)
    its.now += GIVE_UP_S
    its.taken()
    its.queue.answered(1, REFUSED)
    again = its.queue.send_again(its.kept[-1])
    assert (again.state, again.attempts, again.event_id) == ("waiting", 0, "msg_1")
    assert its.taken() == [1]
    its.queue.answered(1, REFUSED)
    assert its.queue.wait_s == 5.0


def test_what_waits_is_sent_at_once_where_somebody_asks(its: Its) -> None:
    its.put(1)
    its.taken()
    its.queue.answered(1, REFUSED)
    its.queue.send_again(its.kept[-1])
    assert its.taken() == [1]
    assert its.queue.send_again(its.kept[-1]).state == "waiting"
    assert its.taken() == [], "it is being sent"


def test_what_was_not_tried_to_the_end_is_tried_again(its: Its) -> None:
    its.put(1, 2)
    its.taken()
    its.queue.released(1)
    assert its.taken() == [1]


def test_a_clock_that_is_set_back_holds_nothing_up_for_long(its: Its) -> None:
    its.queue.load(delivery(1, at=NOW + 1e6))
    assert its.queue.wait_s == 600.0


async def test_who_waits_is_woken_by_the_next_event(its: Its) -> None:
    waits = asyncio.create_task(its.queue.next())
    await asyncio.sleep(0)
    its.put(1)
    assert (await waits).id == 1


async def test_at_rest_is_when_nothing_is_to_be_sent_now(its: Its) -> None:
    await its.queue.at_rest()
    its.put(1)
    waits = asyncio.create_task(its.queue.at_rest())
    await asyncio.sleep(0)
    assert not waits.done()
    its.taken()
    its.queue.answered(1, REFUSED)
    await waits


def test_what_another_try_would_not_change_is_given_up_at_once(its: Its) -> None:
    its.put(1, 2)
    its.taken()
    its.queue.answered(1, SendResult(taken=False, error="nobody has this address", final=True))
    assert (its.states()[1], its.queue.given_up) == ("failed", 1)
    assert its.taken() == [2]
