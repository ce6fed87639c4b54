"""The yardstick: a process with one bare ntgcalls call, and nothing of Astergram but the direct way to send a frame.

    python -m ari_app.sandbox.bench.endpoint direct|asyncio|echo

``direct`` says a tone from ntgcalls' own frame callback, ``asyncio`` by a loop that sleeps from frame to frame,
``echo`` says what it hears, from the callback. It speaks to ntgcalls itself, not by `media.engine`, so that what
changes there does not move the yardstick.

On standard input come requests, on standard output answers and events, as lines of JSON; `bare.BareEndpoint` is the
other side. It ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from array import array
from typing import Any

import ntgcalls

from media import direct
from media.messages import MAX_LINE

RATE, TICK_SAMPLES, TICK_S = 48_000, 480, 0.01
TONE_HZ, AMPLITUDE = 440.0, 8000
TICKS = 100  # of the tone, a second: whole periods
CALL_ID = 1
MICROPHONE = ntgcalls.StreamDevice.MICROPHONE


class Endpoint:
    """One call, and the requests on it."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._loop = asyncio.get_running_loop()
        self._native: Any = ntgcalls.NTgCalls()
        self._facts = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)
        self._tone = [_tick(number) for number in range(TICKS)]
        self._heard = 0
        self._native.on_frames(self._on_frames)
        self._native.on_signaling_data(lambda _, data: self._tell({"signal": bytes(data).hex()}))
        self._native.on_connection_change(self._on_state)
        self._sending: asyncio.Task[None] | None = None

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Carry out one request after the other."""
        while line := await reader.readline():
            request = json.loads(line)
            _say({"answer": await self._carry_out(**request)})

    async def _carry_out(self, do: str, **given: Any) -> Any:
        match do:
            case "exchange":
                await self._open()
                config = ntgcalls.DhConfig(given["g"], bytes.fromhex(given["p"]), bytes.fromhex(given["random"]))
                g_a_hash = bytes.fromhex(given["g_a_hash"]) if given["g_a_hash"] else None
                return bytes(await self._native.init_exchange(CALL_ID, config, g_a_hash)).hex()
            case "agree":
                agreed = await self._native.exchange_keys(CALL_ID, bytes.fromhex(given["g"]), given["fingerprint"])
                return {"g": bytes(agreed.g_a_or_b).hex(), "fingerprint": agreed.key_fingerprint}
            case "connect":
                await self._native.connect_p2p(CALL_ID, [], given["versions"], True, None)
                if self._mode == "asyncio":
                    self._sending = asyncio.create_task(self._send_by_loop())
            case "signal":
                await self._native.send_signaling_data(CALL_ID, bytes.fromhex(given["data"]))
            case "heard":
                return self._heard
        return None

    async def _open(self) -> None:
        audio = ntgcalls.AudioDescription(
            media_source=ntgcalls.MediaSource.EXTERNAL, input="", sample_rate=RATE, channel_count=1, keep_open=False
        )
        described = ntgcalls.MediaDescription(microphone=audio, speaker=None, camera=None, screen=None)
        await self._native.create_p2p_call(CALL_ID)
        for mode in (ntgcalls.StreamMode.CAPTURE, ntgcalls.StreamMode.PLAYBACK):
            await self._native.set_stream_sources(CALL_ID, mode, described)

    def _on_frames(self, _: int, mode: object, device: object, frames: list[Any]) -> None:
        if mode != ntgcalls.StreamMode.PLAYBACK or device != MICROPHONE or not frames:
            return
        self._heard += 1
        if self._mode == "asyncio":
            return
        said = bytes(frames[0].data) if self._mode == "echo" else self._tone[self._heard % TICKS]
        try:
            direct.at_once(self._native.send_external_frame, CALL_ID, MICROPHONE, said, self._facts)
        except Exception as error:  # noqa: BLE001 - one that reached the native thread would end the process in silence
            self._tell({"lost": f"{type(error).__name__}: {error}"})

    async def _send_by_loop(self) -> None:
        began, sent = self._loop.time(), 0
        try:
            while True:
                await self._native.send_external_frame(CALL_ID, MICROPHONE, self._tone[sent % TICKS], self._facts)
                sent += 1
                await asyncio.sleep(max(0.0, began + sent * TICK_S - self._loop.time()))
        except Exception as error:  # noqa: BLE001 - ntgcalls' own tree has no common base
            _say({"lost": f"{type(error).__name__}: {error}"})

    def _on_state(self, _: int, info: Any) -> None:
        if info.state == ntgcalls.ConnectionState.CONNECTED:
            self._tell({"connected": True})

    def _tell(self, event: dict[str, Any]) -> None:
        """From a thread of ntgcalls'."""
        self._loop.call_soon_threadsafe(_say, event)


def _tick(number: int) -> bytes:
    times = (number * TICK_SAMPLES + sample for sample in range(TICK_SAMPLES))
    return array("h", (round(AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * at / RATE)) for at in times)).tobytes()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def main(mode: str) -> None:
    """Serve until the input ends."""
    reader = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await Endpoint(mode).serve(reader)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    os._exit(0)  # ntgcalls' threads are still at work
