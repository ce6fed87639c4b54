"""What diagnostics say of a cluster's NATS servers: real ones, and a server that has no JetStream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from ari_app.doctor import Surroundings
from ari_app.doctor.findings import Finding, Grade, Topic
from ari_app.doctor.nats import servers
from ari_app.doctor.surroundings import NatsServers
from ari_app.sandbox.nats import USER, PrivateNats
from ari_app.sandbox.ports import HOST

LEADERSHIP_S = 60.0
"""For the servers that are left to elect a leader, or to know that they can't: they look every ten seconds."""


async def examined(*urls: str, user: str = "", password: str = "") -> list[Finding]:
    nats = NatsServers(urls, user, SecretStr(password) if password else None)
    found = await servers(Surroundings("http://127.0.0.1:1", "", SecretStr(""), Path("/nowhere"), nats=nats))
    assert all(each.topic is Topic.CLUSTER for each in found)
    assert not password or password not in str([(each.sentence, each.remedy) for each in found])
    return found


async def examined_until(*urls: str, grades: list[Grade]) -> list[Finding]:
    """What is found once the servers that are left know of the ones that are gone."""
    async with asyncio.timeout(LEADERSHIP_S):
        while True:
            found = await examined(*urls, user=USER, password="winter")
            if [each.grade for each in found] == grades:
                return found


def wrong(found: list[Finding], grade: Grade = Grade.PROBLEM) -> list[str]:
    return [str(each.sentence) for each in found if each.grade is grade]


async def test_without_a_cluster_nothing_is_said() -> None:
    assert await servers(Surroundings("http://127.0.0.1:1", "", SecretStr(""), Path("/nowhere"))) == []


async def test_three_servers_of_which_one_and_then_two_are_away(tmp_path: Path) -> None:
    async with PrivateNats(tmp_path / "nats", password="winter") as nats:
        found = await examined(*nats.urls, user=USER, password="winter")
        assert [each.grade for each in found] == [Grade.OK] * 3
        assert str(found[0].sentence).startswith(f"The NATS server {nats.urls[0]}, 2.")

        await nats.kill(0)
        found = await examined_until(*nats.urls, grades=[Grade.PROBLEM, Grade.OK, Grade.OK])
        assert wrong(found) == [f"The NATS server {nats.urls[0]} can not be used: Connection refused"]

        await nats.kill(1)
        found = await examined_until(*nats.urls, grades=[Grade.PROBLEM] * 3)
        assert wrong(found)[2] == (
            f"The NATS server {nats.urls[2]} can not be used: its JetStream does not answer: it has no leader"
        )


async def test_a_wrong_password(tmp_path: Path) -> None:
    async with PrivateNats(tmp_path / "nats", servers=1, password="winter") as nats:
        for user, password in ((USER, "summer"), ("", "")):
            found = await examined(*nats.urls, user=user, password=password)
            assert wrong(found) == [f"The NATS server {nats.urls[0]} can not be used: it refuses the login"]
            assert "[cluster]" in str(found[0].remedy)


async def test_a_server_that_answers_nothing(tmp_path: Path) -> None:
    async with PrivateNats(tmp_path / "nats", servers=1) as nats:
        with nats.frozen(0):
            found = await examined(*nats.urls)
        assert wrong(found) == [f"The NATS server {nats.urls[0]} can not be used: no answer within 2 s"]


@asynccontextmanager
async def without_jetstream() -> AsyncIterator[str]:
    """What speaks as a NATS server that has none: INFO, and PONG for PING."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "version": "2.10.0", "proto": 1, "max_payload": 1024, "headers": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(speak, HOST, 0) as server:
        yield f"nats://{HOST}:{server.sockets[0].getsockname()[1]}"


async def test_a_server_without_jetstream() -> None:
    async with without_jetstream() as url:
        found = await examined(url)
    assert wrong(found) == [f"The NATS server {url} can not be used: it runs without JetStream"]
    assert "jetstream" in str(found[0].remedy)


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        (("nats://127.0.0.1:1",), "There is one NATS server"),
        (("nats://127.0.0.1:1", "nats://localhost:2"), "2 NATS servers bear no more failures than one less"),
        (("nats://127.0.0.1:1", "nats://[::1]:1", "nats://localhost:3"), ""),
        (("nats://10.255.255.1:1", "tls://localhost:2", "tls://localhost:3"), "unencrypted"),
    ],
)
async def test_what_is_wrong_with_them_together(urls: tuple[str, ...], said: str) -> None:
    advice = wrong(await examined(*urls), Grade.ADVICE)
    assert [said in each for each in advice] == ([True] if said else [])
