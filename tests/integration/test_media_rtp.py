"""A Telegram party and an RTP peer hear each other, with each pair of codecs that an Asterisk may have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media.formats import FORMATS
from media.pool import MediaPool
from media.rtp import BEST, RtpPacket
from media.types import Codec, Codecs
from tests.encoding import packets_of, pcm_of
from tests.integration.test_media_process import RATE, call, connect, frequency, read_wav, tone, write_wav

ALMOST_ALL = 145  # of the 150 packets that three seconds have
REJECTED = 2
LATE_S = 20.0  # for a busy machine to say them

SSRC = 0x1234


class Peer(asyncio.DatagramProtocol):
    """Asterisk's end: sends what it is told, keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[RtpPacket] = []
        self.socket: asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(RtpPacket.parse(data))

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.get_extra_info("sockname")
        return host, port

    def pcm(self, codec: Codec) -> NDArray[np.int16]:
        """What was heard."""
        decoder = FORMATS[codec].decoder()
        return pcm_of(b"".join(decoder.decode(packet.payload) for packet in self.heard))


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0))
    protocol.socket = transport
    try:
        yield protocol
    finally:
        protocol.socket.close()


async def speak(source: Peer, to: tuple[str, int], pcm: NDArray[np.int16], codec: Codec = "opus") -> None:
    """Send in real time, starting just before the sequence number and the timestamp wrap."""
    form, seq = FORMATS[codec], 65_500
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, payload in enumerate(packets_of(pcm, codec)):
        await asyncio.sleep(start + number * 0.02 - loop.time())
        packet = RtpPacket(form.payload_type, seq + number, 0xFFFFF000 + number * form.step, SSRC, payload)
        source.socket.sendto(packet.pack(), to)


@pytest.mark.parametrize("codecs", [BEST, Codecs("opus", "alaw"), Codecs("g722", "g722"), Codecs("alaw", "alaw")])
async def test_rtp_both_ways(tmp_path: Path, codecs: Codecs) -> None:
    speaks = FORMATS[codecs.from_asterisk].payload_type
    said = write_wav(tmp_path / "said.wav", tone(1000, 4))
    heard = tmp_path / "heard.wav"
    async with (
        MediaPool(tmp_path / "run") as pool,
        call(pool) as (line, person),
        peer() as asterisk,
        peer() as stranger,
    ):
        listening = await line.listen_rtp("127.0.0.1")
        await person.attach_files(said, heard)
        await line.attach_rtp(*asterisk.address, codecs)
        await connect(line, person)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speak(asterisk, listening, tone(440, 3), codecs.from_asterisk))
            tasks.create_task(speak(stranger, listening, tone(2000, 1)))
        asterisk.socket.sendto(b"\x80\x6b\x00", listening)
        asterisk.socket.sendto(RtpPacket(speaks, 1, 1, SSRC + 1, b"\xf8\xff\xfe").pack(), listening)
        asterisk.socket.sendto(RtpPacket(0, 1, 1, SSRC, bytes(160)).pack(), listening)
        async with asyncio.timeout(LATE_S):
            stats = await line.stats()
            while stats.to_asterisk.packets < ALMOST_ALL or stats.from_asterisk.rejected < REJECTED:
                await asyncio.sleep(0.1)
                stats = await line.stats()
    assert stats.from_asterisk.packets == 150
    assert stats.from_asterisk.lost == stats.from_asterisk.late == stats.from_asterisk.duplicates == 0
    assert stats.from_asterisk.foreign == 51
    assert stats.from_asterisk.rejected == REJECTED

    assert {packet.payload_type for packet in asterisk.heard} == {FORMATS[codecs.to_asterisk].payload_type}
    assert {len(packet.payload) for packet in asterisk.heard} == {160}
    for before, after in zip(asterisk.heard, asterisk.heard[1:], strict=False):
        assert (after.seq - before.seq) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 160
    got = asterisk.pcm(codecs.to_asterisk)
    loud = np.flatnonzero(np.abs(got) > 1000)
    middle = got[loud[0] + RATE // 4 : loud[0] + 2 * RATE]
    assert abs(frequency(middle) - 1000) < 5

    got = read_wav(heard)
    loud = np.flatnonzero(np.abs(got) > 1000)
    middle = got[loud[0] + RATE // 2 : loud[0] + 2 * RATE]
    assert abs(frequency(middle) - 440) < 5
    assert not stranger.heard


async def test_a_greeting_said_before_telegram_connects_is_heard_whole(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    words = (600, 900, 1300, 1800)
    greeting = np.concatenate([np.concatenate([tone(hertz, 0.3), tone(0, 0.3)]) for hertz in words])
    async with MediaPool(tmp_path / "run") as pool, call(pool) as (line, person), peer() as asterisk:
        listening = await line.listen_rtp("127.0.0.1")
        await line.attach_rtp(*asterisk.address, BEST)
        await person.attach_files(None, heard)
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(speak(asterisk, listening, np.concatenate([greeting, tone(0, 2)])))
            await asyncio.sleep(0.8)
            before = await line.stats()
            await connect(line, person)
            await speaking
        after = await line.stats()
    assert before.backlog_ms >= 600
    assert after.backlog_ms == 0
    assert after.skipped_ms >= 500
    pcm = read_wav(heard).astype(float)
    for hertz in words:
        phase = np.exp(-2j * np.pi * hertz * np.arange(len(pcm)) / RATE)
        blocks = (pcm * phase)[: len(pcm) // 480 * 480].reshape(-1, 480).mean(axis=1)
        # The listener's own buffer (NetEQ) stretches the first word a little; it must not be shorter than it was said.
        assert 27 <= np.count_nonzero(np.abs(blocks) > 1500) <= 45, f"the word of {hertz} Hz"
