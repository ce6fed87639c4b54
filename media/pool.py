"""The controller's side of the media plane: a pool of warm media processes, one to be taken for each call.

Nothing native is loaded here. Media processes are forked from a zygote (see ``media.zygote``) and are talked to over
Unix sockets (see ``media.messages``).
"""

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from media.demand import Demand
from media.forker import Child, Forker, started_at
from media.guard import guarded
from media.hang_up import HANG_UP_S
from media.messages import MAX_LINE
from media.process import MediaProcess
from media.sockets import peer_pid, short_address
from media.types import AriLogin, EngineProtocol, MediaError, MediaSettings

__all__ = ["MediaPool", "MediaProcess"]

log = logging.getLogger(__name__)

SOCKET_SUFFIX = ".sock"
AT_ONCE = 4
"""Spare processes that are started together: one after the other they get ready too late for calls that come fast."""
REFILL_RETRY_S = 2.0
"""Between two tries to start a spare process after one failed."""


class MediaPool:
    """Keeps ``warm`` media processes ready, more while calls come fast. ``runtime_dir`` holds their sockets.

    Use it with ``async with``; at its end every process, socket and file of it is gone.
    """

    def __init__(self, runtime_dir: Path, warm: int = 2, settings: MediaSettings | None = None) -> None:
        self._runtime_dir = runtime_dir
        self._demand = Demand(warm)
        self._settings = settings or MediaSettings()
        self._tasks = asyncio.TaskGroup()
        self._forker = Forker(self._settings.log)
        self._warm: list[MediaProcess] = []
        self._live: set[MediaProcess] = set()
        self._refill = asyncio.Event()
        self._found = frozenset[Path]()

    async def __aenter__(self) -> Self:
        self._found = await asyncio.to_thread(_prepare, self._runtime_dir)
        await self._tasks.__aenter__()
        await self._forker.__aenter__()
        self._refill.set()
        self._refilling = self._tasks.create_task(guarded(self._keep_warm, "media pool"), name="media pool")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._refilling.cancel()
        try:
            await asyncio.wait([self._refilling])  # the forker has to know of what nobody waits for any more
            await asyncio.gather(*(process.close() for process in self._live))
        finally:
            await self._forker.__aexit__(None, None, None)
            # The group is left without the body's exception, which would otherwise come out wrapped in a group.
            await self._tasks.__aexit__(None, None, None)

    def __repr__(self) -> str:
        return f"<MediaPool {self._runtime_dir}: {len(self._warm)} warm of {len(self._live)}>"

    @property
    def zygote_pid(self) -> int | None:
        """The process that media processes are forked from, while it runs."""
        return self._forker.zygote_pid

    async def protocol(self) -> EngineProtocol:
        """What the media engine speaks, for TL phoneCallProtocol. Raises MediaError if it cannot be started."""
        return await self._forker.protocol()

    def use(self, warm: int, orphan_grace_s: float) -> None:
        """Keep so many ready from now on, and let the next calls' processes wait so long for a controller."""
        self._settings = replace(self._settings, orphan_grace_s=orphan_grace_s)
        self._demand.least = warm
        self._refill.set()

    @property
    def orphan_grace_s(self) -> float:
        """For how long the next calls' processes wait for a controller."""
        return self._settings.orphan_grace_s

    def spare_pids(self) -> list[int]:
        """The media processes that wait for a call."""
        return [process.pid for process in self._warm]

    @asynccontextmanager
    async def process(self, call_id: str, ari: AriLogin | None = None) -> AsyncIterator[MediaProcess]:
        """A media process for this call; it has ended when the context is left.

        ``ari``: where the call is hung up without a controller, if not as the settings say.

        Raises MediaError if none can be started.
        """
        self._demand.taken()
        process = await self._take(call_id, ari)
        try:
            yield process
        finally:
            await self._discard(process)

    @asynccontextmanager
    async def adopted(
        self, call_id: str, pid: int, path: Path, started: int | None = None, ari: AriLogin | None = None
    ) -> AsyncIterator[MediaProcess]:
        """The media process of a call that an earlier controller has left; it has ended when the context is left.

        ``pid``, ``path`` and ``started`` are what `MediaProcess` had; ``ari`` as for `process`. Raises MediaError if it
        is gone, or not what they say.
        """
        try:
            child = self._watched(pid, started)
        except OSError as error:
            raise MediaError(f"the media process {pid} of call {call_id} is gone: {error.strerror}") from error
        try:
            process = await self._connected(child, path)
            try:
                await process.take_over(call_id, ari)
            except BaseException:
                process.release()
                self._live.discard(process)
                raise
        except BaseException:
            self._forker.unwatch(child)  # whose it is, is not certain: it is not killed
            raise
        try:
            yield process
        finally:
            await self._discard(process)

    @asynccontextmanager
    async def left_alone(self, pid: int, started: int) -> AsyncIterator[None]:
        """The media process of a call that an earlier controller has left, and that can't be adopted.

        It is ended when the context is left, and not before: it then hangs up in Asterisk what is left of its call.
        """
        try:
            yield
        finally:
            await self._end_left(pid, started)

    async def end_unknown(self, known: Collection[str]) -> None:
        """End the media processes that an earlier controller has left, but those with a ``known`` socket's name.

        Each hangs its call up in Asterisk before.
        """
        unknown = [path for path in self._found if path.name not in known]
        await asyncio.gather(*(self._end_unknown(path) for path in unknown))

    async def _end_unknown(self, path: Path) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as its:
            its.setblocking(False)  # as in `_prepare`
            with short_address(path) as address:
                its.connect(address)
            pid = peer_pid(its)
            log.warning("media process %d is of a call that is not known: it hangs up in Asterisk, and ends", pid)
            await self._end_left(pid, None, HANG_UP_S)

    async def _end_left(self, pid: int, started: int | None, within_s: float = 0.0) -> None:
        with contextlib.suppress(OSError):
            child = self._watched(pid, started)
            signal.pidfd_send_signal(child.pidfd, signal.SIGTERM)
            await asyncio.wait([child.ended], timeout=within_s + self._settings.stop_grace_s)
            child.kill()

    def _watched(self, pid: int, started: int | None) -> Child:
        """Raises OSError where there is no such process any more."""
        child = self._forker.watch(pid)
        if started is not None and started_at(pid) != started:  # looked at while a pidfd holds it
            self._forker.unwatch(child)
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return child

    async def _take(self, call_id: str, ari: AriLogin | None) -> MediaProcess:
        while True:
            spare = bool(self._warm)
            process = self._warm.pop(0) if spare else await self._start()
            self._refill.set()
            try:
                await process.begin(call_id, ari)
            except BaseException as error:
                await self._discard(process)
                if not spare or not isinstance(error, MediaError):
                    raise
                log.warning("a spare media process was not usable: %s", error)
            else:
                return process

    async def _discard(self, process: MediaProcess) -> None:
        await process.close()
        self._live.discard(process)

    async def _keep_warm(self) -> None:
        at_once = AT_ONCE
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._demand.eases_in_s()):
                    await self._refill.wait()
            self._refill.clear()
            while missing := max(self._demand.wanted() - len(self._warm), 0):
                starts = (self._add_warm() for _ in range(min(missing, at_once)))
                errors = [each for each in await asyncio.gather(*starts, return_exceptions=True) if each]
                at_once = 1 if errors else AT_ONCE
                if errors:
                    unexpected = None if isinstance(errors[0], MediaError) else errors[0]
                    log.error("cannot keep a spare media process: %s", errors[0], exc_info=unexpected)
                    await asyncio.sleep(REFILL_RETRY_S)
            while len(self._warm) > self._demand.wanted():
                self._end_spare(self._warm.pop())

    async def _add_warm(self) -> None:
        self._warm.append(await self._start())

    def _end_spare(self, process: MediaProcess) -> None:
        name = f"end of spare media process {process.pid}"
        self._tasks.create_task(guarded(partial(self._discard, process), name), name=name)

    async def _start(self) -> MediaProcess:
        path = self._runtime_dir / f"{secrets.token_hex(4)}{SOCKET_SUFFIX}"
        child = await self._forker.fork(path)
        try:
            return await self._connected(child, path)
        except BaseException:
            child.kill()
            path.unlink(missing_ok=True)
            raise

    async def _connected(self, child: Child, path: Path) -> MediaProcess:
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                with short_address(path) as address:
                    reader, writer = await asyncio.open_unix_connection(address, limit=MAX_LINE)
        except OSError as error:
            raise MediaError(f"the media process {child.pid} does not answer on {path}: {error}") from error
        process = MediaProcess(child, path, writer, self._settings)
        self._live.add(process)
        name = f"media process {process.pid}"
        self._tasks.create_task(guarded(partial(self._attend, process, reader), name), name=name)
        return process

    async def _attend(self, process: MediaProcess, reader: asyncio.StreamReader) -> None:
        await process.listen(reader)
        if process in self._warm:
            self._warm.remove(process)
            self._live.discard(process)
            await process.close()
            self._refill.set()


def _prepare(runtime_dir: Path) -> frozenset[Path]:
    """Make the folder, and remove the sockets of processes that were killed together with their controller.

    The others.
    """
    runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    living = set()
    for path in runtime_dir.glob(f"*{SOCKET_SUFFIX}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # a process that hangs does not accept: nobody waits for that
            try:
                with short_address(path) as address:
                    probe.connect(address)
                living.add(path)
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except BlockingIOError:
                log.warning("a media process does not take anybody at %s", path)
            except OSError as error:
                log.warning("cannot tell whether %s is in use: %s", path, error)
    return frozenset(living)
