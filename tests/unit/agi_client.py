"""The side of AGI that Asterisk has, as a test scripts it: a channel's header, its answers, and its hang-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

HOST = "127.0.0.1"
WAIT_S = 10.0
"""Longer than anything takes on a busy machine; reached only by a test that fails."""


def header(script: str, *arguments: str, **fields: str) -> bytes:
    """As Asterisk writes it for AGI(agi://.../script,arguments...)."""
    request = {"agi_network": "yes", "agi_network_script": script, "agi_request": f"agi://{HOST}/{script}"}
    place = {"agi_extension": "600", "agi_context": "sales"}
    fields = {"agi_callerid": "unknown", "agi_uniqueid": "1.1", **place, **fields}
    given = {f"agi_arg_{number}": argument for number, argument in enumerate(arguments, start=1)}
    return "".join(f"{name}: {value}\n" for name, value in (request | fields | given).items()).encode() + b"\n"


class AgiClient:
    """One AGI() that is running; ``variables`` are the channel's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.variables: dict[str, str] = {}
        self.commands: list[str] = []

    def send(self, data: bytes) -> None:
        """Anything."""
        self.writer.write(data)

    async def command(self) -> str:
        """The next command; empty where the server has closed the connection."""
        async with asyncio.timeout(WAIT_S):
            line = (await self.reader.readline()).decode().rstrip("\n")
        self.commands.append(line)
        return line

    async def closed(self) -> None:
        """Wait until the server closes the connection without a command."""
        with suppress(ConnectionError):
            assert await self.command() == ""

    async def run(self, hang_up_before: int = 0) -> dict[str, str]:
        """Answer every command as Asterisk does; the variables at the end.

        ``hang_up_before``: the answer (from 1) before which the channel is hung up.
        """
        answers = 0
        while line := await self.command():
            answers += 1
            if answers == hang_up_before:
                self.send(b"HANGUP\n")
            self.send(self._answer(line))
        return self.variables

    def _answer(self, line: str) -> bytes:
        verb, _, rest = line.partition(" VARIABLE ")
        name, _, value = rest.partition(" ")
        if verb == "SET":
            assert value[0] == value[-1] == '"', line
            self.variables[name] = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
            return b"200 result=1\n"
        if verb == "GET":
            known = self.variables.get(name)
            return b"200 result=0\n" if known is None else f"200 result=1 ({known})\n".encode()
        return b"510 Invalid or unknown command\n"


@asynccontextmanager
async def calling(port: int, data: bytes = b"") -> AsyncIterator[AgiClient]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        client = AgiClient(reader, writer)
        client.send(data)
        yield client
    finally:
        writer.transport.abort()


async def asked(port: int, script: str, *arguments: str, **variables: str) -> dict[str, str]:
    """Run a script to its end, on a channel that has these variables; what it has then."""
    async with calling(port, header(script, *arguments)) as client:
        client.variables |= variables
        return await client.run()
