"""A FastAGI server: runs a script for each AGI() of a dialplan, and answers in time whatever becomes of the script."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from ari_app.asterisk.agi_request import HEADER_BYTES, AgiClosed, AgiError, AgiRequest
from ari_app.backoff import Backoff
from ari_app.cooldown import Cooldown
from ari_app.networks import Network, address_of
from ari_app.os_words import in_words
from ari_app.tasks import GuardedTasks, guarded_tasks, was_cancelled

ANSWER_SHARE = 0.2
"""Of the time for a request: kept for telling the channel that the rest of it was not enough."""
STOP_S = 0.5
"""For telling a channel that the server stops."""
SAID_S = 60.0
"""An address that may not ask is logged once in this time."""
RETRY = Backoff(first_s=1.0, last_s=30.0)

log = logging.getLogger(__name__)

Variables = Mapping[str, str]
Script = Callable[[AgiRequest], Awaitable[Variables]]
"""Does what is asked; gives the variables to set on the channel."""
OnFailure = Callable[[AgiRequest, Exception], Variables]
"""What to set in their place: after TimeoutError, UnknownScript, ServerStops, or whatever the script has raised."""


class UnknownScript(AgiError):
    """There is no script of this name."""


class ServerStops(AgiError):
    """The server has been told to stop."""


class AgiServer:
    """Serves for as long as `run` goes on. Each request is answered within ``timeout_s``, or its connection is cut.

    Besides this machine, the addresses of the networks ``allow`` may ask.
    """

    def __init__(
        self,
        host: str,
        port: int,
        scripts: Mapping[str, Script],
        on_failure: OnFailure,
        *,
        allow: Sequence[Network] = (),
        timeout_s: float,
    ) -> None:
        self.host = host
        self.port = port
        self._scripts = scripts
        self._on_failure = on_failure
        self._allow = allow
        self._timeout_s = timeout_s
        self._said = Cooldown(SAID_S)
        self._listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; where the port can't be had, it is tried again and again."""
        async with guarded_tasks() as connections:
            server = await self._listen(connections)
            self.port = server.sockets[0].getsockname()[1]
            log.info("FastAGI: listening at %s port %d", self.host, self.port)
            self._listening.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._listening.clear()
                server.close()

    async def listening(self) -> None:
        """Wait until it has its port."""
        await self._listening.wait()

    async def _listen(self, connections: GuardedTasks) -> asyncio.Server:
        failures, said = 0, ""
        while True:
            try:
                return await asyncio.start_server(
                    partial(self._accept, connections), self.host, self.port, limit=HEADER_BYTES
                )
            except OSError as error:
                failures += 1
                if in_words(error) != said:  # not the same line every few seconds
                    said = in_words(error)
                    log.error(  # noqa: TRY400 - the sentence says it
                        "FastAGI: can't listen at %s port %d: %s. It is tried again and again; see [agi] host and port,"
                        " and which other program has it",
                        self.host,
                        self.port,
                        said,
                    )
            await asyncio.sleep(RETRY.pause_s(failures))

    def _accept(self, connections: GuardedTasks, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        try:
            if peer and self._may_ask(peer[0]):
                connections.spawn(self._serve(reader, writer), f"FastAGI, from {peer[0]}")
                return
        except RuntimeError:
            log.info("FastAGI: not served any more, Astergram stops")
        writer.transport.abort()

    def _may_ask(self, host: str) -> bool:
        address = address_of(host)
        if address.is_loopback or any(address in network for network in self._allow):
            return True
        if self._said.admit(host):
            log.warning("FastAGI: %s may not ask. If it is an Asterisk of yours, add it to allow in [agi]", host)
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        until = asyncio.get_running_loop().time() + self._timeout_s
        with closed(writer):
            try:
                async with asyncio.timeout_at(until) as limit:
                    request = await AgiRequest.read(reader, writer)
                    variables = await self._run(request, limit, until - self._timeout_s * ANSWER_SHARE)
                    for name, value in variables.items():
                        await request.set(name, value)
            except AgiClosed as error:
                log.info("FastAGI: %s", error)
            except TimeoutError:
                log.warning("FastAGI: a request took Asterisk longer than %g s, and was cut off", self._timeout_s)
                writer.transport.abort()

    async def _run(self, request: AgiRequest, limit: asyncio.Timeout, until: float) -> Variables:
        """What a script gives, or what is set in its place. Raises AgiClosed."""
        try:
            async with asyncio.timeout_at(until):
                return await self._scripts.get(request.script, self._unknown)(request)
        except AgiClosed:
            raise
        except asyncio.CancelledError:
            if limit.expired():
                raise
            task = asyncio.current_task()
            if task and was_cancelled():  # else it is that of a future that the script waited for
                task.uncancel()
            limit.reschedule(min(limit.when() or until, asyncio.get_running_loop().time() + STOP_S))
            return self._on_failure(request, ServerStops("Astergram stops"))
        except Exception as error:  # noqa: BLE001 - told to whoever knows what it means
            return self._on_failure(request, error)

    async def _unknown(self, request: AgiRequest) -> Variables:
        raise UnknownScript(f"there is no script {request.script!r}, but {', '.join(self._scripts)}")


@contextmanager
def closed(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close a connection at the end."""
    try:
        yield
    finally:
        writer.close()
