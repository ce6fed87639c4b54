"""`astergram join`: machines become those of a cluster, with real NATS servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_app.cli import join as cli_join
from ari_app.cluster import joining
from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.engine import NatsEngine, connected
from ari_app.cluster.members import Member, Members
from ari_app.cluster.shared_settings import Cipher, EngineSettings
from ari_app.config import ClusterSettings, load
from ari_app.sandbox.nats import USER, PrivateNats
from ari_app.tasks import guarded_tasks
from tests.integration.command import astergram, done, refused

BEFORE = '# Ours.\n[asterisk]\npassword = "x"  # of ari.conf\n'
BY_HAND = "what openssl rand has printed"
PATIENCE_S = 60.0
ASKS, ASKS_PASSWORD = "secret of the cluster", "password of astergram in NATS"


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[PrivateNats]:
    async with PrivateNats(tmp_path / "nats", servers=1) as running:
        yield running


@pytest.fixture
async def engine(nats: PrivateNats) -> AsyncIterator[NatsEngine]:
    async with asyncio.timeout(PATIENCE_S), connected(nats.urls, "other") as made:
        await made.connected.wait()
        yield made


def machine(folder: Path, name: str) -> Path:
    """Its configuration file."""
    path = folder / f"{name}.toml"
    path.write_text(BEFORE)
    path.chmod(0o640)
    return path


def cluster_of(config: Path) -> ClusterSettings:
    assert config.read_text().startswith(BEFORE) and config.stat().st_mode & 0o777 == 0o640
    its = load(config).cluster
    assert its and its.secret
    return its


def secret_of(config: Path) -> str:
    secret = cluster_of(config).secret
    assert secret
    return secret.get_secret_value()


async def test_a_first_machine_and_the_next(nats: PrivateNats, tmp_path: Path) -> None:
    first, second = machine(tmp_path, "a"), machine(tmp_path, "b")
    printed = await done("join", *nats.urls, "--machine", "pbx-1", "--config", first)
    assert "pbx-1 is the first machine of a new cluster" in printed and "systemctl restart astergram" in printed
    assert f"on the next machine: astergram join {nats.urls[0]}\n" in printed
    its = cluster_of(first)
    assert (its.servers, its.machine, its.user, its.password) == (nats.urls, "pbx-1", "", None)

    async with astergram("join", *nats.urls, "--machine", "pbx-2", "--config", second) as command:
        await command.until(ASKS)
        command.type(secret_of(first))
        assert await command.ends() == 0, command.printed
    assert cluster_of(second) == its.model_copy(update={"machine": "pbx-2"})
    assert secret_of(first) not in printed + command.printed
    assert "next machine" not in command.printed


def is_untouched(config: Path) -> bool:
    return config.read_text() == BEFORE and not list(config.parent.glob("*.part"))


async def wrong(said: str, typed: str, config: Path, *arguments: str) -> None:
    """It is refused in a sentence, and nothing is written."""
    async with astergram("join", *arguments, "--config", config) as command:
        await command.until(ASKS)
        command.type(typed)
        assert await command.ends() == 1, command.printed
    assert said in command.printed and "nothing was changed" in command.printed and typed not in command.printed
    assert is_untouched(config)


async def test_its_asterisk_is_named_to_the_others(nats: PrivateNats, tmp_path: Path) -> None:
    config, url = machine(tmp_path, "a"), "http://10.0.0.1:8088"
    await done("join", *nats.urls, "--machine", "pbx-1", "--asterisk-url", url, "--config", config)
    assert cluster_of(config).asterisk_url == url


async def test_an_asterisk_that_is_no_address_begins_no_cluster(
    nats: PrivateNats, engine: NatsEngine, tmp_path: Path
) -> None:
    config = machine(tmp_path, "a")
    for url in ("pbx-1", "http://10.0.0.1:99999", "http://[::1", "http:// ", "http://asterisk:winter@10.0.0.1:8088"):
        said = await refused(2, "join", *nats.urls, "--machine", "pbx-1", "--asterisk-url", url, "--config", config)
        assert "the Asterisk of this machine is http://HOST:PORT" in said and "winter" not in said
    assert is_untouched(config)
    assert not await joining.sealed(engine)


async def test_with_a_wrong_password_of_nats(tmp_path: Path) -> None:
    config = machine(tmp_path, "a")
    async with (
        PrivateNats(tmp_path / "nats", servers=1, password="right") as nats,
        astergram("join", *nats.urls, "--user", USER, "--config", config) as command,
    ):
        await command.until(ASKS_PASSWORD)
        command.type("wrong-one")
        assert await command.ends() == 1, command.printed
    assert (
        "it refuses the login" in command.printed and "that of --user and the one that was asked for" in command.printed
    )
    assert "wrong-one" not in command.printed and is_untouched(config)


async def test_with_a_wrong_secret(nats: PrivateNats, tmp_path: Path) -> None:
    await done("join", *nats.urls, "--machine", "pbx-1", "--config", machine(tmp_path, "a"))
    second = machine(tmp_path, "b")
    await wrong("not the secret of this cluster", "something else of my own", second, *nats.urls, "--machine", "pbx-2")


async def test_a_cluster_that_was_made_by_hand(nats: PrivateNats, engine: NatsEngine, tmp_path: Path) -> None:
    await EngineSettings(engine.bucket("astergram-settings"), Cipher(BY_HAND)).keep("+1", "{}")
    config = machine(tmp_path, "a")
    await wrong("not the secret of this cluster", "something else of my own", config, *nats.urls, "--machine", "pbx-3")
    async with astergram("join", *nats.urls, "--machine", "pbx-3", "--config", config) as command:
        await command.until(ASKS)
        command.type(BY_HAND)
        assert await command.ends() == 0, command.printed
    assert secret_of(config) == BY_HAND


async def test_machines_without_a_secret(nats: PrivateNats, engine: NatsEngine, tmp_path: Path) -> None:
    async with guarded_tasks() as tasks:
        members = Members(engine.bucket("astergram-machines"), lambda *_: False)
        tasks.supervise(lambda: members.announce(lambda: Member("pbx-1"), asyncio.Event()), "word")
        tasks.supervise(members.watch, "members")
        while not members.all():  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.1)
    said = await refused(1, "join", *nats.urls, "--machine", "pbx-2", "--config", machine(tmp_path, "a"))
    assert "there is a cluster (pbx-1), and nothing in NATS" in said and "nothing was changed" in said


async def test_a_name_that_another_machine_has(nats: PrivateNats, tmp_path: Path) -> None:
    config = machine(tmp_path, "a")
    async with connected(nats.urls, "pbx-1") as other:
        await other.connected.wait()
        said = await refused(1, "join", *nats.urls, "--machine", "pbx-1", "--config", config)
        assert "is called pbx-1: give this one another name with --machine" in said
    assert is_untouched(config)
    await done("join", *nats.urls, "--machine", "pbx-1", "--config", config)


async def test_a_machine_of_a_cluster_joins_no_other_one(nats: PrivateNats, tmp_path: Path) -> None:
    config = machine(tmp_path, "a")
    await done("join", *nats.urls, "--machine", "pbx-1", "--config", config)
    before = config.read_text()
    said = await refused(1, "join", *nats.urls, "--machine", "pbx-2", "--config", config)
    assert "has a [cluster] section already" in said and "this machine is pbx-1" in said
    assert config.read_text() == before


async def test_servers_that_are_away(nats: PrivateNats, tmp_path: Path) -> None:
    config = machine(tmp_path, "a")
    await nats.kill(0)
    said = await refused(1, "join", *nats.urls, "--config", config)
    assert f"The NATS server {nats.urls[0]} can not be used: Connection refused" in said
    assert "Nothing was changed." in said and is_untouched(config)


async def test_all_servers_are_written_where_one_is_named(tmp_path: Path) -> None:
    first, second = machine(tmp_path, "a"), machine(tmp_path, "b")
    async with PrivateNats(tmp_path / "nats", password="winter") as nats:
        command = ("join", nats.urls[0], "--user", USER)
        async with astergram(*command, "--machine", "pbx-1", "--config", first) as joined:
            await joined.until(ASKS_PASSWORD)
            joined.type("winter")
            assert await joined.ends() == 0, joined.printed
        its = cluster_of(first)
        assert sorted(its.servers) == sorted(nats.urls)
        assert its.user == USER and its.password and its.password.get_secret_value() == "winter"
        assert f"astergram join {' '.join(its.servers)} --user {USER}" in joined.printed
        assert "winter" not in joined.printed

        # For scripts: one line for each question.
        async with astergram(*command, "--machine", "pbx-2", "--config", second) as joined:
            joined.type("winter")
            joined.type(secret_of(first))
            assert await joined.ends() == 0, joined.printed
        assert secret_of(second) == secret_of(first)

        said = await refused(1, "join", nats.urls[0], "--config", machine(tmp_path, "c"))
        assert "it refuses the login" in said and "--user" in said


@pytest.mark.parametrize("server", ["10.0.0.1:4222", "nats://astergram:winter@10.0.0.1:4222"])
async def test_what_is_no_server(tmp_path: Path, server: str) -> None:
    said = await refused(2, "join", server, "--config", machine(tmp_path, "a"))
    assert "a server is nats://HOST:PORT" in said and "winter" not in said


async def test_what_can_not_be_written_begins_no_cluster(
    nats: PrivateNats, engine: NatsEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = machine(tmp_path, "a")

    @contextmanager
    def full(file: Path, name: str, section: Mapping[str, Any]) -> Iterator[None]:
        yield
        raise OSError(28, "No space left on device")

    section = {"servers": nats.urls, "machine": "pbx-1", "secret": BY_HAND}
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(cli_join, "section_added", full)
        await cli_join._write(engine, config, section, begins=True)
    assert await joining.sealed(engine) == []
    await cli_join._write(engine, config, section, begins=True)
    assert joining.opens(BY_HAND, await joining.sealed(engine))


async def test_a_server_that_is_named_and_can_not_be_reached_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server names all addresses of its machine; not every one of them is for others."""
    known = {
        "nats://10.0.0.1:4222": joining.Named(
            "1", ("nats://10.0.0.1:4222", "nats://172.17.0.1:4222", "nats://10.0.0.2:4222")
        ),
        "nats://10.0.0.2:4222": joining.Named("2", ("nats://10.0.0.3:4222", "nats://192.168.0.1:4222")),
        "nats://172.17.0.1:4222": joining.Named("1", ()),
        "nats://10.0.0.3:4222": joining.Named("3", ("nats://10.0.0.1:4222",)),
    }

    async def named(url: str, user: str, password: str) -> joining.Named:
        if url not in known:
            raise OSError("away")
        return known[url]

    monkeypatch.setattr(joining, "_named", named)
    servers, away = await joining.all_servers(["nats://10.0.0.1:4222"])
    assert servers == ["nats://10.0.0.1:4222", "nats://10.0.0.2:4222", "nats://10.0.0.3:4222"]
    assert away == ["nats://192.168.0.1:4222"]
    with pytest.raises(EngineAway, match=r"nats://10\.0\.0\.9:4222: away"):
        await joining.all_servers(["nats://10.0.0.9:4222"])
