"""One Telegram call's media through ntgcalls: key exchange, connection, and 10 ms frames each way.

ntgcalls calls back from its own threads. Sound is exchanged there and then (`media.direct`); everything else is handed
to the event loop that made the engine. One engine to a process: two calls connecting at once in one process crash
ntgcalls.
"""

import asyncio
import contextlib
import logging
import operator
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import ntgcalls

from media import direct
from media.types import Agreement, DhConfig, MediaError, RelayServer

log = logging.getLogger(__name__)

CALL_ID = 1
"""ntgcalls keys calls by user; with one call to a process any constant does."""
MICROPHONE = ntgcalls.StreamDevice.MICROPHONE
SEND_RATE = 48_000
"""Hz: Opus' own, so that nothing is lost on the way."""
STOP_TIMEOUT_S = 2.0
"""ntgcalls' stop normally takes milliseconds."""
_LOST = {
    ntgcalls.ConnectionState.FAILED: "failed",
    ntgcalls.ConnectionState.TIMEOUT: "timed out",
    ntgcalls.ConnectionState.CLOSED: "was closed",
}


class Listener(Protocol):
    """What an engine reports, on the event loop but for `on_frame`."""

    def on_signal(self, data: bytes) -> None:
        """Signalling data for the other party."""

    def on_frame(self, frame: bytes) -> Sequence[bytes]:
        """10 ms of the other party's voice, mono s16le, 100 a second from connect on, without a pause.

        In a thread of ntgcalls'. What it gives is sent: 10 ms of 48 kHz each.
        """

    def on_connected(self) -> None:
        """Media is connected (again)."""

    def on_lost(self, reason: str) -> None:
        """Media is gone."""


class Engine:
    """One call. Requests in the wrong order raise MediaError, with ntgcalls' own words."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._native: Any = ntgcalls.NTgCalls()
        self._frame_data = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)
        self._receive_rate = SEND_RATE
        self._open = False
        self._connecting = False
        self._connected = False
        self._early_signals: list[bytes] = []
        self._send = self._send_at_once
        self._enter_thread = direct.stay
        self._entered = threading.local()
        if not direct.works(self._native):
            log.warning("ntgcalls takes no frames at once: they go by the event loop, which costs more CPU")
            self._send = self._send_by_loop
            self._enter_thread = direct.keep_thread

    async def start_exchange(self, dh: DhConfig, g_a_hash: bytes | None) -> bytes:
        """Begin the key exchange: g_a_hash for the caller, who has none; g_b for the callee, who was given it."""
        if self._open:
            raise MediaError("the key exchange of this call has already begun; a call has one offer or one answer")
        self._open = True
        self._native.on_signaling_data(self._forward(lambda _, data: self._listener.on_signal(bytes(data))))
        self._native.on_connection_change(self._forward(lambda _, info: self._on_state(info.state)))
        self._native.on_frames(self._on_frames)
        with _explained("start the key exchange"):
            await self._native.create_p2p_call(CALL_ID)
            await self._native.set_stream_sources(CALL_ID, ntgcalls.StreamMode.CAPTURE, _external_audio(SEND_RATE))
            await self._receive()
            config = ntgcalls.DhConfig(dh.g, dh.p, dh.random)
            return bytes(await self._native.init_exchange(CALL_ID, config, g_a_hash))

    async def receive_at(self, rate: int) -> None:
        """Have the other party's voice at ``rate`` Hz, from now on: ntgcalls brings it there."""
        self._receive_rate = rate
        if self._open:
            with _explained(f"give the other party's voice at {rate} Hz"):
                await self._receive()

    async def _receive(self) -> None:
        audio = _external_audio(self._receive_rate)
        await self._native.set_stream_sources(CALL_ID, ntgcalls.StreamMode.PLAYBACK, audio)

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        """Finish the key exchange; the callee's fails if the fingerprint or the hash does not fit the key."""
        with _explained("agree on the call's key"):
            agreed = await self._native.exchange_keys(CALL_ID, g_a_or_b, key_fingerprint)
        return Agreement(bytes(agreed.g_a_or_b), agreed.key_fingerprint)

    async def connect(
        self,
        servers: Sequence[RelayServer],
        library_versions: Sequence[str],
        p2p_allowed: bool,
        custom_parameters: str | None,
    ) -> None:
        """Start connecting media. Frames come from here on; the signals that came early are taken now."""
        with _explained("connect Telegram media"):
            await self._native.connect_p2p(
                CALL_ID,
                [_rtc_server(server) for server in servers],
                list(library_versions),
                p2p_allowed,
                custom_parameters,
            )
            # A signal may come while an earlier one is being taken, so the flag flips only once none is left.
            while self._early_signals:
                await self._native.send_signaling_data(CALL_ID, self._early_signals.pop(0))
        self._connecting = True

    async def signal(self, data: bytes) -> None:
        """Take the other party's signalling data, now or as soon as ``connect`` was called."""
        if not self._connecting:
            self._early_signals.append(data)
            return
        with _explained("take the other party's signalling data"):
            await self._native.send_signaling_data(CALL_ID, data)

    async def close(self) -> None:
        """End the call; waits for ntgcalls no longer than ``STOP_TIMEOUT_S``."""
        if not self._open:
            return
        self._open = False
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._native.stop(CALL_ID)
        except TimeoutError:
            log.warning("ntgcalls did not stop the call within %s s; the process ends without it", STOP_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - ntgcalls raises its own tree and RuntimeError; the call ends anyway
            log.info("ntgcalls had nothing to stop: %s", error)

    def _forward(self, handle: Callable[..., None]) -> Callable[..., None]:
        def from_native_thread(*args: object) -> None:
            self._on_loop(handle, *args)

        return from_native_thread

    def _on_loop(self, handle: Callable[..., None], *args: object) -> None:
        # An exception that reached the native thread would end the process, and a closed loop has no use for the call.
        if self._open:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(handle, *args)

    def _on_frames(self, _call: int, _mode: object, _device: object, frames: Sequence[Any]) -> None:
        # Of the one stream that is asked for: mode and device, slow to compare, are always the same.
        if not frames:
            return
        if not hasattr(self._entered, "thread"):
            self._entered.thread = True
            self._enter_thread()
        try:
            if self._open:
                for said in self._listener.on_frame(frames[0].data):
                    self._send(said)
        except Exception as error:
            # One that reached the native thread would end the process.
            log.exception("a tick failed")
            self._on_loop(self._listener.on_lost, f"its audio failed: {type(error).__name__}: {error}")

    def _send_at_once(self, frame: bytes) -> None:
        try:
            self._native.send_external_frame(CALL_ID, MICROPHONE, frame, self._frame_data)
        except Exception as error:  # noqa: BLE001 - ntgcalls' own tree has no common base
            self._not_sent(error)

    def _send_by_loop(self, frame: bytes) -> None:
        self._on_loop(self._send_soon, frame)

    def _send_soon(self, frame: bytes) -> None:
        sent = self._native.send_external_frame(CALL_ID, MICROPHONE, frame, self._frame_data)

        def done(outcome: asyncio.Future[None]) -> None:
            if not outcome.cancelled() and (error := outcome.exception()):
                self._not_sent(error)

        sent.add_done_callback(done)

    def _not_sent(self, error: BaseException) -> None:
        self._on_loop(self._listener.on_lost, f"ntgcalls takes no more sound: {type(error).__name__}: {error}")

    def _on_state(self, state: object) -> None:
        if not self._open:
            return
        log.info("Telegram media: %s", getattr(state, "name", state))
        if state == ntgcalls.ConnectionState.CONNECTED:
            self._connected = True
            self._listener.on_connected()
        elif state in _LOST:
            when = "after it was connected" if self._connected else "before it was connected"
            self._listener.on_lost(f"Telegram media {_LOST[state]} {when}")


@asynccontextmanager
async def engine(listener: Listener) -> AsyncIterator[Engine]:
    """An engine that is stopped at the end."""
    quiet()
    one = Engine(listener)
    try:
        yield one
    finally:
        await one.close()


def quiet() -> None:
    """Keep ntgcalls and WebRTC from logging each packet's worries."""
    logging.getLogger("ntgcalls").setLevel(logging.ERROR)
    # WebRTC's errors are its own affairs: a machine without a sound card, a party that hung up first. ntgcalls calls
    # for each of its lines, some 75 a second, whatever the level, from a thread that does nothing else. A function
    # in C, of the same two arguments and without an effect, is over soonest: that saves a twelfth of what a call costs.
    webrtc: Any = logging.getLogger("webrtc")

    def first_line(_level: int, _line: str) -> None:
        direct.keep_thread()
        webrtc.log = operator.is_

    webrtc.log = first_line


def _external_audio(rate: int) -> Any:
    audio = ntgcalls.AudioDescription(
        media_source=ntgcalls.MediaSource.EXTERNAL, input="", sample_rate=rate, channel_count=1, keep_open=False
    )
    return ntgcalls.MediaDescription(microphone=audio, speaker=None, camera=None, screen=None)


def _rtc_server(server: RelayServer) -> Any:
    return ntgcalls.RTCServer(
        server.id,
        server.host,
        server.host_v6,
        server.port,
        server.username,
        server.password,
        server.turn,
        server.stun,
        server.tcp,
        server.peer_tag,
    )


@contextlib.contextmanager
def _explained(what: str) -> Any:
    try:
        yield
    except MediaError:
        raise
    except Exception as error:
        # ntgcalls raises its own exceptions, RuntimeError and ValueError alike, with no common base.
        raise MediaError(f"ntgcalls could not {what}: {type(error).__name__}: {error}") from error
