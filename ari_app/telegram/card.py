"""The business card's messages in a person's chat: its button with signed data, what comes before it, its edits."""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from telethon.tl import functions, types

from ari_app.telegram.buttons import Button, ButtonBot, EditRefused, Keyboard, fields, is_signature, signature
from ari_app.telegram.session import Session

log = logging.getLogger(__name__)

PREFIX = "card"
EDIT_TRIES = 5


@dataclass(frozen=True)
class CardData:
    """What the button carries: the card, and that this program made it for this person."""

    card: str
    signature: str

    def pack(self) -> str:
        """As Telegram keeps it behind the button."""
        return ":".join((PREFIX, self.card, self.signature))

    @classmethod
    def unpack(cls, data: str) -> "CardData":
        """Raises ValueError where it is none."""
        return cls(*fields(data, PREFIX, 2))


class ForgedCard(ValueError):
    """The data was not made for this card and this person."""


@dataclass(frozen=True)
class CardSigner:
    """Signs the button of one card for one person (HMAC-SHA256), with a secret of the card's own (hex)."""

    card: str
    person_id: int
    secret: str

    def data(self) -> str:
        """The data for the button."""
        return CardData(self.card, self._signature()).pack()

    def check(self, data: CardData, person_id: int) -> None:
        """Raises ForgedCard unless the data is ours and this is the person."""
        if person_id != self.person_id:
            raise ForgedCard("it was made for another person")
        if not is_signature(data.signature, self._signature()):
            raise ForgedCard("its signature is wrong")

    def _signature(self) -> str:
        return signature(bytes.fromhex(self.secret), PREFIX, self.card, str(self.person_id))


def new_secret() -> str:
    """A secret for one card, in hex."""
    return secrets.token_hex(32)


def keyboard(signer: CardSigner, text: str) -> Keyboard:
    """The one button."""
    return ((Button(text, signer.data()),),)


@dataclass(frozen=True)
class Contact:
    """TL inputMediaContact: what the person can keep in their address book; ``vcard`` is the text of one (RFC 6350)."""

    phone: str
    first_name: str
    last_name: str = ""
    vcard: str = ""


@dataclass(frozen=True)
class Picture:
    """A JPEG or PNG file; ``name`` is what Telegram is told it is called."""

    name: str
    content: bytes = field(repr=False)


async def send_contact(session: Session, peer: types.TypeInputPeer, contact: Contact) -> None:
    """messages.sendMedia of a contact. Raises TelegramError."""
    media = types.InputMediaContact(contact.phone, contact.first_name, contact.last_name, contact.vcard)
    await _send_media(session, peer, media)


async def send_picture(session: Session, peer: types.TypeInputPeer, picture: Picture) -> None:
    """Upload a picture and send it as a photo. Raises TelegramError."""
    uploaded = await session.upload(picture.content, picture.name)
    await _send_media(session, peer, types.InputMediaUploadedPhoto(uploaded))


async def _send_media(session: Session, peer: types.TypeInputPeer, media: Any) -> None:
    await session.invoke(functions.messages.SendMediaRequest(peer, media, message="", silent=True))


class EditOutcome(Enum):
    """What has become of the last that was to be shown."""

    DONE = "done"
    GONE = "gone"
    """The message can't be edited any more: the person has deleted it."""
    NOT_NOW = "not now"
    """It might be another time."""


class Progress:
    """A message of the bot's that is edited to what is newest, as soon as Telegram lets it be edited."""

    def __init__(self, bot: ButtonBot, message_id: str) -> None:
        self._bot = bot
        self._message_id = message_id
        self._newest: tuple[str, Keyboard] = "", ()
        self._last = False
        self._changed = asyncio.Event()

    def show(self, text: str, buttons: Keyboard, *, last: bool = False) -> None:
        """Have the message say this; after the ``last``, `run` returns."""
        self._newest, self._last = (text, buttons), last
        self._changed.set()

    async def run(self) -> EditOutcome:
        """Edit the message until the last is shown, or can't be shown."""
        tries, gone = 0, False
        while tries < EDIT_TRIES:
            await self._changed.wait()
            self._changed.clear()
            if gone:
                if self._last:
                    return EditOutcome.GONE
                continue
            text, buttons = self._newest
            try:
                await self._bot.edit(self._message_id, text, buttons)
                tries = 0
            except EditRefused as refusal:
                log.info("a card was not edited: %s", refusal)
                if refusal.retry_s is None:
                    gone = True
                    if self._last:
                        return EditOutcome.GONE
                    continue
                tries += 1
                self._changed.set()
                await asyncio.sleep(refusal.retry_s)
                continue
            if self._last and not self._changed.is_set():
                return EditOutcome.DONE
        return EditOutcome.NOT_NOW
