"""A private TURN and STUN server (RFC 8656, RFC 8489): Debian's coturn on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from ari_app.sandbox import debian
from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.processes import Child, connected, running

START_TIMEOUT_S = 15.0
RELAY_PORTS = 79
"""One for each allocation, so this bounds the calls of one instance."""

CONFIG = """\
listening-ip={host}
relay-ip={host}
listening-port={port}
min-port={first}
max-port={last}
realm=astergram
{login}
userdb={folder}/turndb
pidfile={folder}/turnserver.pid
log-file=stdout
simple-log
verbose
allow-loopback-peers
no-tls
no-dtls
no-cli
"""


class PrivateTurn:
    """A TURN server that runs for as long as the context lasts, with one user, or with those of a ``secret``.

    ``run_dir``: where configuration and log go; without it a temporary folder, deleted at the end.
    """

    host = HOST
    user = "astergram"

    def __init__(self, run_dir: Path | None = None, *, secret: str = "", tree: debian.Tree | None = None) -> None:
        self.secret = secret
        self.password = secrets.token_hex(12)
        self.port: int
        self.run_dir: Path
        self._given_run_dir = run_dir
        self._tree = tree
        self._stack = contextlib.AsyncExitStack()
        self._child: Child

    @property
    def log(self) -> Path:
        """What coturn printed."""
        return self.run_dir / "turnserver.log"

    @property
    def pid(self) -> int:
        """Process id of coturn."""
        return self._child.process.pid

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            tree: debian.Tree = self._tree if self._tree else await asyncio.to_thread(debian.unpack, "coturn")
            if self._given_run_dir is None:
                self.run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="astergram-turn-")))
            else:
                self.run_dir = self._given_run_dir.absolute()
                self.run_dir.mkdir(parents=True, exist_ok=True)
            ports = stack.enter_context(block(RELAY_PORTS + 1))
            self.port = ports[0]
            configuration = self.run_dir / "turnserver.conf"
            configuration.touch(mode=0o600)
            configuration.write_text(
                CONFIG.format(
                    host=HOST,
                    port=self.port,
                    first=ports[1],
                    last=ports[-1],
                    login=f"use-auth-secret\nstatic-auth-secret={self.secret}"
                    if self.secret
                    else f"lt-cred-mech\nuser={self.user}:{self.password}",
                    folder=self.run_dir,
                )
            )
            self._child = await stack.enter_async_context(
                running(
                    "coturn",
                    tree.command("usr/bin/turnserver", "-c", configuration),
                    self.log,
                    environment=tree.environment(),
                    folder=self.run_dir,
                )
            )
            _, writer = await self._child.ready(connected(HOST, self.port), START_TIMEOUT_S)
            writer.close()
            await writer.wait_closed()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
