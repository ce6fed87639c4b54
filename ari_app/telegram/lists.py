"""Whom a line may call and be called by."""

from dataclasses import dataclass

from ari_app.telegram.errors import Restricted
from ari_app.telegram.peers import Destination, Kind, Person


class Denied(Restricted):
    """The line's own lists forbid it."""


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

    def denies(self, destination: Destination) -> str:
        """Why a destination is refused whoever it turns out to be, so that Telegram need not be asked; or empty."""
        return f"{destination} is in the line's deny list" if _folded(destination) in self.deny else ""

    def refuses(self, person: Person, dialled: Destination | None = None) -> str:
        """Why a person is refused, or empty; his phone may be hidden, but not to whom has ``dialled`` it."""
        names = {_folded(each) for each in _names(person, dialled)}
        if names & self.deny:
            return f"{person.number} is in the line's deny list"
        if names & self.allow:
            return ""
        if self.only_contacts:
            return "" if person.contact else f"{person.number} is no contact of the line's, which has only_contacts"
        return f"{person.number} is not in the line's allow list" if self.allow else ""


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
