"""Who is meant: a person by what they are known by, and whether something that is kept is about them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import phonenumbers

from ari_app.telegram.peers import Destination, Kind, MalformedDestination

ERASED = "[erased]"
"""Stands where somebody was named, in texts that stay without them."""


@dataclass(frozen=True)
class Known:
    """What one record tells of who somebody is; what it does not is None or empty. ``phone`` is E.164."""

    id: int | None = None
    phone: str = ""
    usernames: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class DataSubject:
    """A person: their Telegram id, unless it is not known, and what they were found to be called.

    Numbers and usernames are given to others in time. So what is kept with a Telegram id is theirs by that alone, and
    only what has none by the rest: a call to a number that found nobody, say. ``usernames`` are in small letters.
    """

    id: int | None = None
    phones: frozenset[str] = frozenset()
    usernames: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "DataSubject":
        """By `+` and digits, @name or a Telegram id, as they are dialled. Raises MalformedDestination."""
        destination = Destination.parse(text)
        match destination.kind:
            case Kind.ID:
                return cls(int(destination.value))
            case Kind.PHONE:
                return cls(phones=frozenset({destination.value}))
            case Kind.USERNAME:
                return cls(usernames=frozenset({destination.value.lower()}))

    @property
    def key(self) -> str:
        """What leads to them again: the Telegram id, or what stands for it."""
        if self.id is not None:
            return str(self.id)
        return min(self.phones, default="") or f"@{min(self.usernames, default='')}"

    def as_data(self) -> dict[str, Any]:
        """As JSON, to be sent to another machine."""
        texts = {"phones": self.phones, "usernames": self.usernames, "names": self.names}
        return {"id": self.id, **{name: sorted(its) for name, its in texts.items()}}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> "DataSubject":
        """Of `as_data`. Raises ValueError, KeyError, TypeError."""
        texts = (frozenset(map(str, data[name])) for name in ("phones", "usernames", "names"))
        return cls(None if data["id"] is None else int(data["id"]), *texts)

    def with_all(self, known: Iterable[Known]) -> "DataSubject":
        """The same person, by what these records tell of them as well."""
        known = list(known)
        return replace(
            self,
            phones=self.phones | {each.phone for each in known if each.phone},
            usernames=self.usernames | {name.lower() for each in known for name in each.usernames if name},
            names=self.names | {each.name for each in known if each.name},
        )

    def may_be(self, known: Known) -> bool:
        """Whether a record has something of theirs: the id, or a number or username that was theirs at some time."""
        return (
            (self.id is not None and known.id == self.id)
            or known.phone in self.phones
            or any(name.lower() in self.usernames for name in known.usernames)
        )

    def is_of(self, known: Known) -> bool:
        """Whether a record is about them."""
        return known.id == self.id if known.id is not None else self.may_be(known)

    def overlaps(self, other: "DataSubject") -> bool:
        """Whether they have the id, a number or a username in common."""
        same_id = self.id is not None and self.id == other.id
        return same_id or bool(self.phones & other.phones or self.usernames & other.usernames)

    def is_called(self, text: str) -> bool:
        """Whether what was dialled is them: +79990000002, @anna, tg#anna, a Telegram id."""
        bare = text.strip().lower().removeprefix("tg#")
        name = bare.removeprefix("@")
        return bare == str(self.id) or self.is_number(text) or (name != text.strip() and name in self.usernames)

    def is_number(self, text: str) -> bool:
        """Whether a number in the PBX is one of theirs, in any of the ways in which it is dialled."""
        return text.strip().removeprefix("+") in self._numbers

    def is_in_event(self, fields: Mapping[str, Any]) -> bool:
        """Whether an event is about them, by its fields as programs get them: webhooks' or AMI's names."""
        its = {name.replace("_", "").lower(): value for name, value in fields.items()}
        id = str(its.get("telegramid") or "")
        known = Known(
            int(id) if id.isdecimal() else None,
            str(its.get("phone") or ""),
            (str(its.get("username") or ""),),
        )
        called = known.id is None and self.is_called(str(its.get("destination") or ""))
        return self.is_of(known) or called or self.is_number(str(its.get("pbxparty") or ""))

    @cached_property
    def sought(self) -> frozenset[str]:
        """Texts of which each record that is about them has one, in small letters."""
        return self._numbers | self.usernames | ({str(self.id)} if self.id is not None else frozenset())

    def without(self, text: str, *, names: bool = False) -> str:
        """A text in which they are not named any more. ``names``: nor by their name, or a username without its @."""
        found = self._by_name.sub(ERASED, text) if names else text
        return self._by_number.sub(ERASED, found)

    def without_in(self, value: Any, *, names: bool = False) -> Any:
        """The same of all texts in what was JSON."""
        if isinstance(value, str):
            return self.without(value, names=names)
        if isinstance(value, list):
            return [self.without_in(each, names=names) for each in value]
        if isinstance(value, dict):
            return {name: self.without_in(each, names=names) for name, each in value.items()}
        return value

    @cached_property
    def _numbers(self) -> frozenset[str]:
        """Digits only: international, with 00 in front, and as they are dialled in their country."""
        found: set[str] = set()
        for phone in self.phones:
            digits = phone.removeprefix("+")
            found |= {digits, f"00{digits}"}
            try:
                number = phonenumbers.parse(phone)
            except phonenumbers.NumberParseException:
                continue
            national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
            found.add("".join(filter(str.isdigit, national)))
        return frozenset(found)

    @cached_property
    def _by_number(self) -> re.Pattern[str]:
        digits = sorted(self._numbers | ({str(self.id)} if self.id is not None else set()), key=len, reverse=True)
        parts = [rf"(?<!\d)\+?(?:{'|'.join(digits)})(?!\d)"] if digits else []
        parts += [rf"(?:@|tg#)(?:{'|'.join(map(re.escape, sorted(self.usernames)))})(?!\w)"] if self.usernames else []
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    @cached_property
    def _by_name(self) -> re.Pattern[str]:
        known = sorted(self.names | self.usernames, key=len, reverse=True)
        return re.compile(rf"(?<!\w)@?(?:{'|'.join(map(re.escape, known))})(?!\w)" if known else r"(?!)", re.IGNORECASE)


def dialled(text: str) -> Known:
    """Who was dialled, as far as that says."""
    try:
        who = DataSubject.parse(text)
    except MalformedDestination:
        return Known()
    return Known(who.id, min(who.phones, default=""), tuple(who.usernames))
