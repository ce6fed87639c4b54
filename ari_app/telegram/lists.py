"""Whom a line may call and be called by."""

from dataclasses import dataclass
from enum import Enum

from ari_app.telegram.errors import Restricted
from ari_app.telegram.peers import Destination, Kind, Person


class Rule(Enum):
    """What of a line's lists refuses somebody."""

    DENY = "deny"
    ALLOW = "allow"
    ONLY_CONTACTS = "only_contacts"


@dataclass(frozen=True)
class ListRefusal:
    """Who is refused (as dialled, or the person's number), and by which rule."""

    person: str
    rule: Rule

    def __str__(self) -> str:
        return SENTENCES[self.rule].format(person=self.person)


SENTENCES = {
    Rule.DENY: "{person} is in the line's deny list",
    Rule.ALLOW: "{person} is not in the line's allow list",
    Rule.ONLY_CONTACTS: "{person} is no contact of the line's, which has only_contacts",
}


class Denied(Restricted):
    """The line's own lists forbid it."""

    def __init__(self, message: str, refusal: ListRefusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True)
class Lists:
    """A line's lists, for both directions alike: phones, usernames and Telegram ids.

    Who is in ``deny`` is refused. Who is in ``allow`` is not. Of the others, with ``only_contacts`` only the account's
    contacts are not refused; without it everybody, as long as ``allow`` is empty.
    """

    allow: frozenset[Destination] = frozenset()
    deny: frozenset[Destination] = frozenset()
    only_contacts: bool = False

    @classmethod
    def of(cls, allow: tuple[str, ...], deny: tuple[str, ...], only_contacts: bool) -> "Lists":
        """From the configuration's entries; raises MalformedDestination."""
        return cls(frozenset(map(entry, allow)), frozenset(map(entry, deny)), only_contacts)

    def denies(self, destination: Destination) -> ListRefusal | None:
        """Why a destination is refused whoever it turns out to be, so that Telegram need not be asked."""
        return ListRefusal(str(destination), Rule.DENY) if _folded(destination) in self.deny else None

    def refuses(self, person: Person, dialled: Destination | None = None) -> ListRefusal | None:
        """Why a person is refused; their phone may be hidden, but not from whoever has ``dialled`` it."""
        names = {_folded(each) for each in _names(person, dialled)}
        if names & self.deny:
            return ListRefusal(person.handle, Rule.DENY)
        if names & self.allow:
            return None
        if self.only_contacts:
            return None if person.contact else ListRefusal(person.handle, Rule.ONLY_CONTACTS)
        return ListRefusal(person.handle, Rule.ALLOW) if self.allow else None


def entry(text: str) -> Destination:
    """One entry of a list; raises MalformedDestination."""
    return _folded(Destination.parse(text))


def _names(person: Person, dialled: Destination | None) -> list[Destination]:
    names = [Destination(Kind.ID, str(person.id))]
    if person.phone:
        names.append(Destination(Kind.PHONE, person.phone))
    names += [Destination(Kind.USERNAME, each) for each in {person.username, *person.usernames} if each]
    return [*names, dialled] if dialled else names


def _folded(name: Destination) -> Destination:
    """Telegram's usernames are the same in upper and lower case."""
    return Destination(name.kind, name.value.lower())
