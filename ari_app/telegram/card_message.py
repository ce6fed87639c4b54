"""The business card's messages in a person's chat: its button, and what comes before it."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from telethon.tl import functions, types

from ari_app.telegram.buttons import Button, Keyboard
from ari_app.telegram.session import Session
from ari_app.telegram.signed_buttons import ButtonData, ButtonSigner

PREFIX = "card"


def new_secret() -> str:
    """A secret for one card, in hex."""
    return secrets.token_hex(32)


def signer(card_id: str, person_id: int, secret: str) -> ButtonSigner:
    """For the button of one card; ``secret`` in hex."""
    return ButtonSigner(PREFIX, card_id, person_id, bytes.fromhex(secret))


def keyboard(signed: ButtonSigner, text: str) -> Keyboard:
    """The one button."""
    return ((Button(text, signed.data()),),)


def pressed(data: str) -> ButtonData:
    """What was pressed; its subject is the card. Raises ForgedButton."""
    return ButtonData.unpack(data, PREFIX)


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
