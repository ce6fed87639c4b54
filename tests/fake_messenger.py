"""What brings the questions of machines to each other, in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.messenger import ASK_S

Network = dict[str, "FakeMessenger"]
"""By the machine's address. One that is not in it does not answer."""


class FakeMessenger:
    """One machine's; ``asked``: every question that it has brought."""

    def __init__(self, network: Network, address: str) -> None:
        self.answers: dict[str, Callable[[bytes], bytes]] = {}
        self.slow_answers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {}
        self.asked: list[bytes] = []
        self._network = network
        network[address] = self

    async def ask(self, address: str, what: str, question: bytes, within_s: float = ASK_S) -> bytes:
        self.asked.append(question)
        if other := self._network.get(address):
            if answer := other.answers.get(what):
                return answer(question)
            if slow := other.slow_answers.get(what):
                return await slow(question)
        raise EngineAway(f"{address} does not answer {what}")

    def serve(self, what: str, answer: Callable[[bytes], bytes]) -> None:
        self.answers[what] = answer

    def serve_in_tasks(self, what: str, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        self.slow_answers[what] = answer
