"""A voice agent for `dialplan/example-voice-agent.conf`: Asterisk connects to it by AudioSocket, once for each call.

This one repeats what it hears a second later, until the caller presses 0. Put a model in the place of `Repeater`.

ASTERGRAM_URL=http://127.0.0.1:8090 ASTERGRAM_TOKEN=... python voice_agent.py [PORT]
"""

import asyncio
import json
import os
import sys
import urllib.request
import uuid
from collections import deque

HANG_UP, ID, DIGIT, AUDIO, FAILED = 0x00, 0x01, 0x03, 0x10, 0xFF
"""Types of AudioSocket's messages; audio is 16-bit little-endian PCM, mono, 8000 Hz, 20 ms a message."""
MESSAGES_A_SECOND = 50
API_S = 5.0


class Repeater:
    """Takes 20 ms of what the caller says, and gives 20 ms to say to them."""

    def __init__(self) -> None:
        self._heard: deque[bytes] = deque()

    def hear(self, audio: bytes) -> bytes:
        self._heard.append(audio)
        return self._heard.popleft() if len(self._heard) > MESSAGES_A_SECOND else bytes(len(audio))


def who_calls(call: str) -> str:
    """What Astergram's API knows of the caller; the token's scope is `read`."""
    url, token = os.environ.get("ASTERGRAM_URL"), os.environ.get("ASTERGRAM_TOKEN")
    if not url or not token:
        return "somebody"
    asked = urllib.request.Request(f"{url}/api/calls/{call}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=API_S) as answer:  # noqa: S310 - the administrator's own address
        known = json.load(answer)["call"]
    return f"{known['name']} ({known['phone'] or known['username'] or known['person_id']})"


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One call, until one side closes the connection."""
    agent, call = Repeater(), ""
    try:
        while True:
            kind, length = (header := await reader.readexactly(3))[0], int.from_bytes(header[1:])
            payload = await reader.readexactly(length)
            if kind == ID:
                call = str(uuid.UUID(bytes=payload))[-12:]
                print(f"call {call}: {await asyncio.to_thread(who_calls, call)}", flush=True)
            elif kind == AUDIO:
                writer.write(header + agent.hear(payload))
                await writer.drain()
            elif kind == DIGIT and payload == b"0":  # the dialplan goes on behind AudioSocket(), with a person
                print(f"call {call}: goes to a person", flush=True)
                writer.write(bytes([HANG_UP, 0, 0]))
                await writer.drain()
                return
            elif kind in (HANG_UP, FAILED):
                print(f"call {call}: is over", flush=True)
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        print(f"call {call}: is over", flush=True)
    finally:
        writer.close()


async def main(port: int = 9092) -> None:
    async with await asyncio.start_server(talk, "127.0.0.1", port) as server:
        print(f"listens at 127.0.0.1:{port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:2])))
