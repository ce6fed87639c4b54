"""WebSocket messages (RFC 6455) without an event loop, once the connection is open."""

import asyncio
from collections.abc import Iterator

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from media.stream import StreamPort, connect

_MESSAGES = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)


class MessageStream:
    """The client's end, with Asterisk at the other. It has the port, and closes it."""

    def __init__(self, port: StreamPort, protocol: ClientProtocol) -> None:
        self._port = port
        self._protocol = protocol
        self._opcode = Opcode.BINARY
        self._parts = b""
        self.ended: str | None = None
        """How, as a sentence."""

    @classmethod
    async def open(cls, url: str, subprotocol: str) -> "MessageStream":
        """Connect, and shake hands. Raises ConnectionError if that fails, with the reason."""
        try:
            uri = parse_uri(url)
            port = await connect(uri.host, uri.port, uri.secure)
            try:
                one = cls(port, ClientProtocol(uri, subprotocols=[Subprotocol(subprotocol)]))
                await one._shake_hands()
            except BaseException:
                port.close()
                raise
        except (WebSocketException, OSError, ValueError) as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        return one

    async def _shake_hands(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._pass_on()
        while self._protocol.state is State.CONNECTING:
            await self._port.readable()
            for data, _ in self._port.received():
                self._take(data)
            if self._protocol.handshake_exc is not None:
                raise self._protocol.handshake_exc

    def fileno(self) -> int:
        """For the event loop, which may be the one to read."""
        return self._port.fileno()

    def received(self) -> Iterator[tuple[bytes | str, float]]:
        """The whole messages that have come since the last time, and when each did on time.monotonic()'s clock."""
        if self.ended is not None:
            return
        for data, at in self._port.received():
            self._take(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode in _MESSAGES:
                    if event.opcode is not Opcode.CONT:
                        self._opcode, self._parts = event.opcode, b""
                    self._parts += event.data
                    if event.fin:
                        text = self._opcode is Opcode.TEXT
                        yield (self._parts.decode(errors="replace") if text else self._parts), at
            if self._note_end(over=not data):
                return

    def _take(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._pass_on()

    def _note_end(self, over: bool) -> bool:
        close, wrong = self._protocol.close_rcvd, self._protocol.parser_exc
        if close is not None:
            self.ended = f"Asterisk closed the media WebSocket (code {close.code:d})"
        elif over and self._port.broken is not None:
            self.ended = f"Asterisk's media WebSocket broke: {self._port.broken}"
        elif over:
            self.ended = f"Asterisk closed the media WebSocket (code {CloseCode.ABNORMAL_CLOSURE:d})"
        elif wrong is not None:
            self.ended = f"Asterisk's media WebSocket broke: {wrong}"
        return self.ended is not None

    @property
    def free(self) -> bool:
        """Whether the next message can be sent now."""
        return self._port.flush() and self._protocol.state is State.OPEN

    def send(self, message: bytes) -> None:
        """Send it whole, if `free`."""
        self._protocol.send_binary(message)
        self._pass_on()

    def _pass_on(self) -> None:
        for data in self._protocol.data_to_send():
            # An answer to the ping of somebody who does not read is left out; an empty one is for half-closing.
            if data:
                self._port.send(data)

    async def close(self, timeout_s: float) -> None:
        """Say so to the other end, wait for its answer so long, and let the connection go."""
        try:
            if self.ended is None and self.free:
                self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
                self._pass_on()
                async with asyncio.timeout(timeout_s):
                    while self.ended is None:
                        await self._port.readable()
                        for _ in self.received():
                            pass
        except TimeoutError:
            pass  # whoever does not answer sees the connection end
        finally:
            self._port.close()
