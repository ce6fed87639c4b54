"""Opens the connection to Asterisk, by ARI, and takes its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.events import Event, StasisStart
from ari_app.asterisk.media_codecs import MediaCodecs
from ari_app.bus import ASTERISK, EventBus
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.config import Settings


@dataclass(frozen=True)
class StasisApplication:
    """``arrivals`` has the events that are nobody's, from the first on, until somebody takes them."""

    ari: AriClient
    codecs: MediaCodecs
    arrivals: asyncio.Queue[Event]

    async def take_events(self, dispatcher: CallDispatcher, bus: EventBus) -> None:
        """Start calls, and tell of all else, until cancelled."""
        while True:
            event = await self.arrivals.get()
            if isinstance(event, StasisStart):
                dispatcher.on_channel(event)
            else:
                bus.publish(ASTERISK)


@asynccontextmanager
async def open_asterisk(settings: Settings) -> AsyncIterator[StasisApplication]:
    """It connects in the background, again and again."""
    its = settings.asterisk
    ari = AriClient(its.url, its.user, its.password.get_secret_value(), its.app)
    codecs = MediaCodecs(ari, its.transport)
    arrivals = asyncio.Queue[Event]()
    # Before the client connects, which is an event too.
    with ari.events.attached("", arrivals.put_nowait):
        async with ari:
            yield StasisApplication(ari, codecs, arrivals)
