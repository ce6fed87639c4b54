"""Whom a dialplan can call on Telegram, and who it is that calls."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any

import phonenumbers
from telethon import TelegramClient, utils
from telethon.tl import functions, types

from ari_app.telegram.errors import NotFound, translated

RESOLVE_S = 10.0
USERNAME_LENGTH = range(4, 33)  # core.telegram.org/method/account.checkUsername; 4 for bought names


class MalformedDestination(ValueError):
    """Nothing that could be called on Telegram; the text says what is wrong with it."""


class Kind(Enum):
    """What a destination names a person by."""

    PHONE = "phone"
    USERNAME = "username"
    ID = "id"


@dataclass(frozen=True)
class Destination:
    """One person to call: `+` and digits (E.164), `@name` or `tg#name`, or a numeric Telegram id."""

    kind: Kind
    value: str

    def __str__(self) -> str:
        return {Kind.PHONE: self.value, Kind.USERNAME: f"@{self.value}", Kind.ID: self.value}[self.kind]

    @classmethod
    def parse(cls, text: str) -> "Destination":
        """Read a dialled destination; raises MalformedDestination."""
        text = text.strip()
        if text.startswith("+"):
            return cls(Kind.PHONE, _phone(text))
        for prefix in ("@", "tg#"):
            if text.startswith(prefix):
                return cls(Kind.USERNAME, _username(text, text.removeprefix(prefix)))
        if text.isascii() and text.isdigit() and 0 < int(text) < 2**63:
            return cls(Kind.ID, str(int(text)))
        raise MalformedDestination(
            f"{text!r} is no destination: dial + and digits (+79990000001), @name, tg#name or a numeric Telegram id"
        )


def _phone(text: str) -> str:
    if not (text[1:].isascii() and text[1:].isdigit()):
        raise MalformedDestination(f"{text!r} is no phone number: after the + there may be only digits")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise MalformedDestination(f"{text!r} is no phone number: {error}") from None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason not in (phonenumbers.ValidationResult.IS_POSSIBLE, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        word = phonenumbers.ValidationResult.to_string(reason)
        raise MalformedDestination(f"{text!r} is no phone number that can exist: {word}")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _username(text: str, name: str) -> str:
    if not (name.isascii() and name.replace("_", "").isalnum() and name[0].isalpha() and len(name) in USERNAME_LENGTH):
        raise MalformedDestination(
            f"{text!r} is no username: 4 to 32 latin letters, digits and underscores, the first one a letter"
        )
    return name


@dataclass(frozen=True)
class Person:
    """Somebody on Telegram; what his privacy or the account's knowledge hides is empty."""

    id: int
    phone: str = ""
    username: str = ""
    first_name: str = ""
    last_name: str = ""
    language: str = ""

    @classmethod
    def of(cls, user_id: int, user: types.User | None) -> "Person":
        """From TL user; None where Telegram did not send one."""
        if user is None:
            return cls(user_id)
        return cls(
            id=user_id,
            phone=f"+{user.phone}" if user.phone else "",
            username=user.username or "",
            first_name=user.first_name or "",
            last_name=user.last_name or "",
            language=user.lang_code or "",
        )

    @property
    def name(self) -> str:
        """As a phone's display shows it."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or self.username or self.number

    @property
    def number(self) -> str:
        """The caller's number: the first that is known of phone, username, id."""
        return self.phone or self.username or str(self.id)

    def variables(self) -> dict[str, str]:
        """Channel variables: ours, and the predecessor's X-TG-* names."""
        return {
            "TELEGRAM_ID": str(self.id),
            "TELEGRAM_PHONE": self.phone,
            "TELEGRAM_USERNAME": self.username,
            "TELEGRAM_FIRST_NAME": self.first_name,
            "TELEGRAM_LAST_NAME": self.last_name,
            "TELEGRAM_LANGUAGE": self.language,
            "X-TG-ID": str(self.id),
            "X-TG-Phone": self.phone,
            "X-TG-Username": self.username,
            "X-TG-FirstName": self.first_name,
            "X-TG-LastName": self.last_name,
        }


@dataclass(frozen=True)
class Callee:
    """A destination found on Telegram."""

    person: Person
    peer: types.InputPeerUser


async def find(client: TelegramClient, destination: Destination) -> Callee:
    """Ask Telegram who a destination is; leaves no contact behind.

    Raises NotFound where nobody is there (or hides), and the other errors of `errors.py`.
    """
    request: Any
    match destination.kind:
        case Kind.ID:
            return await _known(client, destination)
        case Kind.PHONE:
            request, name = functions.contacts.ResolvePhoneRequest(destination.value), "contacts.resolvePhone"
        case Kind.USERNAME:
            request, name = functions.contacts.ResolveUsernameRequest(destination.value), "contacts.resolveUsername"
    with translated(name):
        async with asyncio.timeout(RESOLVE_S):
            found = await client(request)
    for user in found.users:
        if isinstance(found.peer, types.PeerUser) and user.id == found.peer.user_id:
            return Callee(Person.of(user.id, user), utils.get_input_peer(user))
    raise NotFound(f"{destination} on Telegram is no person but a channel, a group or nobody")


async def _known(client: TelegramClient, destination: Destination) -> Callee:
    """A numeric id can be called only if this line has met the person: Telegram wants an access hash."""
    try:
        with translated("users.getUsers"):
            async with asyncio.timeout(RESOLVE_S):
                peer = await client.get_input_entity(types.PeerUser(int(destination.value)))
                user = await client.get_entity(peer)
    except ValueError:
        raise NotFound(f"this line does not know Telegram id {destination}: it has met nobody with that id") from None
    if not isinstance(user, types.User):
        raise NotFound(f"Telegram id {destination} is no person")
    return Callee(Person.of(user.id, user), utils.get_input_peer(user))
