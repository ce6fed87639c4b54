"""A media process: one call, from a controller's first request to its stop, its loss, or the controller's death.

The controller connects to a Unix socket and sends requests; they are carried out one after the other. If the controller
goes without a stop, the call goes on for a while, so that a restarted controller can connect again. If none does, the
process hangs the call up in Asterisk, too, where its phone would wait in silence.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from media import messages as m
from media.engine import Engine, engine
from media.files import FilesTransport
from media.guard import guarded
from media.hang_up import HANG_UP_S, hang_up
from media.logs import about
from media.rtp import RtpTransport
from media.tick import Tick
from media.transport import Transport
from media.types import AriLogin, MediaError, MediaStats
from media.websocket import WebSocketTransport

log = logging.getLogger(__name__)

AnyTransport = TypeVar("AnyTransport", bound=Transport)

FIRST_CONTROLLER_TIMEOUT_S = 15.0
"""A process that nobody connects to ends."""
END_TIMEOUT_S = 3.5
"""A process that cannot end, because a native call holds it, is ended from outside Python, with a traceback."""


class Worker:
    """The call's parts, and the requests on them. It is the engine's listener."""

    def __init__(self, resources: AsyncExitStack) -> None:
        self.ended = asyncio.Event()
        self.call_id: str | None = None
        self.orphan_grace_s = 0.0
        self._stopped = False
        self._ari: AriLogin | None = None
        self._in_asterisk = m.InAsterisk()
        self._resources = resources
        self._engine: Engine | None = None
        self._transport: Transport | None = None
        self._rtp: RtpTransport | None = None
        self._controller: asyncio.StreamWriter | None = None
        self._unsent: list[m.Event] = []
        self._tick = Tick()
        self._connected_at: float | None = None
        self._lost: str | None = None

    # The engine's listener

    def on_signal(self, data: bytes) -> None:
        """Pass signalling on to the controller."""
        self._tell(m.SignalOut(data=data))

    def on_frame(self, frame: bytes) -> list[bytes]:
        """A tick of the call's clock."""
        return self._tick.take(frame) if self._lost is None else []

    def on_connected(self) -> None:
        """Both ways are open."""
        if self._connected_at is None:
            self._connected_at = time.monotonic()
            self._tick.begin()
            self._tell(m.EngineConnected())

    def on_lost(self, reason: str) -> None:
        """Tell once; the first reason is the cause of the others."""
        if self._lost is None:
            self._lost = reason
            self._tell(m.Lost(reason=reason))

    @property
    def is_orphan(self) -> bool:
        """Whether it has a call, and no controller that would end it."""
        return self.call_id is not None and self._controller is None and not self._stopped

    async def hang_up_in_asterisk(self) -> None:
        """What its controller would do."""
        if self._ari is not None:
            await hang_up(self._ari, self._in_asterisk.channels, self._in_asterisk.bridge)

    # The controller

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry out one controller's requests until it goes."""
        try:
            while not self.ended.is_set() and (request := await m.read_request(reader)):
                answer = await self._answer(request)
                if isinstance(request, m.Begin) and isinstance(answer, m.Done):
                    self._is_told(writer)
                writer.write(m.to_line(answer))
                await writer.drain()
                if isinstance(request, m.Stop):
                    self._stopped = True
                    self.ended.set()
        except ConnectionError:
            pass  # a controller that dies with something unread in its socket resets it
        except ValueError as error:
            log.error("protocol error of the controller: %s", error)  # noqa: TRY400 - it is a whole sentence
        except Exception:
            log.exception("serving the controller: an unexpected error; the call waits for the next one")
        finally:
            self._controller = None
            writer.close()

    def _is_told(self, controller: asyncio.StreamWriter) -> None:
        """The call is this controller's. One that only connects may just look whether somebody is there."""
        self._controller = controller
        unsent, self._unsent = self._unsent, []
        for event in unsent:
            self._tell(event)

    def _tell(self, event: m.Event) -> None:
        if self._controller is None:
            self._unsent.append(event)
        else:
            self._controller.write(m.to_line(event))

    def _tell_state(self) -> None:
        """What an earlier controller was told."""
        if self._connected_at is not None:
            self._tell(m.EngineConnected())
        if self._lost is not None:
            self._tell(m.Lost(reason=self._lost))

    async def _answer(self, request: m.Request) -> m.Reply:
        try:
            return await self._carry_out(request)
        except MediaError as error:
            return m.RequestFailed(number=request.number, reason=error.reason)
        except Exception as error:
            log.exception("request %s", request.kind)
            return m.RequestFailed(number=request.number, reason=f"{request.kind}: {type(error).__name__}: {error}")

    async def _carry_out(self, request: m.Request) -> m.Reply:
        number = request.number
        match request:
            case m.Begin():
                if self.call_id not in (None, request.call_id):
                    raise MediaError(f"this media process is of call {self.call_id}")
                if self.call_id is not None:  # a controller that adopts it
                    self._tell_state()
                self.call_id, self.orphan_grace_s, self._ari = request.call_id, request.orphan_grace_s, request.ari
            case m.InAsterisk():
                self._in_asterisk = request
            case m.MakeOffer():
                return m.Data(number=number, data=await (await self._new_engine()).start_exchange(request.dh, None))
            case m.MakeAnswer():
                one = await self._new_engine()
                return m.Data(number=number, data=await one.start_exchange(request.dh, request.g_a_hash))
            case m.Agree():
                agreement = await self._exchanging().agree(request.g_a_or_b, request.key_fingerprint)
                return m.Agreed(number=number, agreement=agreement)
            case m.Connect():
                await self._exchanging().connect(
                    request.servers, request.library_versions, request.p2p_allowed, request.custom_parameters
                )
            case m.Signal():
                await self._exchanging().signal(request.data)
            case m.ListenRtp():
                host, port = (await self._listen_rtp(request.bind_host)).address
                return m.Listening(number=number, host=host, port=port)
            case m.AttachRtp():
                if self._rtp is None:
                    raise MediaError("RTP has no port yet: call listen_rtp before attach_rtp")
                self._free_for_transport()
                self._rtp.attach(request.host, request.port, request.codecs)
                await self._attach(self._rtp)
            case m.AttachWebSocket():
                self._free_for_transport()
                opening = WebSocketTransport.open(request.url, request.codecs, self.on_lost)
                await self._attach(self._closing(await opening))
            case m.AttachFiles():
                self._free_for_transport()
                files = await FilesTransport.open(request.play, request.record, request.loop)
                await self._attach(self._closing(files))
            case m.Stats():
                return m.MeasuredStats(number=number, stats=self._stats())
            case m.Stop():
                pass
        return m.Done(number=number)

    async def _new_engine(self) -> Engine:
        if self._engine is None:
            self._engine = await self._resources.enter_async_context(engine(self))
            if self._transport is not None:
                await self._engine.receive_at(self._transport.rate)
        return self._engine

    def _exchanging(self) -> Engine:
        if self._engine is None:
            raise MediaError("the key exchange has not begun: call offer or answer first")
        return self._engine

    async def _listen_rtp(self, bind_host: str) -> RtpTransport:
        if self._rtp is not None:
            raise MediaError(f"RTP is already listened for on {self._rtp.address[0]}:{self._rtp.address[1]}")
        self._rtp = self._closing(RtpTransport.listen(bind_host))
        return self._rtp

    def _closing(self, transport: AnyTransport) -> AnyTransport:
        self._resources.push_async_callback(transport.close)
        self._resources.callback(self._tick.use, None)  # before it
        return transport

    def _free_for_transport(self) -> None:
        if self._transport is not None:
            raise MediaError(f"the call's audio already goes by {self._transport.name}; a call has one way to Asterisk")

    async def _attach(self, transport: Transport) -> None:
        self._transport = transport
        if self._engine is not None:
            await self._engine.receive_at(transport.rate)
        self._tick.use(transport)

    def _stats(self) -> MediaStats:
        connected_ms = int((time.monotonic() - self._connected_at) * 1000) if self._connected_at is not None else 0
        return replace(self._tick.stats(), connected_ms=connected_ms)


async def main(listening: socket.socket, path: Path) -> None:
    """Serve controllers, one at a time, until the call is to end; then close everything within ``END_TIMEOUT_S``."""
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as resources:
        worker = Worker(resources)
        resources.enter_context(about(lambda: {"call": worker.call_id or ""}))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.ended.set)
        # Guarded: whatever becomes of them, the call is hung up in Asterisk below.
        serving = guarded(partial(_serve_controllers, worker, listening), "controllers")
        controllers = tasks.create_task(serving, name="controllers")
        controllers.add_done_callback(lambda _: worker.ended.set())
        await worker.ended.wait()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - a file in a runtime directory
        if worker.is_orphan:
            faulthandler.dump_traceback_later(HANG_UP_S + END_TIMEOUT_S, exit=True)
            controllers.cancel()
            listening.shutdown(socket.SHUT_RDWR)  # a controller that comes too late is to learn that at once
            await worker.hang_up_in_asterisk()
        faulthandler.dump_traceback_later(END_TIMEOUT_S, exit=True)
        controllers.cancel()


async def _serve_controllers(worker: Worker, listening: socket.socket) -> None:
    patience = FIRST_CONTROLLER_TIMEOUT_S
    while not worker.ended.is_set():
        try:
            async with asyncio.timeout(patience):
                connection, _ = await asyncio.get_running_loop().sock_accept(listening)
        except TimeoutError:
            log.warning("no controller for %s s; ending the call", patience)
            return
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=m.MAX_LINE)
        await worker.serve(reader, writer)
        if worker.call_id is None:
            return  # it was still waiting for a call
        patience = worker.orphan_grace_s


def run(listening: socket.socket, path: str) -> NoReturn:
    """The whole life of the process. It never returns: interpreter shutdown could meet ntgcalls' running threads."""
    faulthandler.enable()
    listening.setblocking(False)
    listening.listen(1)  # again, in this process: for SO_PEERCRED to name it, and not the zygote
    code = 0
    try:
        asyncio.run(main(listening, Path(path)))
    except Exception:
        log.exception("the media process failed")
        code = 1
    finally:
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)
        os._exit(code)
