"""The doctor's checks that need no Asterisk."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from ari_app.doctor import (
    AmiLogin,
    Doctor,
    Finding,
    Grade,
    LineNeeds,
    Surroundings,
    Topic,
    doctor,
    machine,
    reach,
    server,
)
from ari_app.doctor.agi import asking
from ari_app.doctor.surroundings import AgiAddress

MANY_CALLS = (LineNeeds("+79990000001", max_calls=10_000_000),)


@pytest.fixture
def nowhere(tmp_path: Path, unused_tcp_port: int) -> Surroundings:
    """An installation with nobody around it."""
    tmp_path.chmod(0o700)
    return Surroundings(
        f"http://127.0.0.1:{unused_tcp_port}",
        "astergram",
        SecretStr("password"),
        tmp_path,
        telegram_servers=(("127.0.0.1", unused_tcp_port),),
    )


def grades(findings: list[Finding]) -> list[Grade]:
    return [finding.grade for finding in findings]


async def test_what_is_away_is_told_in_words(nowhere: Surroundings, unused_tcp_port: int) -> None:
    ami = AmiLogin("127.0.0.1", unused_tcp_port, "astergram", SecretStr("password"))
    bot_api = f"http://127.0.0.1:{unused_tcp_port}"
    found = await Doctor(lambda: dataclasses.replace(nowhere, ami=ami, bot_api_url=bot_api)).examine()
    told = [str(each.sentence) for each in found if each.grade is Grade.PROBLEM]
    assert len(told) == 4
    for sentence in told:
        assert "Connection refused" in sentence
        assert not re.search("Errno|ssl:|Connect call", sentence), sentence


async def test_a_failing_check_hides_no_other(nowhere: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await Doctor(lambda: nowhere).examine()

    def fails(_surroundings: Surroundings) -> list[Finding]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(machine, "disk", fails)
    findings = await Doctor(lambda: nowhere).examine()
    assert len(findings) == len(whole)
    (failed,) = [finding for finding in findings if "the disk is gone" in str(finding.sentence)]
    assert (failed.topic, failed.grade) == (Topic.MACHINE, Grade.PROBLEM)


async def test_a_check_that_hangs_is_given_up(nowhere: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await Doctor(lambda: nowhere).examine()

    async def hangs(_surroundings: Surroundings) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(reach, "telegram", hangs)
    monkeypatch.setattr(doctor, "CHECK_TIMEOUT_S", 0.5)
    findings = await Doctor(lambda: nowhere).examine()
    assert len(findings) == len(whole)
    assert any("took longer" in str(finding.sentence) for finding in findings if finding.topic is Topic.TELEGRAM)


def test_disk(nowhere: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grades(machine.disk(nowhere)) == [Grade.OK]
    monkeypatch.setattr(machine, "DISK_ADVICE_MB", 10**12)
    assert grades(machine.disk(nowhere)) == [Grade.ADVICE]
    monkeypatch.setattr(machine, "DISK_PROBLEM_MB", 10**12)
    assert grades(machine.disk(nowhere)) == [Grade.PROBLEM]


def test_limits_that_many_calls_reach(nowhere: Surroundings) -> None:
    assert grades(machine.open_files(nowhere) + machine.memory(nowhere)) == [Grade.OK, Grade.OK]
    busy = dataclasses.replace(nowhere, lines=MANY_CALLS)
    assert grades(machine.memory(busy)) == [Grade.ADVICE]


@pytest.mark.parametrize(("media_host", "problems"), [("127.0.0.1", 1), ("localhost", 1), ("10.0.0.1", 0)])
def test_media_host_of_a_remote_asterisk(nowhere: Surroundings, media_host: str, problems: int) -> None:
    remote = dataclasses.replace(nowhere, ari_url="http://10.0.0.2:8088", media_host=media_host)
    findings = server.transport(server.AriServer((22, 10), "22.10.1", frozenset(server.RTP_MODULES)), remote)
    said = [str(finding.sentence) for finding in findings if finding.grade is Grade.PROBLEM]
    assert len(said) == problems
    assert all("media_host" in each for each in said)


@pytest.mark.parametrize(
    ("asterisk", "agi", "running", "said"),
    [
        ("127.0.0.1", None, [], None),
        ("127.0.0.1", AgiAddress(), ["res_agi"], ""),
        ("127.0.0.1", AgiAddress(), [], "res_agi"),
        ("10.0.0.2", AgiAddress(), ["res_agi"], "listens at 127.0.0.1"),
        ("10.0.0.2", AgiAddress("10.0.0.1"), ["res_agi"], "no other machine"),
        ("10.0.0.2", AgiAddress("10.0.0.1", allow=(ip_network("10.0.1.0/24"),)), ["res_agi"], "10.0.0.2"),
        ("10.0.0.2", AgiAddress("10.0.0.1", allow=(ip_network("10.0.0.0/24"),)), ["res_agi"], ""),
        ("pbx.example.com", AgiAddress("10.0.0.1", allow=(ip_network("10.0.0.0/24"),)), ["res_agi"], ""),
        ("pbx.example.com", AgiAddress("10.0.0.1"), ["res_agi"], "no other machine"),
    ],
)
def test_whether_a_dialplan_can_ask(
    nowhere: Surroundings, asterisk: str, agi: AgiAddress | None, running: list[str], said: str | None
) -> None:
    here = dataclasses.replace(nowhere, ari_url=f"http://{asterisk}:8088", media_host="10.0.0.1", agi=agi)
    found = asking(server.AriServer((22, 10), "22.10.1", frozenset(running)), here)
    if said is None:
        assert found == []
    elif said:
        assert [said in str(each.sentence) for each in found if each.grade is Grade.PROBLEM] == [True]
    else:
        assert grades(found) == [Grade.OK]
        assert f"agi://{'127.0.0.1' if asterisk == '127.0.0.1' else '10.0.0.1'}:4573/" in str(found[0].sentence)


@pytest.mark.parametrize(
    ("number", "grade"),
    [
        ((16, 5), Grade.PROBLEM),
        ((13, 38), Grade.PROBLEM),
        ((16, 6), Grade.OK),
        ((22, 10), Grade.OK),
        ((0, 0), Grade.ADVICE),
    ],
)
def test_oldest_version(number: tuple[int, int], grade: Grade) -> None:
    assert grades(server.version(server.AriServer(number, "its text", frozenset()))) == [grade]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ((16, 28), "cannot carry"),
        ((20, 15), "cannot carry"),
        ((20, 16), "chan_websocket is not loaded"),
        ((21, 10), "cannot carry"),
        ((22, 5), "cannot carry"),
        ((22, 6), "chan_websocket is not loaded"),
        ((23, 0), "chan_websocket is not loaded"),
    ],
)
def test_websocket_needs_a_new_asterisk(nowhere: Surroundings, number: tuple[int, int], said: str) -> None:
    here = dataclasses.replace(nowhere, transport="websocket")
    lacking = server.transport(server.AriServer(number, "its text", frozenset({"res_websocket_client"})), here)
    assert [said in str(finding.sentence) for finding in lacking] == [True]
    loaded = server.transport(server.AriServer(number, "its text", frozenset(server.WEBSOCKET_MODULES)), here)
    assert grades(loaded) == [Grade.OK], "whoever packages it has added it"


ALL_CODECS = {"codec_resample", "codec_opus", "codec_g722", "codec_alaw", "res_format_attr_opus"}


@pytest.mark.parametrize(
    ("without", "grade", "command"),
    [
        (set(), Grade.OK, ""),
        ({"codec_opus"}, Grade.ADVICE, "module load codec_opus.so"),
        ({"codec_g722"}, Grade.ADVICE, "module load codec_g722.so"),
        ({"res_format_attr_opus"}, Grade.ADVICE, "module load res_format_attr_opus.so"),
        ({"codec_resample"}, Grade.PROBLEM, "module load codec_resample.so"),
        ({"codec_g722", "codec_alaw"}, Grade.PROBLEM, "module load codec_g722.so"),
        ({"codec_opus", "codec_g722", "codec_alaw"}, Grade.PROBLEM, "module load codec_g722.so"),
    ],
)
def test_codecs(nowhere: Surroundings, without: set[str], grade: Grade, command: str) -> None:
    found = server.codecs(server.AriServer((18, 10), "18.10.0", frozenset(ALL_CODECS - without)), nowhere)
    assert grades(found) == [grade]
    assert command in str(found[0].remedy)


@pytest.mark.parametrize(
    ("version", "text", "step"),
    [
        ((16, 28), "16.28.0~dfsg-0+deb11u4", "apt install asterisk-opus"),
        ((22, 10), "22.10.1+dfsg+~cs6.17.60671434-1", "module load codec_opus_open_source.so"),
        ((18, 10), "18.10.0", "downloads.digium.com"),
    ],
)
def test_where_an_opus_codec_comes_from(nowhere: Surroundings, version: tuple[int, int], text: str, step: str) -> None:
    (found,) = server.codecs(server.AriServer(version, text, frozenset(ALL_CODECS - {"codec_opus"})), nowhere)
    assert "Opus" in str(found.sentence)
    assert step in str(found.remedy)
