"""Private NATS servers with JetStream on 127.0.0.1: one, or a cluster of three (docs.nats.io, JetStream clustering)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.processes import Child, SandboxError, frozen, running

START_S = 20.0
RETRY_S = 0.05
USER = "astergram"
PORTS_EACH = 3  # clients, the other servers, monitoring

CONFIG = """\
server_name: n{number}
listen: {host}:{client}
http: {host}:{monitor}
jetstream {{ store_dir: "{folder}/data", sync_interval: always, max_memory_store: 64MB, max_file_store: 256MB }}
"""
CLUSTER = """\
cluster {{ name: astergram, listen: {host}:{route}, routes: [{routes}], no_advertise: {hidden} }}
"""


class PrivateNats:
    """Servers that run for as long as the context lasts; ``run_dir``: where configuration, data and logs go.

    With a ``password`` clients have to say it, as the user `USER`. ``hidden``: clients are not told where the other
    servers are, so that a proxy to each stays their only way.
    """

    def __init__(
        self, run_dir: Path | None = None, *, servers: int = 3, password: str = "", hidden: bool = False
    ) -> None:
        self._count = servers
        self._hidden = "true" if hidden else "false"
        self._password = password
        self._given_run_dir = run_dir
        self._stack = contextlib.AsyncExitStack()
        self._stacks: dict[int, contextlib.AsyncExitStack] = {}
        self._children: dict[int, Child] = {}
        self.run_dir: Path
        self.ports: list[int] = []

    @property
    def urls(self) -> list[str]:
        """Where clients connect."""
        return [f"nats://{HOST}:{port}" for port in self.ports[::PORTS_EACH]]

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            if self._given_run_dir is None:
                self.run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="astergram-nats-")))
            else:
                self.run_dir = self._given_run_dir.absolute()
            self.ports = list(stack.enter_context(block(PORTS_EACH * self._count)))
            stack.push_async_callback(self._stop_all)
            await asyncio.gather(*(self.start(number, ready=False) for number in range(self._count)))
            await asyncio.gather(*(self.ready(number) for number in range(self._count)))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def pids(self) -> list[int]:
        """Of the servers that run."""
        return [self._children[number].process.pid for number in self._stacks]

    async def start(self, number: int, *, ready: bool = True) -> None:
        """Start a server that does not run, and wait until it serves."""
        folder = self._write_configuration(number)
        stack = contextlib.AsyncExitStack()
        self._children[number] = await stack.enter_async_context(
            running("nats-server", [program(), "-c", str(folder / "nats.conf")], folder / "nats.log")
        )
        self._stacks[number] = stack
        if ready:
            await self.ready(number)

    async def ready(self, number: int) -> None:
        """Wait until a server serves JetStream, which one of a cluster does once there is a leader."""
        await self._children[number].ready(self._healthy(number), START_S)

    async def kill(self, number: int) -> None:
        """End a server without a warning, as a power failure does; its data stay."""
        self._signal(number, signal.SIGKILL)
        await self._stacks.pop(number).aclose()

    async def stop(self, number: int) -> None:
        """End a server in order."""
        await self._stacks.pop(number).aclose()

    def frozen(self, number: int) -> AbstractContextManager[None]:
        """Let a server answer nothing while inside."""
        return frozen(self._children[number].process.pid)

    def change_password(self, password: str) -> None:
        """Have all servers ask for another one from now on; who is connected with the old one is sent away."""
        self._password = password
        for number in self._children:
            self._write_configuration(number)
            self._signal(number, signal.SIGHUP)

    def forget(self, number: int) -> None:
        """Remove all data of a server that does not run."""
        shutil.rmtree(self.run_dir / f"n{number}" / "data", ignore_errors=True)

    def _signal(self, number: int, which: signal.Signals) -> None:
        os.kill(self._children[number].process.pid, which)

    def _write_configuration(self, number: int) -> Path:
        folder = self.run_dir / f"n{number}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nats.conf").write_text(self._configuration(number, folder))
        return folder

    def _configuration(self, number: int, folder: Path) -> str:
        client, route, monitor = self.ports[number * PORTS_EACH :][:PORTS_EACH]
        text = CONFIG.format(number=number, host=HOST, client=client, monitor=monitor, folder=folder)
        if self._password:
            text += f"authorization {{ user: {USER}, password: {self._password} }}\n"
        if self._count == 1:
            return text
        routes = ", ".join(f'"nats://{HOST}:{port}"' for port in self.ports[1::PORTS_EACH])
        return text + CLUSTER.format(host=HOST, route=route, routes=routes, hidden=self._hidden)

    async def _healthy(self, number: int) -> None:
        url = f"http://{HOST}:{self.ports[number * PORTS_EACH + 2]}/healthz"
        while not await asyncio.to_thread(_is_ok, url):  # noqa: ASYNC110 - it announces itself to nobody
            await asyncio.sleep(RETRY_S)

    async def _stop_all(self) -> None:
        await asyncio.gather(*(self.stop(number) for number in list(self._stacks)))


def program() -> str:
    """The server's program, which comes with a package beside the Python that runs. Raises SandboxError."""
    beside = Path(sys.executable).parent / "nats-server"
    if not beside.exists():
        raise SandboxError(f"{beside} is not there: run scripts/setup")
    return str(beside)


def _is_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own, on loopback
            return bool(json.load(answer)["status"] == "ok")
    except (OSError, ValueError):
        return False
