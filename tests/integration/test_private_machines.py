"""The private Asterisk, SIP phone and TURN server: real programs, side by side, and gone at the end."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import struct
import sys
import wave
from pathlib import Path

import pytest

from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.processes import SandboxError, connected, running
from ari_app.sandbox.sip_phone import CODECS, Codec, SipPhone
from ari_app.sandbox.tones import measure, write_tone
from ari_app.sandbox.turn import PrivateTurn

STUN_COOKIE = 0x2112A442
STUN_BINDING_SUCCESS = 0x0101
ANSWER_TIMEOUT_S = 10.0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def log_line(asterisk: PrivateAsterisk, text: str) -> str:
    """Return the first line of Asterisk's log with this text; the caller knows that it was written."""
    lines = await asyncio.to_thread(asterisk.log.read_text)
    return next(line for line in lines.splitlines() if text in line)


async def test_two_side_by_side_and_gone_at_the_end(tmp_path: Path) -> None:
    async with PrivateAsterisk(tmp_path / "a") as first, PrivateAsterisk() as second:
        assert not set(first.rtp_ports) & set(second.rtp_ports)
        assert (first.ari_url, first.ami_port, first.sip_port) != (second.ari_url, second.ami_port, second.sip_port)
        assert "Asterisk" in await first.cli("core show version")
        assert "Objects found: 6" in await second.cli("pjsip show endpoints")
        pids, sockets, temporary = (first.pid, second.pid), first._sockets, second.run_dir
        ports = [first.http_port, first.ami_port, second.http_port, second.ami_port]
    assert not any(map(alive, pids))
    assert not sockets.exists() and not temporary.exists()
    assert (tmp_path / "a" / "log" / "full").is_file()  # a run folder that was given stays
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may linger
            probe.bind((HOST, port))


async def test_asterisk_that_cannot_start_says_why(tmp_path: Path) -> None:
    program = tmp_path / "tree/usr/sbin/asterisk"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    program.chmod(0o755)
    broken = Tree("asterisk", tmp_path / "tree", "x86_64-linux-gnu", own_loader=False)
    with pytest.raises(
        SandboxError, match=r"(?s)Asterisk ended at its start with status 3; .*no such luck.*log/console"
    ):
        async with PrivateAsterisk(tmp_path / "run", tree=broken):
            pass


async def test_taken_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with block(210) as ports, socket.socket() as stranger:
        stranger.bind((HOST, ports[0]))
        stranger.listen()
        monkeypatch.setattr("ari_app.sandbox.asterisk.block", lambda size: contextlib.nullcontext(ports))
        with pytest.raises(SandboxError, match=r"could not have one of its ports .*in use"):
            async with PrivateAsterisk():
                pass


async def test_own_dialplan_and_endpoints(tmp_path: Path) -> None:
    async with PrivateAsterisk(
        tmp_path, dialplan="[mine]\nexten => 1,1,Hangup(21)\n", pjsip="[extra](phone)\n", phones=("201",)
    ) as asterisk:
        assert "Hangup(21)" in await asterisk.cli("dialplan show mine")
        endpoints = await asterisk.cli("pjsip show endpoints")
        assert "extra" in endpoints and "201" in endpoints and "101" not in endpoints


@pytest.mark.asterisk_16
async def test_an_old_one_and_one_without_some_modules(tmp_path: Path, asterisk_tree: Tree) -> None:
    async with PrivateAsterisk(tmp_path, tree=asterisk_tree, without=("codec_opus", "format_ogg_opus")) as asterisk:
        version = await asterisk.cli("core show version")
        translation = await asterisk.cli("core show translation")
        complaints = [line for line in asterisk.log.read_text().splitlines() if "ERROR" in line]
    assert "codec_opus" not in (tmp_path / "etc" / "modules.conf").read_text()
    assert version.startswith(f"Asterisk {'16.28' if asterisk_tree.name == 'asterisk-16' else '22.'}")
    assert "alaw" in translation and "opus" not in translation
    assert complaints == []


@pytest.mark.parametrize("codec", CODECS)
async def test_phone_hears_its_own_tone(tmp_path: Path, codec: Codec) -> None:
    write_tone(tmp_path / "tone.wav", 440, 1)
    async with (
        PrivateAsterisk() as asterisk,
        SipPhone(asterisk, "101", codec=codec, play=tmp_path / "tone.wav") as phone,
    ):
        await phone.dial("600")
        await phone.established()
        await phone.wait_for("CALL_RTPESTAB")
        await asyncio.sleep(1.5)  # the length of the call is what is tested
        channels = await asterisk.cli("core show channels verbose")
        native = await asterisk.cli("pjsip show channelstats")
        await phone.hangup()
        await phone.closed()
        heard = measure(phone.recordings[0])
    assert "Echo" in channels and codec in native
    assert heard.hz == pytest.approx(440, abs=1)
    assert heard.level_dbfs == pytest.approx(-12, abs=2)
    assert heard.gaps == 0 and heard.seconds > 0.5


async def test_phone_calls_phone(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav", 440, 1)
    write_tone(tmp_path / "b.wav", 700, 1)
    async with (
        PrivateAsterisk() as asterisk,
        SipPhone(asterisk, "101", codec="opus", play=tmp_path / "a.wav") as caller,
        SipPhone(asterisk, "102", codec="alaw", play=tmp_path / "b.wav") as callee,
    ):
        await caller.dial("102")
        offer = await callee.incoming()
        assert "101" in offer.peer
        await caller.wait_for("CALL_RINGING")
        await callee.answer()
        await caller.established()
        await callee.established()
        await asyncio.sleep(1.5)  # the length of the call is what is tested
        await callee.hangup()
        await caller.closed()
        await callee.closed()
        assert measure(caller.recordings[0]).hz == pytest.approx(700, abs=1)
        assert measure(callee.recordings[0]).hz == pytest.approx(440, abs=1)


async def test_a_phone_ends_all_that_a_test_has_left() -> None:
    async with PrivateAsterisk() as asterisk, SipPhone(asterisk, "101") as phone:
        await phone.hang_up_all()  # of nothing
        for _ in range(2):
            await phone.dial("600")
            await phone.established()
        await phone.hang_up_all()
        await phone.dial("991")
        assert await phone.closed() == "404 Not Found", "the ends of the others are no news any more"


async def test_sip_status_of_failed_calls() -> None:
    async with PrivateAsterisk() as asterisk, SipPhone(asterisk, "101") as caller, SipPhone(asterisk, "102") as callee:
        await caller.dial("102")
        await callee.incoming()
        await callee.hangup()
        assert await caller.closed() == "486 Busy Here"
        for number, status in (("991", "404"), ("9017", "486"), ("9021", "403"), ("9020", "480")):
            await caller.dial(number)
            await caller.closed()
            assert caller.last_sip_status is not None and caller.last_sip_status.startswith(status), number


async def test_auto_answer_and_digits() -> None:
    async with PrivateAsterisk() as asterisk, SipPhone(asterisk, "101") as phone:
        await phone.dial("603")
        await phone.established()
        await phone.send_dtmf("10#")
        await phone.closed()
        assert "Digits: 10," in await log_line(asterisk, 'UserEvent("')
        async with SipPhone(asterisk, "103", auto_answer=True) as other:
            await phone.dial("103")
            await phone.established()
            await other.established()


async def test_prompt_at_once_is_heard_whole() -> None:
    async with PrivateAsterisk() as asterisk, SipPhone(asterisk, "101") as phone:
        await phone.dial("604")
        await phone.established()
        await phone.wait_for("CALL_RTPESTAB")
        await asyncio.sleep(1)  # the length of the call is what is tested
        await phone.hangup()
        await phone.closed()
        heard = measure(phone.recordings[0])
    assert heard.first_sound_s is not None and heard.first_sound_s < 0.5


async def test_wrong_password_is_told() -> None:
    async with PrivateAsterisk() as asterisk:
        asterisk.phone_passwords["101"] = "wrong"
        with pytest.raises(SandboxError, match="401 Unauthorized"):
            async with SipPhone(asterisk, "101"):
                pass


async def test_phone_leaves_nothing() -> None:
    async with PrivateAsterisk() as asterisk:
        async with SipPhone(asterisk, "101") as phone:
            await phone.dial("600")
            await phone.established()
            pid, folder = phone.pid, phone.run_dir
        assert not alive(pid) and not folder.exists()
        assert "0 active channels" in await asterisk.cli("core show channels")
        assert "No objects found" in await asterisk.cli("pjsip show contacts")


async def test_turn_answers_stun(tmp_path: Path) -> None:
    async with PrivateTurn(tmp_path / "turn") as turn, PrivateTurn() as other:
        assert turn.port != other.port
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect((HOST, turn.port))
            transaction = secrets.token_bytes(12)
            await loop.sock_sendall(client, struct.pack("!HHI", 0x0001, 0, STUN_COOKIE) + transaction)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await loop.sock_recv(client, 2048)
        kind, _, cookie = struct.unpack_from("!HHI", answer)
        assert (kind, cookie, answer[8:20]) == (STUN_BINDING_SUCCESS, STUN_COOKIE, transaction)
        pids, temporary = (turn.pid, other.pid), other.run_dir
    assert not any(map(alive, pids)) and not temporary.exists()


def test_blocks_of_ports_never_overlap() -> None:
    with block(210) as first, block(20) as second, block(80) as third:
        assert len({*first, *second, *third}) == 310
        for port in first:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((HOST, port))


async def test_program_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.sandbox.processes.STOP_GRACE_S", 0.2)
    stubborn = (
        "import signal, socket, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"listener = socket.create_server(('{HOST}', int(sys.argv[1])))\nwhile True: signal.pause()"
    )
    with block(1) as ports:
        async with running("stubborn", [sys.executable, "-c", stubborn, str(ports[0])], tmp_path / "log") as child:
            _, writer = await child.ready(connected(HOST, ports[0]), ANSWER_TIMEOUT_S)
            writer.close()
            await writer.wait_closed()
            pid = child.process.pid
    assert child.process.returncode == -signal.SIGKILL and not alive(pid)


async def test_measure_counts_holes(tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.wav", 1000, 1, level_dbfs=-20)
    with wave.open(str(tmp_path / "tone.wav"), "rb") as source:
        sound = source.readframes(48000)
    ms = 96  # bytes
    pieces = [bytes(200 * ms), sound[: 300 * ms], bytes(100 * ms), sound[: 300 * ms], bytes(40 * ms), sound[: 300 * ms]]
    with wave.open(str(tmp_path / "holes.wav"), "wb") as target:
        target.setparams((1, 2, 48000, 0, "NONE", ""))
        target.writeframes(b"".join([*pieces, bytes(500 * ms)]))
    heard = measure(tmp_path / "holes.wav")
    assert heard.gaps == 1  # the hole of 40 ms is too short to be heard as one
    assert heard.hz == pytest.approx(1000, abs=2)
    assert heard.first_sound_s == pytest.approx(0.2, abs=0.011)
    assert heard.seconds == pytest.approx(1.74)
    assert measure(tmp_path / "holes.wav", end_s=0.1).first_sound_s is None


async def test_blind_transfer_by_sip_and_by_keys() -> None:
    async with (
        PrivateAsterisk() as asterisk,
        SipPhone(asterisk, "101") as caller,
        SipPhone(asterisk, "102", auto_answer=True) as agent,
        SipPhone(asterisk, "103", auto_answer=True) as other,
    ):
        for transfer in (agent.transfer("103"), agent.send_dtmf("##103")):
            await caller.dial("102")
            await agent.established()
            await caller.established()
            await transfer
            await other.established()
            await agent.closed()
            await other.hangup()
            await caller.closed()
