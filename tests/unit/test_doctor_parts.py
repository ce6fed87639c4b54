"""The doctor's checks that need no Asterisk."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from ari_app.doctor import AmiLogin, Doctor, Finding, Grade, LineNeeds, Surroundings, Topic, ari, doctor, machine, reach

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
    findings = ari.transport(ari.AriServer((22, 10), "22.10.1", frozenset(ari.RTP_MODULES)), remote)
    said = [str(finding.sentence) for finding in findings if finding.grade is Grade.PROBLEM]
    assert len(said) == problems
    assert all("media_host" in each for each in said)


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
    assert grades(ari.version(ari.AriServer(number, "its text", frozenset()))) == [grade]


@pytest.mark.parametrize(("number", "grade"), [((22, 5), Grade.PROBLEM), ((22, 6), Grade.OK), ((23, 0), Grade.OK)])
def test_websocket_needs_a_new_asterisk(nowhere: Surroundings, number: tuple[int, int], grade: Grade) -> None:
    server = ari.AriServer(number, "its text", frozenset(ari.WEBSOCKET_MODULES))
    assert grades(ari.transport(server, dataclasses.replace(nowhere, transport="websocket"))) == [grade]
