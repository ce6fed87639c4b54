"""The lines at work: the manager adds and removes them, calls look them up."""

from collections.abc import Iterator, Mapping

from ari_app.telegram.line import Line
from ari_app.telegram.peers import Person


class Lines(Mapping[str, Line]):
    """By their numbers, in the order in which they were added."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def __getitem__(self, number: str) -> Line:
        return self._lines[number]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: Line) -> None:
        """One more."""
        self._lines[line.number] = line

    def remove(self, number: str) -> None:
        """It is no line any more."""
        self._lines.pop(number, None)

    def include(self, person: Person) -> bool:
        """Whether somebody on Telegram is one of them."""
        return any(person.id == line.user_id or person.phone == line.number for line in self._lines.values())
