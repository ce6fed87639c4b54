"""The data behind a button: what it is about, and a signature for the one person whom it was made for.

Packed by hand: aiogram's CallbackData does not sign, and the person's id would take its part of Telegram's 64 bytes.
"""

import base64
import hmac
from dataclasses import dataclass

SIGNATURE_BYTES = 12  # 96 bits; the data of a button has 64 bytes at most (core.telegram.org/bots/api)


class ForgedButton(ValueError):
    """A button's data has another form, or was not made for what it names and for this person."""


@dataclass(frozen=True)
class ButtonData:
    """``PREFIX:SUBJECT[:DETAIL]:SIGNATURE``: a card, say, or a call and one of its keys."""

    prefix: str
    subject: str
    details: tuple[str, ...]
    signature: str

    def pack(self) -> str:
        """As Telegram keeps it behind the button."""
        return ":".join((self.prefix, self.subject, *self.details, self.signature))

    @classmethod
    def unpack(cls, data: str, prefix: str, details: int = 0) -> "ButtonData":
        """Raises ForgedButton where it has another form."""
        first, *rest = data.split(":")
        if first != prefix or len(rest) != details + 2:
            raise ForgedButton(f"the data is none of a button {prefix!r}")
        return cls(prefix, rest[0], tuple(rest[1:-1]), rest[-1])


@dataclass(frozen=True)
class ButtonSigner:
    """Signs the buttons about one subject for one person (HMAC-SHA256), with a secret of the subject's own."""

    prefix: str
    subject: str
    person_id: int
    secret: bytes

    def data(self, *details: str) -> str:
        """The data for a button."""
        return ButtonData(self.prefix, self.subject, details, self._signature(details)).pack()

    def check(self, data: ButtonData, person_id: int) -> None:
        """Raises ForgedButton unless the data is about this subject, ours, and pressed by this person."""
        if data.subject != self.subject or person_id != self.person_id:
            raise ForgedButton("it was made for something else, or for another person")
        # By the time that a comparison takes, nobody learns how much of a signature is right.
        if not hmac.compare_digest(data.signature.encode(), self._signature(data.details).encode()):
            raise ForgedButton("its signature is wrong")

    def _signature(self, details: tuple[str, ...]) -> str:
        parts = (self.prefix, self.subject, str(self.person_id), *details)
        digest = hmac.digest(self.secret, ":".join(parts).encode(), "sha256")[:SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).decode()


def beginning(prefix: str, subject: str) -> str:
    """How the data of every button about a subject begins."""
    return f"{prefix}:{subject}:"
