"""Live events as server-sent events (the HTML standard, 9.2), for pages and for programs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ari_app.bus import INTERNAL
from ari_app.tasks import guarded_tasks
from ari_app.web.http.context import ACCESS, web_of
from ari_app.web.http.middlewares import remote

HEARTBEAT_S = 15.0  # proxies close what is silent for a minute
RETRY_MS = 2000  # after which a browser comes back
CLOSE = "close"


class Streams:
    """The streams that are open, so that the program does not wait for them when it stops.

    ``still_in``: whether whoever has asked is still let in.
    """

    def __init__(self, still_in: Callable[[web.Request], Awaitable[bool]], heartbeat_s: float = HEARTBEAT_S) -> None:
        self._still_in = still_in
        self.heartbeat_s = heartbeat_s
        self._open: set[asyncio.Task[None]] = set()
        self._closing = False

    def close(self) -> None:
        """End all of them, now."""
        self._closing = True
        for task in self._open:
            task.cancel()

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with what is told from now on, until either side leaves."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        async with guarded_tasks() as tasks:
            task = tasks.spawn(self._tell(request, response), name=f"live events to {remote(request)}")
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            if self._closing:
                task.cancel()
            await asyncio.wait({task})
        return response

    async def _tell(self, request: web.Request, response: web.StreamResponse) -> None:
        with web_of(request).services.bus.subscribe() as events:
            loop = asyncio.get_running_loop()
            try:
                await response.write(f"retry: {RETRY_MS}\n\n".encode())
                beat = loop.time() + self.heartbeat_s
                while True:
                    try:
                        async with asyncio.timeout_at(beat):
                            item = await events.get()
                    except TimeoutError:
                        item = None
                    # However much there is to tell, a session ends when it is over.
                    if item is None or item.kind == ACCESS or loop.time() >= beat:
                        if not await self._still_in(request):
                            return
                        beat = loop.time() + self.heartbeat_s
                    if item is None:
                        await response.write(b":\n\n")
                    elif item.kind not in INTERNAL:
                        await response.write(event(item.kind, {"key": item.key, **item.data}))
            except ConnectionError:
                return


STREAMS = web.AppKey("streams", Streams)


def streams_of(request: web.Request) -> Streams:
    """Those of the page."""
    return request.config_dict[STREAMS]


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One event; JSON has no line breaks, so it is one line of data."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, default=str)}\n\n".encode()
