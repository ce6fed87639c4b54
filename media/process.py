"""The controller's view of one media process: requests with replies, and the events that come unasked."""

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

from media import messages as m
from media.forker import Child, started_at
from media.sockets import peer_pid
from media.types import (
    Agreement,
    AriLogin,
    Codecs,
    DhConfig,
    MediaError,
    MediaLost,
    MediaSettings,
    MediaStats,
    RelayServer,
)

log = logging.getLogger(__name__)

AnyReply = TypeVar("AnyReply", m.Done, m.Data, m.Agreed, m.Listening, m.MeasuredStats)


class MediaProcess:
    """One call's media.

    Every request raises MediaError if it is refused (the call goes on) and MediaLost if the process is gone.
    """

    def __init__(self, child: Child, path: Path, writer: asyncio.StreamWriter, settings: MediaSettings) -> None:
        self.pid = child.pid
        self.started = started_at(child.pid) or 0
        """In the kernel's ticks since boot: with the pid, it names this process and no later one."""
        self.messages = m.VERSION
        """Which messages it speaks."""
        self.call_id: str | None = None
        self._child = child
        self.path = path
        """Its socket, by which a later controller may adopt it."""
        self._writer = writer
        self._settings = settings
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[m.Reply]] = {}
        self._signals: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._loss: MediaLost | None = None
        self._lost = asyncio.Event()
        self._death: MediaLost | None = None
        self._changed = asyncio.Event()
        self._closing = False
        self._released = False

    def __repr__(self) -> str:
        state = "lost" if self._loss else "connected" if self._connected.is_set() else "waiting"
        return f"<MediaProcess {self.pid}, call {self.call_id}: {state}>"

    async def begin(self, call_id: str, ari: AriLogin | None) -> None:
        """Give the process to a call; ``ari``: where it then hangs it up, if not as the settings say. By the pool."""
        self.call_id = call_id
        its = self._settings
        await self._request(m.Begin(call_id=call_id, orphan_grace_s=its.orphan_grace_s, ari=ari or its.ari), m.Done)

    async def take_over(self, call_id: str, ari: AriLogin | None) -> None:
        """As `begin`, for a process that an earlier controller has begun. Raises MediaError where it is another's."""
        its: socket.socket = self._writer.get_extra_info("socket")
        if (pid := peer_pid(its)) != self.pid:
            raise MediaError(f"{self.path} is of process {pid}, not of the media process {self.pid}")
        await self.begin(call_id, ari)

    async def in_asterisk(self, *channels: str, bridge: str = "") -> None:
        """What to hang up in Asterisk if no controller comes back: channels, or a bridge with all in it."""
        await self._request(m.InAsterisk(channels=channels, bridge=bridge), m.Done)

    async def offer(self, dh: DhConfig) -> bytes:
        """Caller: begin the key exchange; returns g_a_hash for ``phone.requestCall``."""
        return (await self._request(m.MakeOffer(dh=dh), m.Data)).data

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        """Callee: begin the key exchange; returns g_b for ``phone.acceptCall``."""
        return (await self._request(m.MakeAnswer(dh=dh, g_a_hash=g_a_hash), m.Data)).data

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        """Finish the key exchange.

        The caller passes g_b and 0, and gets g_a and the fingerprint for ``phone.confirmCall``. The callee passes g_a
        and the fingerprint of the ``phoneCall``; MediaError then means that they do not fit, and the call is not safe.
        """
        return (await self._request(m.Agree(g_a_or_b=g_a_or_b, key_fingerprint=key_fingerprint), m.Agreed)).agreement

    async def connect(
        self,
        servers: Sequence[RelayServer],
        library_versions: Sequence[str],
        p2p_allowed: bool,
        custom_parameters: str | None,
    ) -> None:
        """Start to connect Telegram media, with what the ``phoneCall`` says; ``connected`` tells when it is."""
        await self._request(
            m.Connect(
                servers=tuple(servers),
                library_versions=tuple(library_versions),
                p2p_allowed=p2p_allowed,
                custom_parameters=custom_parameters,
            ),
            m.Done,
        )

    async def signal(self, data: bytes) -> None:
        """Pass on data from ``updatePhoneCallSignalingData``; at any time after offer or answer."""
        await self._request(m.Signal(data=data), m.Done)

    async def signals(self) -> AsyncIterator[bytes]:
        """Data for ``phone.sendSignalingData``, for one consumer; ends when the process does."""
        while (data := await self._signals.get()) is not None:
            yield data

    async def connected(self) -> None:
        """Return when Telegram media is connected. Raises MediaLost if that will not happen, or is over."""
        while self._loss is None and not self._connected.is_set():
            await self._changed.wait()
        if self._loss is not None:
            raise self._loss

    async def lost(self) -> MediaLost:
        """Return when the media is gone: it failed, Asterisk's side vanished, or the process died."""
        await self._lost.wait()
        assert self._loss is not None
        return self._loss

    async def listen_rtp(self, bind_host: str) -> tuple[str, int]:
        """Bind a UDP port; the address is externalMedia's ``external_host``."""
        reply = await self._request(m.ListenRtp(bind_host=bind_host), m.Listening)
        return reply.host, reply.port

    async def attach_rtp(self, host: str, port: int, codecs: Codecs) -> None:
        """Exchange audio with UNICASTRTP_LOCAL_ADDRESS and _PORT, and listen to nobody else."""
        await self._request(m.AttachRtp(host=host, port=port, codecs=codecs), m.Done)

    async def attach_websocket(self, url: str, codecs: Codecs) -> None:
        """Exchange audio with ``ws://host:port/media/<MEDIA_WEBSOCKET_CONNECTION_ID>``."""
        await self._request(m.AttachWebSocket(url=url, codecs=codecs), m.Done)

    async def attach_files(self, play: Path | None, record: Path | None, *, loop: bool = False) -> None:
        """Play one wav (48 kHz mono s16) once connected, and record what is heard into another.

        ``loop``: play it over and over, without what is less than 10 ms at its end.
        """
        await self._request(m.AttachFiles(play=play, record=record, loop=loop), m.Done)

    async def stats(self) -> MediaStats:
        """The call's media at this moment."""
        return (await self._request(m.Stats(), m.MeasuredStats)).stats

    def release(self) -> None:
        """Leave it to another controller, or to its own end. Done by the pool."""
        self._released = True
        self._writer.close()

    async def close(self) -> None:
        """End the process and wait for its end; kill it if it takes too long. Done by the pool."""
        self._closing = True
        ended = self._child.ended
        try:
            async with asyncio.timeout(self._settings.stop_grace_s):
                if not ended.done():
                    with contextlib.suppress(MediaError):
                        await self._request(m.Stop(), m.Done)
                await asyncio.shield(ended)
        except TimeoutError:
            log.warning("media process %s did not stop within %s s; killed", self.pid, self._settings.stop_grace_s)
        finally:
            self._child.kill()
            self._writer.close()
            self.path.unlink(missing_ok=True)
        await asyncio.shield(ended)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take replies and events until the process ends. Run by the pool, in its task group."""
        try:
            while (answer := await m.read_answer(reader)) is not None:
                self._take(answer)
        except ConnectionError:
            pass  # a process that dies with something unread in its socket resets it
        except ValueError as error:
            log.error("protocol error of media process %s: %s", self.pid, error)  # noqa: TRY400 - it is a whole sentence
        except Exception:
            log.exception("media process %s: an unexpected error; its call ends", self.pid)
        if self._released:
            return
        await asyncio.wait([self._child.ended], timeout=self._settings.stop_grace_s)
        self._child.kill()  # without its connection it is of no use; normally it has ended by now
        self._die(await asyncio.shield(self._child.ended))

    def _take(self, answer: m.Reply | m.Event) -> None:
        match answer:
            case m.SignalOut():
                self._signals.put_nowait(answer.data)
            case m.EngineConnected():
                self._connected.set()
                self._changed.set()
            case m.Lost():
                self._lose(MediaLost(answer.reason))
            case _:
                if (pending := self._pending.get(answer.number)) and not pending.done():
                    pending.set_result(answer)

    def _lose(self, loss: MediaLost) -> None:
        if self._loss is None:
            self._loss = loss
            self._lost.set()
            self._changed.set()

    def _die(self, code: int | None) -> None:
        how = (
            "how is not known"
            if code is None
            else f"by {signal.Signals(-code).name}"
            if code < 0
            else f"with code {code}"
        )
        self._death = MediaLost(f"the media process {self.pid} of call {self.call_id} ended: {how}")
        if not self._closing:
            log.error("%s", self._death)
        self._lose(self._death)
        self._signals.put_nowait(None)
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(self._death)

    async def _request(self, request: m.Request, reply_type: type[AnyReply]) -> AnyReply:
        if self._death is not None:
            raise self._death
        number = next(self._numbers)
        pending = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(m.to_line(request.model_copy(update={"number": number})))
            async with asyncio.timeout(self._settings.request_timeout_s):
                reply = await pending
        except TimeoutError:
            raise MediaError(
                f"the media process {self.pid} of call {self.call_id} did not answer {request.kind} within "
                f"{self._settings.request_timeout_s:.0f} s"
            ) from None
        finally:
            del self._pending[number]
        if isinstance(reply, m.RequestFailed):
            raise MediaError(reply.reason)
        assert isinstance(reply, reply_type)
        return reply
