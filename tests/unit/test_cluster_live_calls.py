"""The calls of all machines of a cluster, seen and ended from any of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.live_calls import LIVE, LiveCalls, MachineCall, MachineCalls

ONE = MachineCall("0f3a5c7e9b1d", 1000.0, "in", "+79990000001", "Anna", "101", "talking")


class Machine:
    """What it answers."""

    def __init__(self, network: dict[str, Machine], name: str, *calls: MachineCall) -> None:
        self.network = network
        self.answers: dict[str, Callable[[bytes], bytes]] = {}
        self.live = {each.id: each for each in calls}
        network[name] = self
        others = lambda: {each: each for each in ("a", "b", "c") if each != name}  # noqa: E731
        self.calls = LiveCalls(self, others, lambda: list(self.live.values()), self.hang_up)
        self.calls.serve()

    def hang_up(self, call_id: str) -> bool:
        return self.live.pop(call_id, None) is not None

    async def ask(self, address: str, what: str, question: bytes) -> bytes:
        if address not in self.network or what not in self.network[address].answers:
            raise EngineAway(f"{address} does not answer")
        return self.network[address].answers[what](question)

    def serve(self, what: str, answer: Callable[[bytes], bytes]) -> None:
        self.answers[what] = answer


async def test_those_of_the_others_are_seen_and_ended() -> None:
    network: dict[str, Machine] = {}
    a, b = Machine(network, "a"), Machine(network, "b", ONE)
    assert await a.calls.elsewhere() == [MachineCalls("b", (ONE,)), MachineCalls("c", None)]
    assert await b.calls.elsewhere() == [MachineCalls("a", ()), MachineCalls("c", None)]
    assert await a.calls.hang_up("b", ONE.id)
    assert not b.live
    assert not await a.calls.hang_up("b", ONE.id), "it is over"
    for machine in ("c", "d"):
        with pytest.raises(EngineAway):
            await a.calls.hang_up(machine, ONE.id)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[1]", b'[{"id": "x"}]', b"\xff"])
async def test_a_machine_of_another_version(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    network: dict[str, Machine] = {}
    a, b = Machine(network, "a"), Machine(network, "b")
    b.answers[LIVE] = lambda _: answer
    assert (await a.calls.elsewhere())[0] == MachineCalls("b", () if answer == b"{}" else None)
    b.answers[LIVE] = lambda _: json.dumps([vars(ONE) | {"new": 1}]).encode()
    assert (await a.calls.elsewhere())[0] == MachineCalls("b", (ONE,))
