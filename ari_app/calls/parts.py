"""What a live call is made of, as data: by this, whoever has none of its objects finds each part again."""

from dataclasses import dataclass
from typing import Literal

from ari_app.asterisk.legs import IncomingLeg, Leg, WayBack
from ari_app.asterisk.media_codecs import Transport
from ari_app.telegram.phone import PhoneCall
from media.process import MediaProcess


@dataclass(frozen=True)
class TelegramPart:
    """Telegram's call; ``date``: when it began, by Telegram's clock (a Unix time)."""

    call_id: int
    access_hash: int
    peer_id: int
    date: float

    @classmethod
    def of(cls, phone_call: PhoneCall) -> "TelegramPart":
        """By its object."""
        return cls(phone_call.id, phone_call.access_hash, phone_call.peer_id, phone_call.date)


@dataclass(frozen=True)
class OwedDiscard:
    """A call that we have ended, of which Telegram has not taken that yet; ``reason``: a `DiscardReason`'s name."""

    telegram: TelegramPart
    reason: str
    duration_s: int


@dataclass(frozen=True)
class LegPart:
    """The PBX's channel; ``machine``: of a cluster, whose Asterisk has it; the rest as its `Leg` has it."""

    kind: Literal["dialplan", "incoming"]
    channel_id: str
    linkedid: str = ""
    way_back: WayBack | None = None
    transferred_away: bool = False
    machine: str = ""

    @classmethod
    def of(cls, leg: Leg) -> "LegPart":
        """By its object."""
        if isinstance(leg, IncomingLeg):
            return cls("incoming", leg.id, leg.linkedid, leg.way_back, leg.transferred_away, leg.machine)
        return cls("dialplan", leg.id, leg.linkedid)


@dataclass(frozen=True)
class AudioPart:
    """The way to Asterisk: the external media channel, its transport and codecs, and the bridge."""

    channel_id: str
    bridge_id: str
    transport: Transport
    from_asterisk: str
    to_asterisk: str

    @property
    def ids(self) -> tuple[str, str]:
        """What it has in Asterisk."""
        return self.channel_id, self.bridge_id


@dataclass(frozen=True)
class ProcessPart:
    """The media process: ``started`` tells it from a later one with its pid, ``messages`` is the version it speaks."""

    pid: int
    started: int
    path: str
    messages: int

    @classmethod
    def of(cls, process: MediaProcess) -> "ProcessPart":
        """By its object."""
        return cls(process.pid, process.started, str(process.path), process.messages)


@dataclass(frozen=True)
class KeypadPart:
    """A keypad in the caller's chat: its secret (hexadecimal), the request that sent it, and its message.

    ``sent_id`` is the message as the line's account knows it, None while that is not known; ``message_id`` as the bot
    does, from the first press on.
    """

    secret: str
    random_id: int
    sent_at: float
    sent_id: int | None = None
    message_id: str = ""


@dataclass(frozen=True)
class CallParts:
    """All of them, as far as they are there; beside them, what comes before and after.

    ``asked_for``: whom Telegram was asked to call (a user's id), where it has not answered yet.
    ``card_asked``: what the dialplan said of a card after this call. ``card_id``: the card that it is a call back of.
    ``offer_event``: the EventID by which AMI is told that it begins. ``undiscarded``: what Telegram is to be told yet,
    also of earlier attempts.
    """

    telegram: TelegramPart | None = None
    asked_for: int | None = None
    leg: LegPart | None = None
    audio: AudioPart | None = None
    process: ProcessPart | None = None
    keypad: KeypadPart | None = None
    card_asked: bool | None = None
    card_id: str = ""
    offer_event: int | None = None
    undiscarded: tuple[OwedDiscard, ...] = ()

    @property
    def asterisk_ids(self) -> frozenset[str]:
        """The channels and the bridge in Asterisk."""
        leg = [self.leg.channel_id] if self.leg else []
        return frozenset([*leg, *(self.audio.ids if self.audio else ())])
