"""The calls of all machines of a cluster, seen and ended from any of them."""

from __future__ import annotations

import json

import pytest

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.live_calls import LIVE, LiveCalls, MachineCall, MachineCalls
from tests.fake_messenger import FakeMessenger, Network

ONE = MachineCall("0f3a5c7e9b1d", 1000.0, "in", "+79990000001", "Anna", "101", "talking")


class Machine:
    """One of three, with its calls."""

    def __init__(self, network: Network, name: str, *calls: MachineCall) -> None:
        self.messenger = FakeMessenger(network, name)
        self.live = {each.id: each for each in calls}
        others = {each: each for each in ("a", "b", "c") if each != name}
        self.calls = LiveCalls(self.messenger, lambda: others, lambda: [*self.live.values()], self.hang_up)
        self.calls.serve()

    def hang_up(self, call_id: str) -> bool:
        return self.live.pop(call_id, None) is not None


async def test_those_of_the_others_are_seen_and_ended() -> None:
    network: Network = {}
    a, b = Machine(network, "a"), Machine(network, "b", ONE)
    assert await a.calls.elsewhere() == [MachineCalls("b", (ONE,)), MachineCalls("c", None)]
    assert await b.calls.elsewhere() == [MachineCalls("a", ()), MachineCalls("c", None)]
    assert await a.calls.hang_up("b", ONE.id)
    assert not b.live
    assert not await a.calls.hang_up("b", ONE.id), "it is over"
    for machine in ("c", "d"):
        with pytest.raises(EngineAway):
            await a.calls.hang_up(machine, ONE.id)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"id": "x"}]',
        b"\xff",
        b"[" * 100_000,
        json.dumps([vars(ONE) | {"began_at": None}]).encode(),
        json.dumps([vars(ONE) | {"began_at": float("nan")}]).encode(),
    ],
)
async def test_a_machine_of_another_version(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    network: Network = {}
    a, b = Machine(network, "a"), Machine(network, "b")
    b.messenger.answers[LIVE] = lambda _: answer
    assert (await a.calls.elsewhere())[0] == MachineCalls("b", None)
    b.messenger.answers[LIVE] = lambda _: json.dumps([vars(ONE) | {"new": 1}]).encode()
    assert (await a.calls.elsewhere())[0] == MachineCalls("b", (ONE,))
