"""How frames get to ntgcalls: at once, or by the event loop where that does not work; and what a failing tick costs."""

import asyncio
import logging
import threading
from types import SimpleNamespace
from typing import Any

import ntgcalls
import pytest

from media import direct
from media.engine import Engine, quiet
from media.types import MediaError

FRAME = bytes(960)
SOON_S = 5.0


class Native:
    """In the place of ntgcalls: a call that takes frames, or does not any more."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.sent: list[tuple[str, bytes]] = []

        self.sources: list[tuple[object, int]] = []

    async def set_stream_sources(self, _call: int, mode: object, what: Any) -> None:
        if self.error:
            raise self.error
        self.sources.append((mode, what.microphone.sample_rate))

    def send_external_frame(self, _call: int, _device: object, frame: bytes, _about: object) -> Any:
        def send() -> None:
            if self.error:
                raise self.error
            loop = asyncio.events._get_running_loop()
            self.sent.append(("at once" if isinstance(loop, direct._Caller) else "elsewhere", frame))

        return asyncio.get_event_loop().run_in_executor(None, send)


class Listener:
    """Gives each frame back."""

    def __init__(self) -> None:
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.error: Exception | None = None

    def on_frame(self, frame: bytes) -> list[bytes]:
        if self.error:
            raise self.error
        return [frame]

    def on_lost(self, reason: str) -> None:
        self.lost.put_nowait(reason)

    def on_signal(self, data: bytes) -> None: ...

    def on_connected(self) -> None: ...


def engine_of(native: Native, listener: Listener, monkeypatch: pytest.MonkeyPatch, *, works: bool) -> Engine:
    monkeypatch.setattr(direct, "works", lambda _: works)
    made = Engine(listener)
    made._native = native
    made._open = True
    return made


async def frame_comes(engine: Engine) -> None:
    """As ntgcalls tells it, from a thread of its own."""
    frames = [SimpleNamespace(data=FRAME)]
    await asyncio.to_thread(
        engine._on_frames, 1, ntgcalls.StreamMode.PLAYBACK, ntgcalls.StreamDevice.MICROPHONE, frames
    )


@pytest.mark.parametrize(("works", "where"), [(True, "at once"), (False, "elsewhere")])
async def test_a_frame_is_sent(monkeypatch: pytest.MonkeyPatch, works: bool, where: str) -> None:
    native, listener = Native(), Listener()
    engine = engine_of(native, listener, monkeypatch, works=works)
    await frame_comes(engine)
    async with asyncio.timeout(SOON_S):
        while not native.sent:  # noqa: ASYNC110 - it has no event for us
            await asyncio.sleep(0.001)
    assert native.sent == [(where, FRAME)]
    assert listener.lost.empty()


@pytest.mark.parametrize("works", [True, False])
async def test_a_frame_that_is_not_taken_ends_the_call(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    native, listener = Native(), Listener()
    native.error = RuntimeError("no such call")
    engine = engine_of(native, listener, monkeypatch, works=works)
    await frame_comes(engine)
    async with asyncio.timeout(SOON_S):
        assert await listener.lost.get() == "ntgcalls takes no more sound: RuntimeError: no such call"


async def test_a_tick_that_fails_ends_the_call_and_not_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    native, listener = Native(), Listener()
    listener.error = ZeroDivisionError("in the jitter buffer")
    engine = engine_of(native, listener, monkeypatch, works=True)
    await frame_comes(engine)
    async with asyncio.timeout(SOON_S):
        assert await listener.lost.get() == "its audio failed: ZeroDivisionError: in the jitter buffer"


async def test_frames_after_the_end_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    native, listener = Native(), Listener()
    engine = engine_of(native, listener, monkeypatch, works=True)
    engine._open = False
    await frame_comes(engine)
    assert native.sent == []


async def test_the_voice_comes_at_the_rate_that_its_codec_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    native = Native()
    engine = engine_of(native, Listener(), monkeypatch, works=True)
    await engine.receive_at(16_000)
    assert native.sources == [(ntgcalls.StreamMode.PLAYBACK, 16_000)]
    native.error = RuntimeError("no such call")
    with pytest.raises(MediaError, match="at 8000 Hz: RuntimeError: no such call"):
        await engine.receive_at(8_000)


def test_a_thread_keeps_what_python_knows_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each thread, not for each frame."""
    kept: list[int] = []
    monkeypatch.setattr(direct, "keep_thread", lambda: kept.append(threading.get_ident()))
    native = Native()
    made: list[Engine] = []

    async def make() -> None:
        made.append(engine_of(native, Listener(), monkeypatch, works=True))

    asyncio.run(make())
    frames = [SimpleNamespace(data=FRAME)]

    def three() -> None:
        for _ in range(3):
            made[0]._on_frames(1, ntgcalls.StreamMode.PLAYBACK, ntgcalls.StreamDevice.MICROPHONE, frames)

    for _ in range(2):
        thread = threading.Thread(target=three)
        thread.start()
        thread.join(SOON_S)
    assert len(kept) == 2
    assert [where for where, _ in native.sent] == ["at once"] * 6


def test_lines_of_webrtc_go_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    quiet()
    for _ in range(3):
        logging.getLogger("webrtc").log(logging.CRITICAL, "Failed to demux RTP packet")
    assert not caplog.records
