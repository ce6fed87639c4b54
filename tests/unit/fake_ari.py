"""ARI over HTTP and WebSocket with no Asterisk behind it: it can refuse, stall, forget channels and cut the events."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.legs import DialplanLeg, IncomingLeg, dialplan_leg, incoming_leg
from ari_app.asterisk.websocket import HEARTBEAT_S, PROBE
from ari_app.backoff import Backoff

APP = "telegram"
WAIT_S = 10.0
"""Longer than anything takes on a busy machine; reached only by a test that fails."""


RTP_ADDRESS = {"channelvars": {"UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1", "UNICASTRTP_LOCAL_PORT": "5000"}}


class FakeAri:
    """``refuse`` gives the status that a request ("DELETE /channels/x") is refused with, or None.

    ``requests`` are all but the WebSocket's probes: with ``untold`` its application is told nothing. What ``stalls`` is
    answered once ``go_on`` is set; ``before`` is done before a request is; ``queries`` has the latest query of each;
    ``variables`` what channels have; ``modules`` run.
    """

    def __init__(self) -> None:
        self.url = ""
        self.channels: dict[str, dict[str, Any]] = {}
        self.bridges: dict[str, dict[str, Any]] = {}
        self.subscribed: set[str] = set()
        self.requests: list[str] = []
        self.probes = 0
        self.refuse_probes: int | None = None
        self.queries: dict[str, dict[str, str]] = {}
        self.modules = ["codec_opus_open_source", "codec_g722", "codec_alaw"]
        self.variables: dict[str, dict[str, str]] = defaultdict(dict)
        self.refuse: Callable[[str], int | None] = lambda request: None
        self.refusal = "refused"
        self.stalls: Callable[[str], bool] = lambda request: False
        self.before: Callable[[str], Awaitable[None]] | None = None
        self.no_events = self.untold = False
        self.stalled = 0
        self.go_on = asyncio.Event()
        self._sockets: set[web.WebSocketResponse] = set()

    async def event(self, kind: str, **about: Any) -> None:
        """Tell an event to whoever is connected."""
        for socket in list(self._sockets):
            await socket.send_json({"type": kind, "application": APP, **about})

    async def cut(self) -> None:
        """Close the event WebSocket."""
        for socket in list(self._sockets):
            await socket.close()

    def asked(self, request: str) -> int:
        """How often a request came."""
        return self.requests.count(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/ari")
        if path == "/events":
            return await self._events(request)
        asked = f"{request.method} {path}"
        if path == f"/events/user/{PROBE}":
            self.probes += 1
            if self.refuse_probes:
                return web.json_response({"message": self.refusal}, status=self.refuse_probes)
            if not self.untold:
                await self.event("ChannelUserevent", eventname=PROBE)
            return web.Response(status=204)
        self.requests.append(asked)
        self.queries[asked] = dict(request.query)
        if self.before:
            await self.before(asked)
        if self.stalls(asked):
            self.stalled += 1
            await self.go_on.wait()
        if status := self.refuse(asked):
            return web.json_response({"message": self.refusal}, status=status)
        response = self._answer(request.method, path, request.query)
        if path == "/channels/externalMedia":  # over RTP it is in Stasis at once
            await self.event(STASIS_START, channel=self.channels[request.query["channelId"]], args=[])
        return response

    def _answer(self, method: str, path: str, query: Any) -> web.Response:
        kind, _, rest = path.strip("/").partition("/")
        found: dict[str, dict[str, Any]] = {"channels": self.channels, "bridges": self.bridges}.get(kind, {})
        match method, rest:
            case "GET", "modules":
                return web.json_response([{"name": f"{each}.so", "status": "Running"} for each in self.modules])
            case "GET", "":
                return web.json_response(list(found.values()))
            case "GET", _ if kind == "applications":
                return web.json_response({"name": APP, "channel_ids": sorted(self.subscribed), "bridge_ids": []})
            case "GET", _ if rest.endswith("/variable"):
                channel_id = rest.partition("/")[0]
                if channel_id not in found:
                    return web.json_response({"message": "Channel not found"}, status=404)
                known = {"CHANNEL(linkedid)": channel_id, **self.variables[channel_id]}
                if (name := query["variable"]) not in known:
                    return web.json_response({"message": "Provided variable was not found"}, status=404)
                return web.json_response({"value": known[name]})
            case "GET", _ if kind in ("channels", "bridges") and "/" not in rest:
                gone = web.json_response({"message": "Channel not found"}, status=404)
                return web.json_response(found[rest]) if rest in found else gone
            case "POST", _ if kind == "bridges" and rest.endswith("/addChannel"):
                found[rest.partition("/")[0]]["channels"].append(query["channel"])
            case "DELETE", _ if rest in found:
                del found[rest]
                self.subscribed.discard(rest)
                return web.Response(status=204)
            case "DELETE", _:
                return web.json_response({"message": f"{kind[:-1].title()} not found"}, status=404)
            case "POST", "" if kind == "bridges":
                found[query["bridgeId"]] = made = {"id": query["bridgeId"], "channels": []}
                return web.json_response(made)
            case "POST", "externalMedia":
                self.channels[query["channelId"]] = made = {"id": query["channelId"], "state": "Up", **RTP_ADDRESS}
                self.subscribed.add(query["channelId"])
                return web.json_response(made)
            case "POST", "":
                self.channels[query["channelId"]] = made = {"id": query["channelId"], "state": "Down"}
                self.subscribed.add(query["channelId"])
                return web.json_response(made)
            case "POST", _ if kind == "channels" and rest.partition("/")[0] not in found:
                return web.json_response({"message": "Channel not found"}, status=404)
            case "POST", _ if rest.endswith("/continue"):
                channel_id = rest.partition("/")[0]
                found[channel_id] = {**found[channel_id], "dialplan": within("NoOp")}
            case "POST", _ if rest.endswith("/move"):
                self.subscribed.discard(rest.partition("/")[0])
            case "POST", _ if rest.endswith("/variable"):
                self.variables[rest.partition("/")[0]][query["variable"]] = query["value"]
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.no_events:
            return web.json_response({"message": "no"}, status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for _ in socket:
                pass
        finally:
            self._sockets.discard(socket)
        return socket


def within(application: str, data: str = "") -> dict[str, str]:
    """A channel's ``dialplan``: the dialplan's application that it is in."""
    return {"app_name": application, "app_data": data}


PHONE = {
    "id": "1700.1",
    "name": "PJSIP/101-00000001",
    "state": "Ring",
    "caller": {"name": "Anna", "number": "101"},
    "dialplan": {
        "context": "phones",
        "exten": "+79990000002",
        "priority": 2,
        **within("Stasis", f"{APP},+79990000002"),
    },
}


@asynccontextmanager
async def fake_ari() -> AsyncIterator[FakeAri]:
    """One that runs."""
    fake = FakeAri()
    app = web.Application()
    app.router.add_route("*", "/ari/{path:.*}", fake.serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}/ari"
    try:
        yield fake
    finally:
        fake.go_on.set()
        await fake.cut()
        await runner.cleanup()


@asynccontextmanager
async def connected(
    fake: FakeAri, timeout_s: float = 5.0, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[AriClient]:
    """A client of it."""
    client = AriClient(
        fake.url,
        "user",
        "password",
        APP,
        timeout_s=timeout_s,
        backoff=Backoff(first_s=0.01, last_s=0.05),
        heartbeat_s=heartbeat_s,
    )
    async with client:
        await client.wait_connected(WAIT_S)
        yield client


@asynccontextmanager
async def answered(fake: FakeAri, client: AriClient) -> AsyncIterator[DialplanLeg]:
    """A dialplan leg in Stasis."""
    async with dialplan_leg(
        client, extension="101", context="from-telegram", caller_id=CallerId("Анна", "+79990000002")
    ) as leg:
        fake.channels[leg.id]["state"] = "Up"
        await fake.event(STASIS_START, channel=fake.channels[leg.id], args=[])
        async with asyncio.timeout(WAIT_S):
            await leg.answered()
        yield leg


@asynccontextmanager
async def incoming(fake: FakeAri, client: AriClient) -> AsyncIterator[IncomingLeg]:
    """A phone's channel, as the dialplan sends it."""
    async with client.subscribe() as its, asyncio.timeout(WAIT_S):
        fake.channels[PHONE["id"]] = PHONE  # type: ignore[index]
        fake.subscribed.add(str(PHONE["id"]))
        await fake.event(STASIS_START, channel=PHONE, args=["+79990000002"])
        start = await its.next(STASIS_START)
        assert isinstance(start, StasisStart)
        assert not start.replaces
        async with incoming_leg(client, start) as leg:
            yield leg


async def transferred(fake: FakeAri, old: str, new: str) -> None:
    """As Asterisk tells it: the new channel comes first."""
    fake.channels[new] = channel = {"id": new, "name": f"Local/102@phones-{new};1", "state": "Down"}
    fake.subscribed.add(new)
    await fake.event(STASIS_START, channel=channel, args=[], replace_channel={"id": old, "name": "PJSIP/101"})


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that has no event."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
