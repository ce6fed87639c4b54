"""One request of a channel's by FastAGI: what it asks, and the commands that it takes. On panoramisk's Request.

Protocol: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Gateway-Interface-AGI/

Of panoramisk, Request and its parser of answers are used, and not its Application: for a client that closes too early
it loops without ever letting go of the event loop, it keeps a CancelledError to itself, it leaves a script that it does
not know without an answer, and it bounds nothing, neither in time nor in size.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Self

from panoramisk.fast_agi import Request
from panoramisk.utils import parse_agi_result

HEADER_BYTES = 65536
"""The longest header, and line, that is read: Asterisk's own bounds on what a dialplan passes are lower."""
VALUE_LENGTH = 300
"""Characters of a value that is set: Asterisk reads a command into 2048 bytes."""
END_OF_HEADER = b"\n\n"
HANGUP = "HANGUP"
UNKNOWN = "unknown"  # Asterisk's word for no caller id

_FIELD = re.compile(r"(agi_\w+): (.*)")


class AgiError(Exception):
    """A request that can't be answered."""


class AgiClosed(AgiError):
    """The connection is of no use any more: Asterisk has closed it, or what comes is no AGI."""


class AgiRequest(Request):  # type: ignore[misc]  # panoramisk has no type hints
    """The fields of its header, and its channel.

    ``script``: the path of the AGI() line's URL. ``arguments`` are as Asterisk has split them: at commas. ``place``:
    EXTENSION@CONTEXT of the dialplan that asks.
    """

    def __init__(self, fields: Mapping[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(None, fields, reader, writer)
        self.script = fields.get("agi_network_script", "").partition("?")[0].strip("/")
        self.arguments = _arguments(fields)
        caller = fields.get("agi_callerid", UNKNOWN)
        self.caller = "" if caller == UNKNOWN else caller
        self.place = f"{fields.get('agi_extension', '')}@{fields.get('agi_context', '')}".strip("@")

    @property
    def address(self) -> str:
        """Where Asterisk is that asks."""
        peer = self.writer.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    @classmethod
    async def read(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Self:
        """Take the header. Raises AgiClosed."""
        try:
            header = await reader.readuntil(END_OF_HEADER)
        except asyncio.IncompleteReadError as error:
            raise AgiClosed(f"the connection was closed after {len(error.partial)} bytes of a header") from None
        except asyncio.LimitOverrunError:
            raise AgiClosed(f"what comes is no header of AGI: it has no end within {HEADER_BYTES} bytes") from None
        except OSError as error:
            raise AgiClosed(f"the connection broke: {error}") from None
        fields = _fields(header.decode(errors="replace"))
        if not fields:
            raise AgiClosed("what comes is no header of AGI")
        return cls(fields, reader, writer)

    async def set(self, name: str, value: str) -> None:
        """Set a channel variable. Raises AgiClosed."""
        await self._command(f"SET VARIABLE {name}", f' "{_escaped(value)}"')

    async def get(self, name: str) -> str:
        """Read a channel variable or a function, such as CHANNEL(linkedid); empty if there is none.

        Raises AgiClosed.
        """
        return str((await self._command(f"GET VARIABLE {name}"))["result"][1])

    async def _command(self, command: str, value: str = "") -> Any:
        try:
            answer = await self.send_command(command + value)
        except (OSError, ValueError) as error:  # a line that is too long, or does not begin with a number
            raise AgiClosed(f"no answer of AGI's to {command}: {error}") from None
        if refusal := answer.get("error"):
            raise AgiClosed(f"Asterisk did not take {command}: {refusal} {answer['msg']}".rstrip())
        return answer

    async def _read_result(self) -> Any:
        """The answer to a command.

        That the channel has been hung up comes as a line between answers, and no command is refused for it: an h
        extension reads what is set.
        """
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\n"):
                raise AgiClosed("the connection was closed")
            text = line.decode(errors="replace").rstrip("\n")
            if text != HANGUP:
                return parse_agi_result(text)


def _fields(header: str) -> dict[str, str]:
    """By name; what a text has behind a line feed belongs to it still."""
    fields: dict[str, str] = {}
    last = ""
    for line in header.removesuffix("\n\n").split("\n"):
        if found := _FIELD.fullmatch(line):
            last = found[1]
            fields[last] = found[2]
        elif last:
            fields[last] += f"\n{line}"
    return fields


def _arguments(fields: Mapping[str, str]) -> list[str]:
    arguments: list[str] = []
    while (argument := fields.get(f"agi_arg_{len(arguments) + 1}")) is not None:
        arguments.append(argument)
    return arguments


def _escaped(value: str) -> str:
    """For between quotes, on one line."""
    line = "".join(character if character.isprintable() else " " for character in value)
    return line[:VALUE_LENGTH].replace("\\", "\\\\").replace('"', '\\"')
