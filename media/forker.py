"""The controller's hold on the zygote: forks media processes and learns how they ended."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import media
from media.guard import guarded
from media.logs import LogStyle
from media.types import EngineProtocol, MediaError

log = logging.getLogger(__name__)

FORK_TIMEOUT_S = 15.0
"""A zygote on a busy machine loads its libraries in a second or two."""
END_TIMEOUT_S = 3.0
"""A zygote ends at once when its socket is closed."""
PRIORITY_REFUSED = (
    "media processes run at the priority of any other program (nice %d), and calls may stutter on a busy machine: "
    "nice -5 is refused (%s); LimitNICE=-5 in the systemd unit, or nice in /etc/security/limits.conf, allows it"
)
REPORT_TIMEOUT_S = 1.0
"""Between a process's end and the zygote's report of it."""
_COVERAGE = "COVERAGE_PROCESS_CONFIG"  # set only where scripts/coverage measures
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", _COVERAGE)
"""What media processes see of the controller's environment, where its secrets may be."""


class ForkFailed(MediaError):
    """The zygote died before it could fork, or the new process at once: it may be tried again."""


@dataclass(eq=False)
class Child:
    """A forked media process. ``ended`` becomes its exit code as in ``subprocess``, or None if nobody could tell."""

    pid: int
    pidfd: int
    code: "asyncio.Future[int]" = field(repr=False)
    ended: "asyncio.Future[int | None]" = field(repr=False)

    def kill(self) -> None:
        """End it at once. A pidfd never names another process, as a reused pid would."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):  # it has ended, and its end has not been told yet
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


def started_at(pid: int) -> int | None:
    """When a process was started, in the kernel's ticks since boot (proc(5)); None where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


class Forker:
    """Starts the zygote when it is first needed, and again if it died; use it with ``async with``."""

    def __init__(self, log_style: LogStyle | None = None) -> None:
        self._log_style = log_style or LogStyle()
        self._zygote: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._starting = asyncio.Lock()
        self._tasks = asyncio.TaskGroup()
        self._forks: dict[str, asyncio.Future[Child]] = {}
        self._given_up: set[str] = set()
        self._heard = asyncio.Event()
        self._children: dict[int, Child] = {}
        self._priority_told = False
        self._protocol: asyncio.Future[EngineProtocol] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._end_given_up()
        finally:
            if self._writer is not None:
                self._writer.close()
            await self._tasks.__aexit__(None, None, None)

    @property
    def zygote_pid(self) -> int | None:
        """The zygote's process, if it is running."""
        return self._zygote.pid if self._zygote is not None else None

    async def protocol(self) -> EngineProtocol:
        """What the engine in the zygote speaks. Raises MediaError if there is no zygote."""
        await self._started()
        try:
            async with asyncio.timeout(FORK_TIMEOUT_S):
                return await asyncio.shield(self._protocol)
        except TimeoutError:
            raise MediaError(f"the zygote of the media processes was not ready within {FORK_TIMEOUT_S:.0f} s") from None

    async def _started(self) -> None:
        async with self._starting:
            if self._writer is None:
                await self._start()

    async def fork(self, path: Path) -> Child:
        """Start a media process that listens on ``path``. Raises MediaError if that cannot be done."""
        try:
            return await self._fork(path)
        except ForkFailed:
            return await self._fork(path)  # a zygote that had died has a successor now

    async def _fork(self, path: Path) -> Child:
        await self._started()
        zygote = self._zygote
        assert zygote is not None
        assert self._writer is not None
        forked: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._forks[str(path)] = forked
        self._writer.write(json.dumps({"fork": str(path)}).encode() + b"\n")
        try:
            async with asyncio.timeout(FORK_TIMEOUT_S):
                return await forked
        except TimeoutError:
            _kill(zygote)
            raise MediaError(
                f"no media process was started within {FORK_TIMEOUT_S:g} s; is the machine overloaded? "
                f"The zygote {zygote.pid} is replaced"
            ) from None
        except asyncio.CancelledError:
            self._given_up.add(str(path))
            raise
        finally:
            self._forks.pop(str(path), None)

    async def _end_given_up(self) -> None:
        """Wait for the processes that nobody waits for any more: one that the zygote forks last would outlive it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FORK_TIMEOUT_S):
                while self._given_up and self._zygote is not None:
                    self._heard.clear()
                    await self._heard.wait()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        root = str(Path(media.__file__).parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment["OPENBLAS_NUM_THREADS"] = "1"  # its thread pool would not survive the fork, and nothing needs it
        environment["MALLOC_ARENA_MAX"] = "1"  # mallopt(3): glibc has one for each few threads, each half empty
        try:
            zygote = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "media.zygote",
                *self._log_style.arguments,
                stdin=theirs.fileno(),
                stdout=2,  # a native library's prints go where the logs go
                env=environment,
                start_new_session=True,
            )
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException as error:
            ours.close()  # which ends the zygote, if there is one
            if isinstance(error, OSError | subprocess.SubprocessError):
                raise MediaError(f"cannot start {sys.executable} -m media.zygote: {error}") from error
            raise
        finally:
            theirs.close()
        self._zygote, self._writer = zygote, writer
        self._tasks.create_task(guarded(partial(self._listen, reader, writer, zygote), "zygote"), name="zygote")

    async def _listen(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, zygote: asyncio.subprocess.Process
    ) -> None:
        try:
            while line := await reader.readline():
                try:
                    self._take(json.loads(line))
                except Exception:
                    log.exception("a message of the zygote was not taken: an unexpected error")
        except (OSError, ValueError) as error:  # ValueError: a line without an end
            log.warning("the zygote's socket broke: %s", error)
        finally:
            writer.close()
            self._zygote = self._writer = None
            self._given_up.clear()
            self._heard.set()
        asked = list(self._forks.values())  # later ones are asked of the next zygote
        code = await _ended(zygote)
        for fork in asked:
            if not fork.done():
                fork.set_exception(
                    ForkFailed(f"the zygote of the media processes ended with code {code}; see its stderr")
                )

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"protocol": {"min_layer": int(low), "max_layer": int(high), "library_versions": list(versions)}}:
                if not self._protocol.done():
                    self._protocol.set_result(EngineProtocol(low, high, tuple(versions)))
            case {"priority": int(priority), "reason": str(reason)}:
                if not self._priority_told:
                    log.info(PRIORITY_REFUSED, priority, reason)
                self._priority_told = True
            case {"forked": str(path), "pid": int(pid)}:
                self._forked(path, pid)
            case {"failed": str(path), "reason": str(reason)}:
                self._given_up.discard(path)
                self._heard.set()
                if (fork := self._forks.get(path)) and not fork.done():
                    fork.set_exception(MediaError(f"cannot start a media process with the socket {path}: {reason}"))
            case {"ended": int(pid), "code": int(code)}:
                if pid in self._children:
                    self._children.pop(pid).code.set_result(code)

    def _forked(self, path: str, pid: int) -> None:
        fork = self._forks.get(path)
        try:
            child = self.watch(pid)
        except OSError as error:
            # Nobody will connect to it: if it lives, it ends by itself (worker.FIRST_CONTROLLER_TIMEOUT_S).
            Path(path).unlink(missing_ok=True)
            kind = ForkFailed if isinstance(error, ProcessLookupError) else MediaError
            failure = kind(f"the new media process {pid} cannot be watched: {error.strerror}")
            if fork and not fork.done():
                fork.set_exception(failure)
            else:
                log.warning("%s", failure)
        else:
            if fork and not fork.done():
                fork.set_result(child)
                return
            child.kill()
            Path(path).unlink(missing_ok=True)
        self._given_up.discard(path)
        self._heard.set()

    def watch(self, pid: int) -> Child:
        """A media process, which may be of another zygote: then nobody tells its exit code. Raises OSError."""
        loop = asyncio.get_running_loop()
        child = Child(pid, os.pidfd_open(pid), loop.create_future(), loop.create_future())
        self._children[pid] = child

        def ended() -> None:
            loop.remove_reader(child.pidfd)
            os.close(child.pidfd)
            self._tasks.create_task(guarded(partial(self._settle, child), f"end of media process {child.pid}"))

        loop.add_reader(child.pidfd, ended)
        return child

    def unwatch(self, child: Child) -> None:
        """Let it go on, unwatched."""
        if asyncio.get_running_loop().remove_reader(child.pidfd):
            os.close(child.pidfd)
            self._children.pop(child.pid, None)

    async def _settle(self, child: Child) -> None:
        await asyncio.wait([child.code], timeout=REPORT_TIMEOUT_S)
        self._children.pop(child.pid, None)
        if not child.ended.done():
            child.ended.set_result(child.code.result() if child.code.done() else None)


async def _ended(zygote: asyncio.subprocess.Process) -> int:
    """Its exit code; its socket is closed."""
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            return await zygote.wait()
    except TimeoutError:
        log.warning("the zygote %s did not end by itself; killed", zygote.pid)
        _kill(zygote)
        return await zygote.wait()


def _kill(zygote: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        zygote.kill()
