"""A network between Asterisk and a media process, on this machine: it loses packets, and lets others wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ari_app.sandbox.bench.sizes import Impairment
from ari_app.sandbox.ports import HOST

Address = tuple[str, int]


class _Port(asyncio.DatagramProtocol):
    """One of the two ports."""

    def __init__(self, forwarder: UdpForwarder, impaired: bool) -> None:
        self.peer: Address | None = None
        self.other: _Port
        self._forwarder = forwarder
        self._impaired = impaired
        self._transport: asyncio.DatagramTransport

    async def open(self) -> None:
        """Take a free port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (HOST, 0))

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, source: Address) -> None:
        if source == self.peer:
            self._forwarder.passed_on(data, self.other, self._impaired)

    def send(self, data: bytes) -> None:
        if self.peer and not self._transport.is_closing():
            self._transport.sendto(data, self.peer)

    def close(self) -> None:
        self._transport.close()


class UdpForwarder:
    """What one peer sends to its port goes out of the other port to the other peer; made by `forwarder(...)`.

    Packets from Asterisk are impaired; those to it are not: what comes from it is what Astergram has to make good.
    A packet that waits may be overtaken.
    """

    def __init__(self, impairment: Impairment, chance: random.Random) -> None:
        self.dropped = 0
        self.from_asterisk = 0
        self._impairment = impairment
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._asterisk = _Port(self, impaired=True)
        self._media = _Port(self, impaired=False)
        self._asterisk.other, self._media.other = self._media, self._asterisk

    async def open(self, stack: AsyncExitStack) -> None:
        """Take two free ports."""
        for port in (self._asterisk, self._media):
            await port.open()
            stack.callback(port.close)

    @property
    def for_asterisk(self) -> Address:
        """Where Asterisk sends to."""
        return self._asterisk.address

    @property
    def for_media(self) -> Address:
        """Where the media process sends to."""
        return self._media.address

    def between(self, asterisk: Address, media: Address) -> None:
        """Pass on from now on, and nothing of anybody else."""
        self._asterisk.peer, self._media.peer = asterisk, media

    def passed_on(self, data: bytes, port: _Port, impaired: bool) -> None:
        """Send a packet out of a port, now or later, or lose it."""
        if not impaired:
            return port.send(data)
        self.from_asterisk += 1
        if self._chance.random() < self._impairment.loss:
            self.dropped += 1
            return None
        if not self._impairment.jitter_s:
            return port.send(data)
        self._loop.call_later(self._chance.uniform(0, self._impairment.jitter_s), port.send, data)
        return None


@asynccontextmanager
async def forwarder(impairment: Impairment, seed: int) -> AsyncIterator[UdpForwarder]:
    """One, whose losses and delays follow from ``seed``."""
    async with AsyncExitStack() as stack:
        made = UdpForwarder(impairment, random.Random(seed))  # noqa: S311 - to be repeated, not to be secret
        await made.open(stack)
        yield made
