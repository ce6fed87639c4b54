"""Opens the pool of media processes, which carry the audio of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.app.configured import ari_login
from ari_app.config import Settings
from media.pool import MediaPool
from media.types import EngineProtocol, MediaSettings


@dataclass(frozen=True)
class Media:
    """``engine``: what its processes speak with people's apps."""

    pool: MediaPool
    engine: EngineProtocol


@asynccontextmanager
async def open_media(settings: Settings) -> AsyncIterator[Media]:
    """Raises MediaError where no process can be started."""
    its = MediaSettings(settings.log.style, settings.media.orphan_s, ari_login(settings))
    async with MediaPool(settings.state_dir / "media", warm=settings.media.warm, settings=its) as pool:
        yield Media(pool, await pool.protocol())
