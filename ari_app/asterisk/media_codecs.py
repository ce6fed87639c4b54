"""Which codecs a media channel has: the best that this Asterisk can translate to and from a phone's.

Asterisk tells nobody over ARI what it can translate, but which modules run. With a codec that it can't translate it
opens the channel all the same, and both sides are silent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Literal

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriError, AriNotFound
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.backoff import Backoff
from media.types import Codec, Codecs

logger = logging.getLogger(__name__)

Transport = Literal["rtp", "websocket"]

EVERY_S = 60.0
"""Between two looks at the modules while connected: an administrator may load a missing one."""
RETRY = Backoff(first_s=0.5, last_s=30.0, jitter=0.5)
"""Pauses between attempts to learn them."""
OPUS_MODULES = "codec_opus"
"""What its module's name begins with: ``codec_opus`` is of Asterisk's makers, ``codec_opus_open_source`` Debian's."""
MODULES: dict[str, Codec] = {"codec_g722": "g722", "codec_alaw": "alaw"}
BEST: dict[Transport, Codecs] = {"rtp": Codecs("opus", "g722"), "websocket": Codecs("opus", "opus")}
"""What an Asterisk can do that lacks nothing: over RTP it takes no Opus."""


class NoMediaCodec(AriError):
    """This Asterisk can translate none of the codecs that Astergram has."""


def best_codecs(modules: Collection[str], transport: Transport) -> Codecs | None:
    """The best by the modules that run (names without ``.so``); None if there is none at all."""
    translated = list(_translated(modules))
    to_asterisk = [codec for codec in translated if transport == "websocket" or codec != "opus"]
    return Codecs(translated[0], to_asterisk[0]) if to_asterisk else None


def _translated(modules: Collection[str]) -> Iterator[Codec]:
    """The best first."""
    if any(module.startswith(OPUS_MODULES) for module in modules):
        yield "opus"
    yield from (codec for module, codec in MODULES.items() if module in modules)


class MediaCodecs:
    """The codecs that calls begin with. Until they have been learned, Asterisk is taken to lack nothing."""

    def __init__(self, client: AriClient, transport: Transport) -> None:
        self._client = client
        self.transport: Transport = transport
        self._best: Codecs | None = BEST[transport]

    @property
    def best(self) -> Codecs:
        """Of what Asterisk has now. Raises NoMediaCodec."""
        if self._best is None:
            raise NoMediaCodec(
                "Asterisk can translate neither Opus nor G.722 nor A-law, so nobody would hear anything: load"
                " codec_g722.so or codec_alaw.so"
            )
        return self._best

    async def run(self) -> None:
        """Learn them after each connect, and then again and again, until cancelled."""
        failures = 0
        while True:
            await self._client.wait_state(ConnectionState.CONNECTED)
            pause_s = EVERY_S
            try:
                await self.learn()
                failures = 0
            except AriNotFound as error:
                logger.warning("Which codecs Asterisk has is not known; load res_ari_asterisk.so: %s", error)
            except AriError as error:
                failures += 1
                pause_s = RETRY.pause_s(failures)
                logger.warning("Which codecs Asterisk has is not known yet: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._client.wait_state(ConnectionState.WAITING, ConnectionState.CONNECTING)

    async def learn(self) -> None:
        """Ask which modules run. Raises AriError."""
        modules = await self._client.asterisk.listModules()
        running = {module["name"].removesuffix(".so") for module in modules if module["status"] == "Running"}
        before, self._best = self._best, best_codecs(running, self.transport)
        if self._best == before:
            return
        if self._best is None:
            logger.error("Calls are refused: Asterisk can translate neither Opus nor G.722 nor A-law")
        else:
            logger.warning(
                "Audio is %s from Asterisk and %s to it, by the codecs that it has",
                self._best.from_asterisk,
                self._best.to_asterisk,
            )
