"""Why nothing, or not all, was done about a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ari_app.i18n import Message

if TYPE_CHECKING:
    from ari_app.people.people import Summary


class PersonRefused(Exception):
    """``sentence`` says why, and what to do."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class SeveralPeople(PersonRefused):
    """A number or username belonged to more than one."""


class InCall(PersonRefused):
    """A call with them goes on."""


class NotErased(PersonRefused):
    """Some of it could not be erased at the moment; ``erased``: what was, None for nothing."""

    def __init__(self, sentence: Message, erased: Summary | None = None) -> None:
        super().__init__(sentence)
        self.erased = erased


class PlaceUnavailable(PersonRefused):
    """A file that something is kept in can't be used."""
