"""A machine's ways to the NATS servers and to Telegram, each of which can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.sandbox.networks import Link
from ari_app.sandbox.ports import HOST
from ari_app.sandbox.proxy import Proxy


@dataclass(frozen=True)
class Way:
    """Through a proxy, at the end of a link where the machine has a network of its own."""

    proxy: Proxy
    link: Link | None

    @property
    def host(self) -> str:
        """The address that the machine knows it by."""
        return self.proxy.host

    @property
    def port(self) -> int:
        """The port that the machine knows it by."""
        return self.proxy.port

    @asynccontextmanager
    async def cut(self, hangs: bool) -> AsyncIterator[None]:
        """Nothing comes through while inside; ``hangs``: without a word, else each connection is refused."""
        if not hangs:
            async with self.proxy.away():
                yield
        elif self.link:
            async with self.link.down():
                yield
        else:
            with self.proxy.stalled():
                yield


@asynccontextmanager
async def way(port: int | None, link: Link | None) -> AsyncIterator[Way]:
    """To a port of ours."""
    assert port
    async with Proxy(port, link.here if link else HOST) as proxy:
        yield Way(proxy, link)
