"""What diagnostics say of the Asterisks of a cluster's other machines."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from ari_app.app.other_asterisks import OfferedAsterisk, others_in
from ari_app.asterisk.ari import AriClient
from ari_app.calls.moving import application
from ari_app.cli.installation import read_installation
from ari_app.cluster.bucket import KeyEntry
from ari_app.cluster.engine import connected
from ari_app.cluster.shared_settings import Cipher, EngineSettings
from ari_app.config import Settings
from ari_app.doctor import Doctor, Grade, Surroundings, Topic
from ari_app.doctor.findings import Finding
from ari_app.doctor.other_asterisks import others
from ari_app.doctor.surroundings import MachineAsterisk
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.nats import PrivateNats
from tests.unit.fake_ari import FakeAri, fake_ari

SECRET, OURS = "of pbx-2's Asterisk", "twenty characters of a secret"
APP = application("telegram", "pbx-1")


def its(url: str, **change: Any) -> MachineAsterisk:
    known: dict[str, Any] = {"user": "astergram", "password": SecretStr(SECRET), "app": APP}
    return MachineAsterisk("pbx-2", url, **(known | change))


async def examined(*asterisks: MachineAsterisk, **change: Any) -> list[Finding]:
    """On pbx-1."""
    nowhere = Surroundings("http://127.0.0.1:1", "", SecretStr(""), Path("/nowhere"), other_asterisks=asterisks)
    found = await others(dataclasses.replace(nowhere, **change))
    assert all(each.topic is Topic.CLUSTER for each in found)
    assert SECRET not in str(found)
    return found


async def wrong(asterisk: MachineAsterisk, **change: Any) -> str:
    (found,) = await examined(asterisk, **change)
    assert found.grade is Grade.PROBLEM
    return f"{found.sentence} {found.remedy}"


async def test_where_none_is_known_nothing_is_said() -> None:
    assert await examined() == []


async def test_one_that_can_be_used_and_one_that_may_only_be_read(asterisk: PrivateAsterisk) -> None:
    with (asterisk.run_dir / "etc" / "ari.conf").open("a") as file:
        file.write("\n[reader]\ntype = user\nread_only = yes\npassword = reads\n")
    await asterisk.cli("module reload res_ari.so")
    password = SecretStr(asterisk.ari_password)
    there = its(asterisk.ari_url, user=asterisk.ari_user, password=password)
    (found,) = await examined(there)
    assert found.grade is Grade.OK
    assert str(found.sentence).startswith("The Asterisk of machine pbx-2 answers at ")
    assert "not connected to it as the Stasis application telegram@pbx-1" in await wrong(there, holds_app=True)
    async with AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, APP) as client:
        await client.wait_connected()
        (found,) = await examined(there, holds_app=True)
        assert found.grade is Grade.OK and "Astergram is connected to it" in str(found.sentence)
        await client.asterisk.getInfo()  # still connected: the doctor pushed nobody out
        assert client.last_error is None
    reader = dataclasses.replace(there, user="reader", password=SecretStr("reads"))
    assert "the ARI user reader may only read On pbx-2, set read_only = no" in await wrong(reader)
    assert "refuses the ARI user astergram On pbx-2, make the password" in await wrong(
        dataclasses.replace(there, password=SecretStr("not-the-password"))
    )


async def test_one_that_is_not_reached(unused_tcp_port: int) -> None:
    said = await wrong(its(f"http://127.0.0.1:{unused_tcp_port}"))
    assert f"The Asterisk of machine pbx-2, at http://127.0.0.1:{unused_tcp_port}, can not be used from here" in said
    for what in ("bindaddr in http.conf", "a firewall", "asterisk_url", "astergram cluster forget pbx-2"):
        assert what in said


async def test_one_that_is_this_machines_own() -> None:
    async with fake_ari() as ari:
        said = await wrong(its(ari.url.removesuffix("/ari")), ari_url=ari.url)
        assert "that is this machine's own Set asterisk_url under [cluster] on pbx-2" in said
        assert ari.requests == []


async def test_one_without_ari() -> None:
    async with TestServer(web.Application()) as server:
        assert "an HTTP server answers, which has no ARI" in await wrong(its(str(server.make_url("/"))))


@pytest.mark.parametrize(
    ("transport", "media_host", "elsewhere", "is_wrong"),
    [
        ("rtp", "127.0.0.1", "", True),
        ("rtp", "127.0.0.1", "10.0.0.1", False),
        ("rtp", "10.0.0.1", "", False),
        ("rtp", "10.0.0.1", "127.0.0.1", True),
        ("websocket", "127.0.0.1", "", False),
    ],
)
async def test_where_it_sends_the_audio(transport: str, media_host: str, elsewhere: str, *, is_wrong: bool) -> None:
    there = its("http://pbx-2.invalid:8088", transport=transport)
    found = await examined(there, media_host=media_host, media_host_elsewhere=elsewhere)
    said = [str(each.remedy) for each in found[1:]]
    assert ["media_host under [cluster]" in each for each in said] == ([True] if is_wrong else [])
    assert len(await examined(its("http://127.0.0.1:1/"), media_host=media_host)) == 1, "it is on this machine"


def offered(ari: FakeAri) -> str:
    return OfferedAsterisk(
        url=ari.url, user="astergram", password=SECRET, app="telegram", transport="rtp"
    ).model_dump_json()


async def test_the_command_line_has_them_of_nats(tmp_path: Path, one: PrivateNats) -> None:
    async with fake_ari() as ari:
        async with connected(one.urls, "pbx-2") as engine:
            await engine.connection()
            shared = EngineSettings(engine.bucket("astergram-asterisks"), Cipher(OURS))
            for machine in ("pbx-1", "pbx-2", "pbx-3"):
                await shared.keep(machine, offered(ari))
            await shared.keep("pbx-3", None)  # it is forgotten
        settings = Settings.model_validate(
            {
                "asterisk": {"password": "x", "url": "http://127.0.0.1:1"},
                "state_dir": tmp_path,
                "cluster": {"servers": one.urls, "machine": "pbx-1", "secret": OURS, "media_host": "10.0.0.1"},
            }
        )
        here = await read_installation(settings, with_others=True)
        assert here.other_asterisks == (its(ari.url),) and here.media_host_elsewhere == "10.0.0.1"
        assert SECRET not in repr(here)
        found = [each for each in await Doctor(lambda: here).examine() if "machine pbx-2" in str(each.sentence)]
        assert [each.grade for each in found] == [Grade.OK]
        assert (await read_installation(settings)).other_asterisks == (), "who does not need them does not ask"
        await one.kill(0)
        assert (await read_installation(settings, with_others=True)).other_asterisks == ()


def test_what_can_not_be_read_is_left_out() -> None:
    ours, theirs = Cipher(OURS), Cipher("another secret of the cluster")
    unknown = '{"name": "pbx-3", "value": "{\\"url\\": \\"x\\"}"}'
    entries = [
        KeyEntry("pbx-2", theirs.seal("pbx-2", unknown), 1),
        KeyEntry("pbx-3", ours.seal("pbx-3", unknown), 2),
        KeyEntry("pbx-4", None, 3),
        KeyEntry("pbx-5", ours.seal("pbx-5", "[]"), 4),
    ]
    assert others_in(entries, OURS, "pbx-1") == {}
