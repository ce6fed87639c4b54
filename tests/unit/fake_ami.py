"""AMI with no Asterisk behind it: it answers, stays silent, sends what no Asterisk would, and cuts the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from ari_app.asterisk.ami import Ami

Message = dict[str, str]
WAIT_S = 10.0
"""Longer than anything takes on a busy machine; reached only by a test that fails."""


class FakeAmi:
    """``answer`` gives the lines of the answer to an action, or None for silence; ``events`` are the user events."""

    def __init__(self) -> None:
        self.port = 0
        self.logins = 0
        self.actions: list[Message] = []
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.answer: Callable[[Message], list[str] | None] = success
        self._writers: set[asyncio.StreamWriter] = set()

    async def event(self) -> Message:
        """The next user event that was sent."""
        async with asyncio.timeout(WAIT_S):
            return await self.events.get()

    def send(self, data: bytes) -> None:
        """Send something to whoever is connected."""
        for writer in self._writers:
            writer.write(data)

    def cut(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                block = (await reader.readuntil(b"\r\n\r\n")).decode()
                action = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
                self.actions.append(action)
                lines = self.answer(action)
                self.logins += action["Action"] == "Login" and lines is not None and "Success" in lines[0]
                if lines is not None:
                    answer = [lines[0], f"ActionID: {action['ActionID']}", *lines[1:]]
                    writer.write(("\r\n".join(answer) + "\r\n\r\n").encode())
                if action["Action"] == "UserEvent":
                    self.events.put_nowait(action)
        self._writers.discard(writer)
        writer.close()


def success(action: Message) -> list[str] | None:
    """As Asterisk answers."""
    extra = {"Challenge": ["Challenge: 123"], "UserEvent": ["Message: Event Sent"]}
    return ["Response: Success", *extra.get(action["Action"], [])]


def error(text: str, *names: str) -> Callable[[Message], list[str] | None]:
    """Refuses these actions."""
    return lambda action: ["Response: Error", f"Message: {text}"] if action["Action"] in names else success(action)


def silent(*names: str) -> Callable[[Message], list[str] | None]:
    """Does not answer these actions."""
    return lambda action: None if action["Action"] in names else success(action)


@asynccontextmanager
async def fake_ami() -> AsyncIterator[FakeAmi]:
    """It listens while inside."""
    fake = FakeAmi()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield fake
        finally:
            fake.cut()


def client(fake: FakeAmi, timeout_s: float = WAIT_S) -> Ami:
    return Ami("127.0.0.1", fake.port, "astergram", "secret", timeout_s=timeout_s)
