"""What the program tells an administrator, kept so that a page can say it in their language."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
