"""panoramisk's protocol, guarded against what it would break at: any AMI user may send user events of any content."""

from __future__ import annotations

import codecs
import logging
from typing import Any

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

END_OF_LINE = "\r\n"
LONGEST = 1_000_000
"""Characters of one message, which Asterisk itself bounds far lower; what goes on for longer is no AMI."""

log = logging.getLogger(__name__)


class OrderedAction(Action):  # type: ignore[misc]
    """An action whose headers go out as they were given.

    panoramisk sorts them; and of a message whose last header is empty, it does not see that one.
    """

    def __str__(self) -> str:
        return "".join(f"{name}: {value}{END_OF_LINE}" for name, value in self.items()) + END_OF_LINE


class GuardedProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no type hints
    """What panoramisk itself would do, and this does not.

    - It decodes each piece that arrives by itself, and loses a character that two pieces share.
    - It takes any header ``Event`` for the kind of a message, in either case of its letters and in any place, and
      anything with the ActionID of a request for the answer to it: a user event may have all of that.
    - An error in a message, or in whoever is told of it, ends the connection.
    """

    def connection_made(self, transport: Any) -> None:
        """A new connection."""
        super().connection_made(transport)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def data_received(self, data: bytes) -> None:
        """Some of what Asterisk sends; it may end anywhere."""
        *blocks, self._rest = (self._rest + self._decode(data)).split(2 * END_OF_LINE)
        for block in blocks:
            try:
                self._take(block.strip())
            except Exception as error:  # noqa: BLE001 - said here; the next message is none the worse
                log.warning("AMI: skipped a message: %r", error)
        if len(self._rest) > LONGEST:
            log.warning("AMI: a message of more than %d characters: the connection is given up", LONGEST)
            self._rest = ""
            self.transport.abort()

    def _take(self, block: str) -> None:
        message = Message.from_line(block)
        if message is None:  # the greeting, for one
            return
        lines = block.split(END_OF_LINE)
        kind, _, name = next((line for line in lines if line.startswith(("Event: ", "Response: "))), "").partition(": ")
        if kind == "Event":  # Asterisk says so first; what comes later is the sender's
            message["Event"] = name
            if name in ("UserEvent", "Shutdown"):  # after Shutdown, Asterisk closes the connection itself
                self.factory.dispatch(message)
                return
        self.handle_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended; if before anybody had it, the first request finds that out."""
        if self.factory is not None:
            super().connection_lost(exc)

    def close(self) -> None:
        """Close the connection; nothing that was asked is asked again on another one."""
        self.responses.clear()
        super().close()
