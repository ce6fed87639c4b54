"""A line that is signed in by another machine of the cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from ari_app.cluster import device_links
from ari_app.cluster.device_links import ACCEPT, DeviceLinks
from ari_app.telegram.errors import NotReady
from ari_app.telegram.signin import NotAccepted
from tests.fake_messenger import FakeMessenger, Network

LINE, TOKEN, SECRET = "+79990000001", b"\x00token\xff", "between us"


class Devices:
    """The machines, and what each device has accepted."""

    def __init__(self) -> None:
        self.network: Network = {}
        self.accepted: list[tuple[str, str, bytes]] = []

    def machine(self, name: str, secret: str = SECRET, *, ready: bool = True, others: str = "") -> DeviceLinks:
        messenger = FakeMessenger(self.network, name)
        links = DeviceLinks(secret, messenger, lambda: {each: each for each in others}, self._accept(name, ready))
        links.serve()
        return links

    def asked(self) -> list[bytes]:
        return [question for each in self.network.values() for question in each.asked]

    def _accept(self, name: str, ready: bool) -> Callable[[str, bytes], Awaitable[None]]:
        async def accept(line: str, token: bytes) -> None:
            if not ready:
                raise NotReady(f"line {line} is signed out")
            self.accepted.append((name, line, token))

        return accept


async def test_another_machine_accepts() -> None:
    devices = Devices()
    new = devices.machine("a", others="bcd")
    devices.machine("c", ready=False)
    devices.machine("d")
    await new.accepted(LINE, TOKEN)
    assert devices.accepted == [("d", LINE, TOKEN)]
    assert SECRET.encode() not in b"".join(devices.asked())


async def test_why_none_does_is_said() -> None:
    devices = Devices()
    new = devices.machine("a", others="bcd")
    devices.machine("c", ready=False)
    devices.machine("d", secret="another")
    with pytest.raises(NotAccepted) as refused:
        await new.accepted(LINE, TOKEN)
    said = str(refused.value)
    assert "b: b does not answer" in said
    assert f"c: line {LINE} is signed out" in said
    assert "d: it has another secret under [cluster]" in said
    assert "scan the code" in said
    assert devices.accepted == []


async def test_nobody_else_is_there() -> None:
    with pytest.raises(NotAccepted, match="No other machine of the cluster is there now"):
        await Devices().machine("a").accepted(LINE, TOKEN)


async def test_nothing_is_asked_without_a_secret_and_nothing_is_accepted() -> None:
    devices = Devices()
    new = devices.machine("a", "", others="b")
    devices.machine("b", "")
    with pytest.raises(NotAccepted, match="Set the same secret"):
        await new.accepted(LINE, TOKEN)
    assert devices.asked() == []
    with pytest.raises(NotAccepted):
        await devices.machine("x", "x", others="b").accepted(LINE, TOKEN)
    assert devices.accepted == []


@pytest.mark.parametrize("changed", [{"line": "+79990000009"}, {"token": "00"}, {"signature": ""}, {"signature": "é"}])
async def test_a_request_that_was_changed_is_refused(changed: dict[str, str]) -> None:
    devices = Devices()
    new = devices.machine("a", others="b")
    b = devices.machine("b")
    await new.accepted(LINE, TOKEN)
    question = json.loads(devices.asked()[0]) | changed
    assert await b._answer(json.dumps(question).encode()) == b"it has another secret under [cluster]"
    assert len(devices.accepted) == 1


RUBBISH = (
    *(b"", b"[]", b"{}", b"\xff", b'{"line": 1, "token": "zz", "signature": 2}'),
    b'{"line": "\\ud800", "token": "", "signature": ""}',
)


@pytest.mark.parametrize("question", RUBBISH)
async def test_what_is_not_understood(question: bytes) -> None:
    assert (await Devices().machine("a")._answer(question)).startswith(b"not understood")


async def test_a_long_answer_is_cut() -> None:
    devices = Devices()
    new = devices.machine("a", others="b")

    async def answer(question: bytes) -> bytes:
        return b"x" * 1_000_000

    FakeMessenger(devices.network, "b").serve_in_tasks(ACCEPT, answer)
    with pytest.raises(NotAccepted) as refused:
        await new.accepted(LINE, TOKEN)
    assert len(str(refused.value)) < 1000


async def test_machines_that_answer_nothing_do_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_links, "ALL_S", 0.05)
    devices = Devices()
    new = devices.machine("a", others="b")

    async def answer(question: bytes) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    FakeMessenger(devices.network, "b").serve_in_tasks(ACCEPT, answer)
    with pytest.raises(NotAccepted, match="no more answers within"):
        await new.accepted(LINE, TOKEN)
