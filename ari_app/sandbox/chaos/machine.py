"""A machine of the cluster: Astergram under a supervisor, with ways to NATS and Telegram that can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from ari_app.api_client import NotRunning, RequestRefused, program
from ari_app.config import Settings, load
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.chaos.cast import LINES
from ari_app.sandbox.chaos.ways import Way, way
from ari_app.sandbox.demo.program import OWN
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.networks import Network
from ari_app.sandbox.stage import Stage
from ari_app.sandbox.supervisor import READY_S, Supervisor, supervised

LEASE_S = 10.0
"""The least that the settings recommend where one of three NATS servers may fail."""
ASK_S = 5.0
SHARED = "of the machines of a chaos run"
PAGE = 500  # rows of the history in one answer
SILENT = (NotRunning, RequestRefused, aiohttp.ClientError, TimeoutError)
"""What asking raises where the program does not answer."""

History = dict[str, dict[str, Any]]
"""Rows of calls, by id; ``machine`` says whose each is."""


@dataclass(frozen=True)
class Machine:
    """One; ``nats``: its way to each server, ``telegram``: its ways there."""

    name: str
    settings: Settings
    supervisor: Supervisor
    nats: Sequence[Way]
    telegram: Sequence[Way]

    async def ask(self, path: str) -> Any:
        """What its API answers. Raises any of SILENT."""
        async with program(self.settings) as api:
            return await api.ask("GET", path, within_s=ASK_S)

    async def history(self, since: float) -> History:
        """The calls of all machines since a Unix time, as this one knows them. Raises any of SILENT."""
        rows: list[dict[str, Any]] = []
        while page := (await self.ask(f"/calls?since={since}&limit={PAGE}&offset={len(rows)}"))["calls"]:
            rows += page
        return {row["id"]: row | {"machine": row["machine"] or self.name} for row in rows}


@asynccontextmanager
async def machine(
    stage: Stage, nats: PrivateNats, name: str, asterisk: PrivateAsterisk, network: Network | None
) -> AsyncIterator[Machine]:
    """One whose program is ready, with every line signed in; with its Asterisk it is in a ``network`` of its own."""
    async with AsyncExitStack() as stack:
        servers = [URL(url).port for url in nats.urls]
        links = [await network.link("nats") if network else None for _ in servers]
        to_nats = [await stack.enter_async_context(way(port, link)) for port, link in zip(servers, links, strict=True)]
        link, bot_api_url = await network.link("tg", audio=True) if network else None, URL(stage.telegram.bot_api_url)
        mtproto = await stack.enter_async_context(way(stage.telegram.port, link))
        bot_api = await stack.enter_async_context(way(bot_api_url.port, link))
        configuration = await stage.configuration(
            LINES,
            name=f"astergram-{name}",
            asterisk={"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password},
            telegram={"host": mtproto.host, "port": mtproto.port},
            bot={
                **stage.bot(),
                "api_url": str(bot_api_url.with_host(bot_api.host).with_port(bot_api.port)).removesuffix("/"),
            },
            media={"orphan_s": READY_S},
            cluster={
                "servers": [f"nats://{each.host}:{each.port}" for each in to_nats], "machine": name, "lease_s": LEASE_S,
                "secret": SHARED,
            },
        )  # fmt: skip
        settings = load(configuration)
        await stage.sign_in_lines(settings)
        log = stage.folder / f"astergram-{name}.log"
        command = (*network.inside, *OWN) if network else OWN
        supervisor = await stack.enter_async_context(supervised(configuration, log, command))
        yield Machine(name, settings, supervisor, to_nats, [mtproto, bot_api])
