"""Child processes of the sandbox: started with a log file, waited for until ready, stopped within a bound."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

STOP_GRACE_S = 5.0
"""Time a program has to end after it was asked to; then it is killed."""
RETRY_S = 0.02
"""Between two tries to connect to a program that is starting."""
TAIL_LINES = 12
"""Log lines quoted in an error."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class SandboxError(Exception):
    """A program of the sandbox could not be started or ended early; the text quotes its last log lines."""


class Child:
    """A running program and its log."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    def tail(self) -> str:
        """Return the last lines of the log, and where it is."""
        text = _COLOURS.sub("", self.log.read_text(encoding="utf-8", errors="replace"))
        lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
        return "\n".join([*(f"    {line}" for line in lines), f"    (all of it: {self.log})"])

    def error(self, what: str) -> SandboxError:
        """Return an error about this program that quotes its log."""
        return SandboxError(f"{self.name} {what}; its last lines:\n{self.tail()}")

    async def ready(self, readiness: Awaitable[T], timeout: float) -> T:
        """Wait for ``readiness``; SandboxError if the program ends first or takes over ``timeout`` seconds."""
        waiting = asyncio.ensure_future(readiness)
        ended = asyncio.ensure_future(self.process.wait())
        try:
            done, _ = await asyncio.wait({waiting, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if waiting in done:
                return waiting.result()
            if ended in done:
                raise self.error(f"ended at its start with status {ended.result()}")
            raise self.error(f"was not ready within {timeout:g} s")
        finally:
            for task in (waiting, ended):
                task.cancel()
            await asyncio.gather(waiting, ended, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> AsyncIterator[Child]:
    """Run ``command`` with its output in ``log`` for as long as the context lasts.

    At the end the program gets SIGTERM, and SIGKILL when it is still there after `STOP_GRACE_S`.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            # A Ctrl-C at the terminal is ours to handle: children stop in the order of their contexts.
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        # Shielded: a cancelled context must not leave its program behind.
        await _finished(asyncio.ensure_future(stopped(process)))


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Have a child of ours do nothing while inside, none of its threads."""
    os.kill(pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, pid, os.WSTOPPED)  # on a busy machine they go on for a while
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def stopped(process: asyncio.subprocess.Process) -> None:
    """End a program, unless it has ended; it is killed if it takes longer than ``STOP_GRACE_S``."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _finished(task: asyncio.Future[None]) -> None:
    """Wait for a bounded task to the end even while cancelled, then pass the cancellation on."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def connected(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a program that is starting; wrap it in `Child.ready`, it tries without end."""
    while True:
        try:
            return await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            # A port that begins to listen announces itself to nobody.
            await asyncio.sleep(RETRY_S)


@contextlib.contextmanager
def notification(path: Path) -> Iterator[socket.socket]:
    """Yield a socket that receives what a service sends to NOTIFY_SOCKET (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as its:
        its.bind(str(path))
        try:
            yield its
        finally:
            path.unlink(missing_ok=True)


async def said_ready(its: socket.socket) -> None:
    """Return when the service says there that it is ready."""
    loop = asyncio.get_running_loop()
    while b"READY=1" not in await loop.sock_recv(its, 4096):
        pass
