"""What is known about calls as types with fields: stored as data, and put into words where it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from ari_app.i18n import Message


@dataclass(frozen=True)
class Fact:
    """Something that is known about a call; its subclasses have the fields that it takes, and its words.

    Every field is a string, a number, None or another fact. ``template`` has the names of fields in braces.
    """

    template: ClassVar[Message]
    _types: ClassVar[dict[str, type["Fact"]]] = {}

    def __init_subclass__(cls) -> None:
        Fact._types[cls.__name__] = cls

    def __str__(self) -> str:
        return str(self.sentence)

    @property
    def sentence(self) -> Message:
        """In words, in whichever language it is read."""
        return Message(self._wording().text, self._values())

    def as_data(self) -> dict[str, Any]:
        """For JSON: its type by name, and its fields."""
        own = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {"type": type(self).__name__} | {
            name: value.as_data() if isinstance(value, Fact) else value for name, value in own
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Self:
        """What `as_data` made; raises ValueError for what is none of these facts, such as one of a later version."""
        kind = Fact._types.get(str(data.get("type")))
        if kind is None or not issubclass(kind, cls):
            raise ValueError(f"{data.get('type')!r} is no {cls.__name__} that this version of Astergram knows")
        own = {field.name for field in fields(kind)}
        values = {
            name: Fact.of_data(value) if isinstance(value, Mapping) else value
            for name, value in data.items()
            if name in own
        }
        try:
            return kind(**values)
        except TypeError as error:
            raise ValueError(f"{data['type']} lacks a field: {error}") from error

    def _wording(self) -> Message:
        """The template, for a fact that has several by what its fields are."""
        return self.template

    def _values(self) -> dict[str, object]:
        """What fills the template."""
        return {field.name: _worded(getattr(self, field.name)) for field in fields(self)}


def _worded(value: object) -> object:
    if isinstance(value, Fact):
        return value.sentence
    return f"{value:g}" if isinstance(value, float) else value
