"""What the program tells an administrator, kept so that a page can say it in their language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """A sentence in English, with named places (`str.format`) and what fills them; ``str()`` gives it in English.

    A page translates ``text`` and fills it with ``values``. Values are never secret.
    """

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format_map(self.values)


def message(text: str, **values: object) -> Message:
    """A sentence; its text is found here, and by its name, when translations are collected."""
    return Message(text, values)


def as_data(told: object) -> Any:
    """A sentence for JSON, with those inside it, so that it can be told in another language later; see `from_data`."""
    sentence = told if isinstance(told, Message) else getattr(told, "sentence", None)
    if isinstance(sentence, Message):
        return {"text": sentence.text, "values": {name: as_data(each) for name, each in sentence.values.items()}}
    return told if isinstance(told, str | int | float | None) else str(told)


def from_data(data: Any) -> Any:
    """What `as_data` has made JSON of."""
    if not isinstance(data, Mapping):
        return data
    return Message(str(data["text"]), {name: from_data(each) for name, each in data["values"].items()})
