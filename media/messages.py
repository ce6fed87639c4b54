"""The messages between the controller and a media process: JSON lines over a Unix stream socket.

Every request has a number and gets exactly one reply with that number; events come unasked. Bytes travel as base64.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from media.types import Agreement, AriLogin, Codecs, DhConfig, MediaStats, RelayServer

VERSION = 1
"""Of these messages: a process that was begun with others can't be adopted. Raised with any change of a message."""
MAX_LINE = 1 << 20
"""Longest line in bytes; signalling data is a few kilobytes at most."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class _Request(_Message):
    number: int = 0


class Begin(_Request):
    """The process now belongs to this call, and goes on talking if the controller dies."""

    kind: Literal["begin"] = "begin"
    call_id: str
    orphan_grace_s: float
    ari: AriLogin | None = None


class InAsterisk(_Request):
    """What the call has in Asterisk now, and is hung up there if the call ends without a controller.

    ``channels`` in Stasis or on their way there, or the bridge, with whichever channels are in it then.
    """

    kind: Literal["in_asterisk"] = "in_asterisk"
    channels: tuple[str, ...] = ()
    bridge: str = ""


class MakeOffer(_Request):
    """Caller: start the key exchange; the reply is g_a_hash."""

    kind: Literal["offer"] = "offer"
    dh: DhConfig


class MakeAnswer(_Request):
    """Callee: start the key exchange; the reply is g_b."""

    kind: Literal["answer"] = "answer"
    dh: DhConfig
    g_a_hash: bytes


class Agree(_Request):
    """Finish the key exchange; the reply is an Agreement."""

    kind: Literal["agree"] = "agree"
    g_a_or_b: bytes
    key_fingerprint: int


class Connect(_Request):
    """Connect Telegram media."""

    kind: Literal["connect"] = "connect"
    servers: tuple[RelayServer, ...]
    library_versions: tuple[str, ...]
    p2p_allowed: bool
    custom_parameters: str | None


class Signal(_Request):
    """Signalling data from the other party."""

    kind: Literal["signal"] = "signal"
    data: bytes


class ListenRtp(_Request):
    """Bind a UDP port for RTP; the reply is its address."""

    kind: Literal["listen_rtp"] = "listen_rtp"
    bind_host: str


class AttachRtp(_Request):
    """Exchange RTP with this peer only."""

    kind: Literal["attach_rtp"] = "attach_rtp"
    host: str
    port: int
    codecs: Codecs


class AttachWebSocket(_Request):
    """Exchange audio with Asterisk's chan_websocket."""

    kind: Literal["attach_websocket"] = "attach_websocket"
    url: str
    codecs: Codecs


class AttachFiles(_Request):
    """Play one wav, over and over if ``loop``, and record another."""

    kind: Literal["attach_files"] = "attach_files"
    play: Path | None
    record: Path | None
    loop: bool = False


class Stats(_Request):
    """Ask for the call's MediaStats."""

    kind: Literal["stats"] = "stats"


class Stop(_Request):
    """End the call and the process; the reply comes before it ends."""

    kind: Literal["stop"] = "stop"


class Done(_Message):
    """A request was carried out."""

    kind: Literal["done"] = "done"
    number: int


class Data(_Message):
    """A reply of bytes."""

    kind: Literal["data"] = "data"
    number: int
    data: bytes


class Agreed(_Message):
    """The reply to Agree."""

    kind: Literal["agreed"] = "agreed"
    number: int
    agreement: Agreement


class Listening(_Message):
    """The reply to ListenRtp."""

    kind: Literal["listening"] = "listening"
    number: int
    host: str
    port: int


class MeasuredStats(_Message):
    """The reply to Stats."""

    kind: Literal["measured"] = "measured"
    number: int
    stats: MediaStats


class RequestFailed(_Message):
    """A request could not be carried out."""

    kind: Literal["refused"] = "refused"
    number: int
    reason: str


class SignalOut(_Message):
    """Signalling data for the other party."""

    kind: Literal["signal_out"] = "signal_out"
    data: bytes


class EngineConnected(_Message):
    """Telegram media is connected."""

    kind: Literal["connected"] = "connected"


class Lost(_Message):
    """The call's media is gone for good."""

    kind: Literal["lost"] = "lost"
    reason: str


Request = (
    Begin
    | InAsterisk
    | MakeOffer
    | MakeAnswer
    | Agree
    | Connect
    | Signal
    | ListenRtp
    | AttachRtp
    | AttachWebSocket
    | AttachFiles
    | Stats
    | Stop
)
Reply = Done | Data | Agreed | Listening | MeasuredStats | RequestFailed
Event = SignalOut | EngineConnected | Lost

_requests: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
_answers: TypeAdapter[Reply | Event] = TypeAdapter(Annotated[Reply | Event, Field(discriminator="kind")])


def to_line(message: _Message) -> bytes:
    """One message as one line."""
    return message.model_dump_json().encode() + b"\n"


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None at the end. Raises ValueError for a line that is none."""
    line = await reader.readline()
    return _requests.validate_json(line) if line else None


async def read_answer(reader: asyncio.StreamReader) -> Reply | Event | None:
    """The next reply or event, or None at the end. Raises ValueError for a line that is none."""
    line = await reader.readline()
    return _answers.validate_json(line) if line else None
