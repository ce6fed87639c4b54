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
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.ports import HOST
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.stage import Stage
from ari_app.sandbox.supervisor import READY_S, Supervisor, supervised

LEASE_S = 10.0
"""The least that the settings recommend where one of three NATS servers may fail."""
ASK_S = 5.0
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
    nats: Sequence[Proxy]
    telegram: Sequence[Proxy]

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
async def machine(stage: Stage, nats: PrivateNats, name: str, asterisk: PrivateAsterisk) -> AsyncIterator[Machine]:
    """One whose program is ready, with every line signed in."""
    async with AsyncExitStack() as stack:

        async def way(port: int | None) -> Proxy:
            assert port
            return await stack.enter_async_context(Proxy(port))

        to_nats = [await way(URL(url).port) for url in nats.urls]
        mtproto, bot_api_url = await way(stage.telegram.port), URL(stage.telegram.bot_api_url)
        bot_api = await way(bot_api_url.port)
        configuration = await stage.configuration(
            LINES,
            name=f"astergram-{name}",
            asterisk={"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password},
            telegram={"port": mtproto.port},
            bot={**stage.bot(), "api_url": str(bot_api_url.with_port(bot_api.port)).removesuffix("/")},
            media={"orphan_s": READY_S},
            cluster={
                "servers": [f"nats://{HOST}:{each.port}" for each in to_nats], "machine": name, "lease_s": LEASE_S,
            },
        )  # fmt: skip
        settings = load(configuration)
        await stage.sign_in_lines(settings)
        log = stage.folder / f"astergram-{name}.log"
        supervisor = await stack.enter_async_context(supervised(configuration, log))
        yield Machine(name, settings, supervisor, to_nats, [mtproto, bot_api])
