"""The doctor examines a real Asterisk, whole and broken; and what Connect shows makes one whole."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

import dialplan
from ari_app.asterisk.events import StasisStart
from ari_app.doctor import AmiLogin, Doctor, Finding, Grade, LineNeeds, Surroundings, Topic, print_report
from ari_app.doctor.connect import ari_conf, http_conf, manager_conf
from ari_app.doctor.dialplan import Flavour, extensions
from ari_app.sandbox.asterisk import PrivateAsterisk
from tests.integration.ari_helpers import connected

LINE = "+79990000001"
NOT_OF_THE_INSTALLATION = Topic.TIME
"""Whether NTP sets the clock of the machine that runs the tests is not theirs to say."""


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "lines").mkdir(parents=True)
    for path in (folder, folder / "lines"):
        path.chmod(0o700)
    for path in (folder / "astergram.db", folder / "lines" / "79990000001.session"):
        path.touch(0o600)
    return folder


@pytest.fixture
def whole(asterisk: PrivateAsterisk, state_dir: Path) -> Surroundings:
    """An installation with nothing wrong; Asterisk's own ports stand in for Telegram's."""
    return Surroundings(
        asterisk.ari_url,
        asterisk.ari_user,
        SecretStr(asterisk.ari_password),
        state_dir,
        ami=AmiLogin(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, SecretStr(asterisk.ami_password)),
        lines=(LineNeeds(LINE, callback="605@phones"),),
        telegram_servers=((asterisk.ami_host, asterisk.http_port),),
        bot_api_url=f"http://{asterisk.ami_host}:{asterisk.http_port}",
        telegram_offset_s=0.0,
    )


async def examine(surroundings: Surroundings, clock: Callable[[], float] = time.time) -> list[Finding]:
    findings = await Doctor(lambda: surroundings, clock).examine()
    secrets = [surroundings.ari_password.get_secret_value()]
    secrets += [surroundings.ami.password.get_secret_value()] if surroundings.ami else []
    told = str(findings)
    assert not any(secret in told for secret in secrets)
    return findings


def wrong(findings: list[Finding], *topics: Topic) -> list[str]:
    """The sentences and remedies of what is not ok, of some topics or of all that concern the installation."""
    return [
        f"{finding.sentence} {finding.remedy}"
        for finding in findings
        if finding.grade is not Grade.OK
        and (finding.topic in topics if topics else finding.topic is not NOT_OF_THE_INSTALLATION)
    ]


@pytest.mark.asterisk_16
async def test_nothing_wrong(whole: Surroundings) -> None:
    findings = await examine(whole)
    assert wrong(findings) == []
    assert {finding.topic for finding in findings} == set(Topic) - {Topic.CLUSTER}, "there is one machine"
    assert [finding.topic for finding in findings] == sorted(
        (finding.topic for finding in findings), key=list(Topic).index
    )


async def test_wrong_ari_password(whole: Surroundings) -> None:
    (only,) = wrong(await examine(dataclasses.replace(whole, ari_password=SecretStr("not-the-password"))))
    assert "refuses the ARI user astergram" in only
    assert "ari.conf" in only


async def test_user_who_may_only_read(asterisk: PrivateAsterisk, whole: Surroundings) -> None:
    with (asterisk.run_dir / "etc" / "ari.conf").open("a") as file:
        file.write("\n[reader]\ntype = user\nread_only = yes\npassword = reads\n")
    await asterisk.cli("module reload res_ari.so")
    (only,) = wrong(await examine(dataclasses.replace(whole, ari_user="reader", ari_password=SecretStr("reads"))))
    assert "reader may only read" in only
    assert "read_only = no for [reader]" in only


async def test_application_of_another_program(asterisk: PrivateAsterisk, whole: Surroundings) -> None:
    async with connected(asterisk) as client:
        (only,) = wrong(await examine(whole))
        assert "Another program is connected to Asterisk as the Stasis application telegram" in only
        assert wrong(await examine(dataclasses.replace(whole, holds_app=True))) == []
        await client.asterisk.getInfo()  # still connected: the doctor pushed nobody out
        assert client.last_error is None


COMMAND = re.compile(r"asterisk -rx '([^']+)'")


@pytest.mark.asterisk_16
async def test_unloaded_modules_are_named_and_what_is_said_loads_them(
    asterisk: PrivateAsterisk, whole: Surroundings
) -> None:
    for module in ("chan_rtp", "codec_opus_open_source", "codec_g722", "app_exec"):
        await asterisk.cli(f"module unload {module}.so")
    over_rtp = await examine(whole)
    assert any("chan_rtp" in said for said in wrong(over_rtp, Topic.TRANSPORT))
    assert any("no Opus codec: calls have A-law" in said for said in wrong(over_rtp, Topic.CODECS))
    assert any("app_exec" in said for said in wrong(over_rtp, Topic.MODULES))
    for said in wrong(over_rtp):
        await asterisk.cli(COMMAND.findall(said)[-1])
    assert wrong(await examine(whole)) == []


@pytest.mark.asterisk_16
async def test_no_codec_at_all(asterisk: PrivateAsterisk, whole: Surroundings) -> None:
    for module in ("codec_opus_open_source", "codec_g722", "codec_alaw"):
        await asterisk.cli(f"module unload {module}.so")
    findings = await examine(whole)
    assert [each.grade for each in findings if each.topic is Topic.CODECS] == [Grade.PROBLEM]
    (said,) = wrong(findings)
    assert "every call is refused" in said
    await asterisk.cli(COMMAND.findall(said)[-1])
    assert [each.grade for each in await examine(whole) if each.topic is Topic.CODECS] == [Grade.ADVICE]


@pytest.mark.asterisk_22
async def test_the_modules_of_the_other_transport_are_not_asked_for(
    asterisk: PrivateAsterisk, whole: Surroundings
) -> None:
    for module in ("chan_rtp", "chan_websocket"):
        await asterisk.cli(f"module unload {module}.so")
    over_websocket = wrong(await examine(dataclasses.replace(whole, transport="websocket")), Topic.TRANSPORT)
    assert any("chan_websocket" in said for said in over_websocket)
    assert not any("chan_rtp" in said for said in over_websocket)


async def test_ari_without_its_modules(asterisk: PrivateAsterisk, whole: Surroundings) -> None:
    await asterisk.cli("module unload res_ari_asterisk.so")
    (only,) = wrong(await examine(whole))
    assert "res_ari_asterisk" in only


async def test_asterisk_away(whole: Surroundings, asterisk: PrivateAsterisk) -> None:
    await asterisk.cli("core stop now")
    while True:  # its ports close when it has ended
        findings = await examine(whole)
        if len(wrong(findings, Topic.ARI, Topic.AMI)) == 2:
            break
        await asyncio.sleep(0.05)
    ari, ami = wrong(findings, Topic.ARI, Topic.AMI)
    assert "does not answer" in ari
    assert "http.conf" in ari
    assert "does not answer" in ami
    assert "manager.conf" in ami
    assert any(finding.topic is Topic.MACHINE and finding.grade is Grade.OK for finding in findings)


async def test_wrong_ami_password(whole: Surroundings) -> None:
    assert whole.ami
    login = dataclasses.replace(whole.ami, password=SecretStr("not-the-secret"))
    (only,) = wrong(await examine(dataclasses.replace(whole, ami=login)))
    assert "refuses the AMI user astergram" in only
    assert "manager.conf" in only


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ("read = user\nwrite = user\n", ["write = reporting", "not checked"]),
        ("read = user\nwrite = reporting\n", ["write = user."]),
        ("read = call\nwrite = user,reporting\n", ["does not receive user events"]),
        ("", ["write = user,reporting", "not checked"]),
    ],
)
async def test_ami_user_without_rights(
    asterisk: PrivateAsterisk, whole: Surroundings, rights: str, told: list[str]
) -> None:
    with (asterisk.run_dir / "etc" / "manager.conf").open("a") as file:
        file.write(f"\n[limited]\nsecret = kept-to-itself\n{rights}")
    await asterisk.cli("manager reload")
    assert whole.ami
    login = dataclasses.replace(whole.ami, user="limited", password=SecretStr("kept-to-itself"))
    said = wrong(await examine(dataclasses.replace(whole, ami=login)))
    assert len(said) == len(told)
    assert all(part in each for part, each in zip(told, said, strict=True))


MANAGER = (Path(dialplan.__file__).parent / "manager.conf").read_text()
RIGHTS = re.findall(r"^(read|write) = (.*)$", MANAGER, re.MULTILINE)
"""What the sample of manager.conf grants."""


@pytest.mark.parametrize(
    ("kind", "right"), [(kind, right) for kind, rights in RIGHTS for right in rights.split(",")], ids="=".join
)
async def test_each_right_of_the_sample_is_needed_and_named(
    asterisk: PrivateAsterisk, whole: Surroundings, kind: str, right: str
) -> None:
    lines = []
    for name, rights in RIGHTS:
        left = [each for each in rights.split(",") if (name, each) != (kind, right)]
        lines.append(f"{name} = {','.join(left)}\n" if left else "")
    with (asterisk.run_dir / "etc" / "manager.conf").open("a") as file:
        file.write(f"\n[limited]\nsecret = kept-to-itself\n{''.join(lines)}")
    await asterisk.cli("manager reload")
    assert whole.ami
    login = dataclasses.replace(whole.ami, user="limited", password=SecretStr("kept-to-itself"))
    said = wrong(await examine(dataclasses.replace(whole, ami=login)), Topic.AMI)
    assert len(said) == 1
    assert re.search(rf"{kind} = [a-z,]*\b{right}\b", said[0])


async def test_ami_not_configured_is_advice(whole: Surroundings) -> None:
    findings = await examine(dataclasses.replace(whole, ami=None))
    assert [finding.grade for finding in findings if finding.topic is Topic.AMI] == [Grade.ADVICE]
    assert not any(finding.grade is Grade.PROBLEM for finding in findings)


async def test_line_without_extension(whole: Surroundings) -> None:
    lines = (LineNeeds(LINE, "no-such-context"), LineNeeds(LINE, callback="777@phones"))
    said = wrong(await examine(dataclasses.replace(whole, lines=lines)), Topic.DIALPLAN)
    assert ["no-such-context" in said[0], "777 in [phones]" in said[1]] == [True, True]
    assert len(said) == 2


async def test_dialplan_of_another_application(whole: Surroundings) -> None:
    (only,) = wrong(await examine(dataclasses.replace(whole, app="other")))
    assert "[to-telegram] sends calls to the Stasis application telegram; Astergram is other" in only


async def test_a_dialplan_that_takes_emergency_calls(asterisk: PrivateAsterisk, whole: Surroundings) -> None:
    """As the sample of earlier versions did, where phones include it."""
    with (asterisk.run_dir / "etc" / "extensions.conf").open("a") as file:
        file.write("\n[to-telegram](+)\nexten => _[+@0-9t].,1,Stasis(telegram,${EXTEN})\n")
    await asterisk.cli("dialplan reload")
    (only,) = wrong(await examine(whole))
    assert "takes 112, 911, too" in only


async def test_fewer_rtp_ports_than_calls_need(asterisk: PrivateAsterisk, whole: Surroundings) -> None:
    calls = len(asterisk.rtp_ports) // 4
    for count, problems in ((calls, 0), (calls + 1, 1)):
        said = wrong(await examine(dataclasses.replace(whole, lines=(LineNeeds(LINE, max_calls=count),))))
        assert len(said) == problems
        assert all("rtpstart" in each for each in said)


async def test_clocks_apart(whole: Surroundings) -> None:
    findings = await examine(dataclasses.replace(whole, telegram_offset_s=-40.0), lambda: time.time() + 100)
    said = wrong(findings, Topic.TIME)
    assert any("Asterisk's clock and this machine's are 100 s apart" in each for each in said)
    assert any("Telegram's are 40 s apart" in each for each in said)


async def test_telegram_out_of_reach(whole: Surroundings, unused_tcp_port: int) -> None:
    closed = ("127.0.0.1", unused_tcp_port)
    surroundings = dataclasses.replace(
        whole, telegram_servers=(closed,), bot_api_url=f"http://127.0.0.1:{unused_tcp_port}"
    )
    telegram, bot_api = wrong(await examine(surroundings))
    assert f"127.0.0.1:{unused_tcp_port} takes no connection" in telegram
    assert "Bot API" in bot_api
    some = dataclasses.replace(whole, telegram_servers=(*whole.telegram_servers, closed))
    grades = [finding.grade for finding in await examine(some) if finding.topic is Topic.TELEGRAM]
    assert grades == [Grade.OK, Grade.ADVICE, Grade.OK]


@pytest.mark.parametrize("path", [".", "lines", "astergram.db", "lines/79990000001.session"])
async def test_state_open_to_others(whole: Surroundings, path: str) -> None:
    opened = whole.state_dir / path
    opened.chmod(opened.stat().st_mode | 0o040)
    (only,) = wrong(await examine(whole))
    assert f"{opened} " in only


async def test_no_state_dir(whole: Surroundings, tmp_path: Path) -> None:
    (only,) = wrong(await examine(dataclasses.replace(whole, state_dir=tmp_path / "nowhere")))
    assert "nowhere does not exist" in only


async def test_report(whole: Surroundings) -> None:
    output = io.StringIO()
    console = Console(file=output, width=200)
    assert print_report(await examine(whole), console) == 0
    assert "✓ ok" in output.getvalue()
    assert "problems: 0" in output.getvalue()
    broken = dataclasses.replace(whole, ari_password=SecretStr("not-the-password"))
    assert print_report(await examine(broken), console) == 1
    assert "✗ problem" in output.getvalue()


STUBS = """
[general]
[from-trunk]
exten => _X.,1,Hangup(21)
[none-incoming]
exten => _X.,1,Hangup(21)
[internal]
exten => 201,1,Hangup(21)
"""


PHONES = {
    Flavour.VANILLA: ("phones-to-telegram", "+79990000002"),
    Flavour.FREEPBX: ("to-telegram", "+79990000002"),
    Flavour.MIKOPBX: ("all_peers-custom", "*979990000002"),
}
"""Where a phone's or a trunk's call comes from, and what is dialled."""


@pytest.mark.parametrize("flavour", Flavour)
async def test_what_connect_shows_loads_and_works(
    asterisk: PrivateAsterisk, whole: Surroundings, flavour: Flavour
) -> None:
    lines = (LineNeeds(LINE, callback="605@from-callback"), LineNeeds("+4930123", "from-berlin"))
    here = dataclasses.replace(whole, lines=lines)
    assert here.ami
    etc = asterisk.run_dir / "etc"
    seen = len(asterisk.log.read_text())
    (etc / "extensions.conf").write_text(STUBS + extensions(flavour, here))
    (etc / "http.conf").write_text(http_conf(here))
    (etc / "ari.conf").write_text(
        ari_conf(here).replace("THE_PASSWORD_OF_ASTERISK_IN_ASTERGRAM_TOML", here.ari_password.get_secret_value())
    )
    (etc / "manager.conf").write_text(
        manager_conf(here).replace("THE_PASSWORD_OF_AMI_IN_ASTERGRAM_TOML", here.ami.password.get_secret_value())
    )
    for command in ("dialplan reload", "module reload res_ari.so", "manager reload", "module reload http"):
        await asterisk.cli(command)
    complaints = [line for line in asterisk.log.read_text()[seen:].splitlines() if "WARNING" in line or "ERROR" in line]
    assert complaints == []
    assert wrong(await examine(here)) == []
    async with connected(asterisk) as client:
        phones, dialled = PHONES[flavour]
        async with client.subscribe() as arrivals:
            await client.channels.originate(
                endpoint=f"Local/{dialled}@{phones}/n", extension="201", context="internal", priority=1
            )
            async with asyncio.timeout(20.0):
                start = await arrivals.next("StasisStart")
        assert isinstance(start, StasisStart)
        assert start.args == ["+79990000002", ""]
