"""A receiver of webhooks that answers as a test has it, and verifies with the specification's own library."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook


@dataclass
class Receiver:
    """``answer`` gives a status for each request, by its place; "sleep" and "close" give none."""

    url: str = ""
    answer: Callable[[int], Any] = lambda place: 200
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], str]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        place = len(self.requests)
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, await request.text()))
        self.came.set()
        match self.answer(place):
            case "sleep":
                await asyncio.Event().wait()
            case "close":
                assert request.transport
                request.transport.abort()
            case status:
                return web.Response(status=int(status), text="x" * 2000, headers=self.headers)
        return web.Response()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.requests]

    def verified(self, secret: str) -> list[Any]:
        return [Webhook(secret).verify(body, headers) for headers, body in self.requests]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    its = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", its.take)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.01)
    try:
        its.url = str(server.make_url("/hook"))
        yield its
    finally:
        await server.close()
