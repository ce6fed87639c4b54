"""A call without Telegram, in the process that media processes are forked from.

Python rewrites code that has run a few times (PEP 659), and fills its caches: done before a fork, it is done once, and
the memory of it stays shared between the calls, a megabyte each.
"""

import asyncio
import socket
from contextlib import AsyncExitStack

from media import messages as m
from media.codecs import PACKET_MS, TICK_MS, size_of
from media.formats import FORMATS
from media.rtp import BEST, RtpPacket
from media.udp import UdpPort
from media.worker import Worker

HOST = "127.0.0.1"
PACKETS = 50
"""Python has rewritten code by then that runs with each of them."""
TIMEOUT_S = 10.0
"""It takes 0.1 s; without it calls need more memory, and nothing else."""


async def rehearse() -> None:
    """Half a second of a call by RTP, as fast as it goes."""
    controller, process = socket.socketpair()
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks, AsyncExitStack() as resources:
        worker = Worker(resources)
        tasks.create_task(worker.serve(*await asyncio.open_unix_connection(sock=process, limit=m.MAX_LINE)))
        reader, writer = await asyncio.open_unix_connection(sock=controller, limit=m.MAX_LINE)
        resources.callback(writer.close)
        asterisk = UdpPort(HOST)
        resources.callback(asterisk.close)

        async def ask(request: m.Request) -> m.Reply | m.Event | None:
            writer.write(m.to_line(request))
            return await m.read_answer(reader)

        await ask(m.Begin(call_id="rehearsal", orphan_grace_s=0.0))
        listening = await ask(m.ListenRtp(bind_host=HOST))
        assert isinstance(listening, m.Listening)
        await ask(m.AttachRtp(host=HOST, port=asterisk.address[1], codecs=BEST))
        worker.on_connected()
        _talk(worker, asterisk, (listening.host, listening.port))
        for _ in range(PACKETS):
            await ask(m.Stats())
        await ask(m.Stop())


def _talk(worker: Worker, asterisk: UdpPort, process: tuple[str, int]) -> None:
    spoken = FORMATS[BEST.from_asterisk]
    encoder = spoken.encoder()
    payload = encoder.encode(bytes(size_of(PACKET_MS, encoder.rate)))
    frame = bytes(size_of(TICK_MS, FORMATS[BEST.to_asterisk].encoder().rate))
    for number in range(PACKETS):
        packet = RtpPacket(spoken.payload_type, number, number * spoken.step, 1, payload)
        asterisk.send(packet.pack(), process)
        for _ in range(2):
            worker.on_frame(frame)
