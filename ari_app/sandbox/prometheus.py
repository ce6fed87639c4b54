"""A private Prometheus on 127.0.0.1, and promtool: Debian's."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from ari_app.sandbox import debian
from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.processes import RETRY_S, running

START_TIMEOUT_S = 30.0
PROMTOOL_S = 100.0


class PrivatePrometheus:
    """One that runs; made by `prometheus(...)`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP API; ``path`` is what follows /api/v1. Raises ValueError."""
        async with self._session.get(f"{self._url}/api/v1{path}", params=parameters) as answer:
            said = await answer.json()
        if said["status"] != "success":
            raise ValueError(f"{parameters}: {said['error']}")
        return said["data"]

    async def query(self, query: str) -> list[Any]:
        """What a query finds now."""
        return list((await self.ask("/query", query=query))["result"])

    async def until(self, query: str) -> None:
        """Wait until a query finds something."""
        while not await self.query(query):  # noqa: ASYNC110 - it tells nobody of a scrape
            await asyncio.sleep(RETRY_S)

    async def ready(self) -> None:
        """Wait until it answers."""
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with self._session.get(f"{self._url}/-/ready") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(RETRY_S)


@contextlib.asynccontextmanager
async def prometheus(folder: Path, configuration: Mapping[str, Any]) -> AsyncIterator[PrivatePrometheus]:
    """Run one with its own page's configuration, as a mapping, and its data in ``folder``."""
    tree = await asyncio.to_thread(debian.unpack, "prometheus")
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(configuration))  # which is YAML, too
    with block(1) as ports:
        listening = f"{HOST}:{ports[0]}"
        command = tree.command(
            "usr/bin/prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={listening}",
        )
        async with (
            running("prometheus", command, folder / "prometheus.log", folder=folder) as child,
            aiohttp.ClientSession() as session,
        ):
            its = PrivatePrometheus(f"http://{listening}", session)
            await child.ready(its.ready(), START_TIMEOUT_S)
            yield its


async def promtool(*arguments: str | Path, given: bytes = b"") -> tuple[int, str]:
    """Run promtool; its exit status, and what it says."""
    tree = await asyncio.to_thread(debian.unpack, "prometheus")
    process = await asyncio.create_subprocess_exec(
        *tree.command("usr/bin/promtool", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PROMTOOL_S):
            said, _ = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()
