"""Whom a dialplan can call on Telegram, and who it is that calls."""

import json
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Protocol

import phonenumbers
from telethon import utils
from telethon.tl import functions, types

from ari_app.i18n import message
from ari_app.store.errors import StoreUnavailable
from ari_app.telegram.errors import NotFound
from ari_app.telegram.session import Session
from ari_app.wrong import Told

log = logging.getLogger(__name__)

Peer = types.TypeInputPeer
"""How Telegram wants somebody named in a request: by an id and this account's access hash."""

ID_DIGITS = len(str(2**63))  # int() refuses a text of more than 4300 digits
QUOTED = 64  # of what was dialled, in a sentence
KNOWN_MOST = 20_000  # answers in memory, some 10 MB a line
USERNAME_LENGTH = range(4, 33)  # core.telegram.org/method/account.checkUsername; 4 for bought names


class MalformedDestination(Told):
    """Nothing that could be called on Telegram; the sentence says what is wrong with it."""


class Kind(Enum):
    """What a destination names a person by."""

    PHONE = "phone"
    USERNAME = "username"
    ID = "id"


@dataclass(frozen=True)
class Destination:
    """One person to call: `+` and digits (E.164), `@name` or `tg#name`, a numeric Telegram id or `tg#` and the id."""

    kind: Kind
    value: str

    def __str__(self) -> str:
        return {Kind.PHONE: self.value, Kind.USERNAME: f"@{self.value}", Kind.ID: self.value}[self.kind]

    @classmethod
    def parse(cls, text: str, bare_number_prefix: str = "") -> "Destination":
        """Read a dialled destination; raises MalformedDestination.

        ``bare_number_prefix`` (`+`, `+7`) makes a phone number of digits that would otherwise be a Telegram id.
        """
        text = text.strip()
        if text.startswith("+"):
            return cls(Kind.PHONE, _phone(text))
        if _is_id(text.removeprefix("tg#")) and (text.startswith("tg#") or not bare_number_prefix):
            return cls(Kind.ID, str(int(text.removeprefix("tg#"))))
        for prefix in ("@", "tg#"):
            if text.startswith(prefix):
                return cls(Kind.USERNAME, _username(text, text.removeprefix(prefix)))
        if bare_number_prefix and text.isascii() and text.isdigit():
            return cls(Kind.PHONE, _phone(bare_number_prefix + text))
        raise MalformedDestination(
            message(
                "{given} is no destination: dial + and digits (+79990000001), @name, tg#name or a numeric Telegram id.",
                given=_quoted(text),
            )
        )


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= ID_DIGITS and 0 < int(text) < 2**63


def _quoted(text: str) -> str:
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}…")


def _phone(text: str) -> str:
    if not (text[1:].isascii() and text[1:].isdigit()):
        raise MalformedDestination(
            message("{given} is no phone number: after the + there may be only digits.", given=_quoted(text))
        )
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise MalformedDestination(
            message("{given} is no phone number: no country's numbers begin like this.", given=_quoted(text))
        ) from None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason not in (phonenumbers.ValidationResult.IS_POSSIBLE, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        word = phonenumbers.ValidationResult.to_string(reason)
        raise MalformedDestination(
            message("{given} is no phone number that can exist ({word}).", given=_quoted(text), word=word)
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _username(text: str, name: str) -> str:
    if not (name.isascii() and name.replace("_", "").isalnum() and name[0].isalpha() and len(name) in USERNAME_LENGTH):
        raise MalformedDestination(
            message(
                "{given} is no username: 4 to 32 latin letters, digits and underscores, the first one a letter.",
                given=_quoted(text),
            )
        )
    return name


@dataclass(frozen=True)
class Person:
    """Somebody on Telegram; what privacy or the account's knowledge hides is empty.

    ``username`` is the first that is active, ``usernames`` are all of them. ``contact``: whether this is one of the
    account's contacts.
    """

    id: int
    phone: str = ""
    username: str = ""
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    contact: bool = False
    usernames: tuple[str, ...] = ()

    @classmethod
    def of_json(cls, text: str) -> "Person":
        """What `as_json` has made, also a later version's. Raises ValueError, TypeError for anything else."""
        kept = json.loads(text)
        known = {each.name: kept[each.name] for each in fields(cls) if each.name in kept}
        return cls(**known | {"usernames": tuple(known.get("usernames", ()))})

    def as_json(self) -> str:
        """To be kept."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, user_id: int, user: types.User | None) -> "Person":
        """From TL user; None where Telegram did not send one."""
        if user is None:
            return cls(user_id)
        # Who has several, bought ones (core.telegram.org/api/fragment), has them here, and none in `username`.
        several = user.usernames or []
        active = [each.username for each in several if each.active]
        names = [user.username] if user.username else active
        return cls(
            id=user_id,
            phone=f"+{user.phone}" if user.phone else "",
            username=names[0] if names else "",
            usernames=tuple(dict.fromkeys([*names, *(each.username for each in several)])),
            first_name=user.first_name or "",
            last_name=user.last_name or "",
            language=user.lang_code or "",
            contact=bool(user.contact),
        )

    @property
    def name(self) -> str:
        """As a phone's display shows it."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or self.username or self.number

    @property
    def number(self) -> str:
        """The caller's number: the first that is known of phone, username, id."""
        return self.phone or self.username or str(self.id)

    @property
    def handle(self) -> str:
        """The same where people read it, in logs and call flows: a username has its @."""
        return self.phone or (f"@{self.username}" if self.username else str(self.id))

    def variables(self) -> dict[str, str]:
        """Channel variables: ours, and the predecessor's X-TG-* names. As in caller id, no character is a control."""
        variables = {
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
        return {name: _printable(value) for name, value in variables.items()}


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text).strip()


@dataclass(frozen=True)
class Callee:
    """A destination found on Telegram; ``cached``: some time ago."""

    person: Person
    peer: types.InputPeerUser
    cached: bool = False


class PeerStore(Protocol):
    """Where a line keeps what Telegram answered over a restart; times are Unix times."""

    async def all(self, now: float) -> dict[str, tuple[str, float]]:
        """The answers that are still good, and until when, by destination. Raises StoreUnavailable."""

    def save(self, destination: str, answer: str, now: float, until: float) -> None:
        """Keep an answer; never waits."""

    def delete(self, destination: str) -> None:
        """Forget it; never waits."""


@dataclass
class Directory:
    """Who a line's destinations are: asked of Telegram, which is sparing with answers, and kept for a set time.

    Numeric ids are not kept: Telethon's session knows them. No call waits for the memory, which is read by `load`.
    """

    memory: PeerStore
    found_s: float = 86400.0
    not_found_s: float = 3600.0
    clock: Callable[[], float] = time.time
    _answers: dict[str, tuple[str, float]] = field(default_factory=dict)

    async def load(self) -> None:
        """Take what is kept; where it can't be read, go on with what is known."""
        try:
            self._answers = await self.memory.all(self.clock())
        except StoreUnavailable as error:
            log.warning("whom Telegram has found earlier is not known, it is asked again: %s", error)

    async def find(
        self,
        session: Session,
        destination: Destination,
        *,
        fresh: bool = False,
        admit: Callable[[], None] = lambda: None,
    ) -> Callee:
        """Who it is; leaves no contact behind. ``fresh`` asks Telegram again, whatever is known.

        ``admit`` is called before Telegram is asked, and may raise. Raises NotFound where nobody is there (or hides),
        and the other errors of `errors.py`.
        """
        if destination.kind is Kind.ID:
            admit()
            return await _known(session, destination)
        name, now = str(destination), self.clock()
        if not fresh and (callee := _read(self._known(name, now), destination)):
            return callee
        admit()
        if fresh:
            self._answers.pop(name, None)
            self.memory.delete(name)
        try:
            callee = await _resolve(session, destination)
        except NotFound:
            self._keep(name, NOBODY, now, now + self.not_found_s)
            raise
        self._keep(name, _written(callee), now, now + self.found_s)
        return callee

    def forget(self, person_id: int | None, destinations: Collection[str]) -> None:
        """Know nothing more of somebody, or of who these (in small letters) are; what is kept is not touched."""
        for name, (answer, _) in list(self._answers.items()):
            if name.lower() in destinations or _is_of(answer, person_id):
                del self._answers[name]

    def _known(self, name: str, now: float) -> str | None:
        answer, until = self._answers.get(name, (None, 0.0))
        return answer if until > now else None

    def _keep(self, name: str, answer: str, now: float, until: float) -> None:
        self._answers.pop(name, None)
        self._answers[name] = answer, until
        while len(self._answers) > KNOWN_MOST:
            del self._answers[next(iter(self._answers))]  # the one that was asked the longest time ago
        self.memory.save(name, answer, now, until)


NOBODY = "null"


def _written(callee: Callee) -> str:
    return json.dumps({"access_hash": callee.peer.access_hash, "person": callee.person.as_json()})


def _read(answer: str | None, destination: Destination) -> Callee | None:
    """An answer kept earlier; raises NotFound where it was that nobody is there."""
    if answer == NOBODY:
        raise NotFound(f"{destination} was not on Telegram when it was last asked, a short time ago")
    if answer is None:
        return None
    try:
        kept = json.loads(answer)
        person = Person.of_json(kept["person"])
        return Callee(person, types.InputPeerUser(person.id, kept["access_hash"]), cached=True)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("what was kept of %s can't be read, Telegram is asked again: %s", destination, error)
        return None


def _is_of(answer: str, person_id: int | None) -> bool:
    person = found(answer)
    return person is not None and person.id == person_id


def found(answer: str) -> Person | None:
    """Who was found, by an answer that is kept; None for nobody, and for what can't be read."""
    try:
        return Person.of_json(json.loads(answer)["person"])
    except (KeyError, TypeError, ValueError):
        return None


async def _resolve(session: Session, destination: Destination) -> Callee:
    phone = destination.kind is Kind.PHONE
    request = functions.contacts.ResolvePhoneRequest if phone else functions.contacts.ResolveUsernameRequest
    found = await session.invoke(request(destination.value))
    for user in found.users:
        if isinstance(found.peer, types.PeerUser) and user.id == found.peer.user_id:
            return Callee(Person.of(user.id, user), utils.get_input_peer(user))
    raise NotFound(f"{destination} on Telegram is no person but a channel, a group or nobody")


async def bot_peer(session: Session, username: str) -> types.InputPeerUser:
    """A bot by its username. Raises NotFound, TelegramError."""
    peer = await session.named_peer(username)
    if not isinstance(peer, types.InputPeerUser):
        raise NotFound(f"@{username} is no bot")
    return peer


async def _known(session: Session, destination: Destination) -> Callee:
    """A numeric id can be called only if this line has met the person: Telegram wants an access hash."""
    peer = await session.user_peer(int(destination.value))
    for user in await session.invoke(
        functions.users.GetUsersRequest([types.InputUser(peer.user_id, peer.access_hash)])
    ):
        if isinstance(user, types.User):
            return Callee(Person.of(user.id, user), utils.get_input_peer(user))
    raise NotFound(f"Telegram id {destination} is no person")
