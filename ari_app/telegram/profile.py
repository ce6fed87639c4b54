"""What an administrator sets for a line, and may change while it works."""

from dataclasses import dataclass
from enum import Enum

from ari_app.telegram.card_message import Contact
from ari_app.telegram.limits import LimitSettings
from ari_app.telegram.lists import Lists
from ari_app.telegram.texts import MessageTemplates


@dataclass(frozen=True)
class Callers:
    """Whose outgoing calls a line is for: phones by their caller id number; ``default``: those of nobody's line."""

    numbers: frozenset[str] = frozenset()
    default: bool = False


class CardReason(Enum):
    """Why a card is sent; the values are the line's switches, but for ASKED: a program of the PBX asks for it."""

    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    BUSY = "busy"
    CANCELLED = "cancelled"
    MISSED = "missed"
    ASKED = "asked"


@dataclass(frozen=True)
class Target:
    """Who in the PBX is rung first: an extension of the dialplan.

    Without a ``context`` it is a phone that a click to call names alone: an extension whose context the line's card
    knows, or an endpoint by its technology (PJSIP/101), which rings without the dialplan.
    """

    extension: str
    context: str = ""

    def __str__(self) -> str:
        return f"{self.extension}@{self.context}" if self.context else self.extension

    @classmethod
    def parse(cls, text: str) -> "Target | None":
        """From EXTEN@CONTEXT; None for an empty text."""
        extension, _, context = text.partition("@")
        return cls(extension, context) if text else None


@dataclass(frozen=True)
class CardRules:
    """A line's card: what it is sent for, how often to one person, and what there is to it besides its files.

    ``cancelled_after_s``: how long a call that our side gave up must have rung. Without a ``callback`` there is no
    button.
    """

    reasons: frozenset[CardReason] = frozenset()
    cancelled_after_s: float = 0.0
    every_s: float = 0.0
    callback: Target | None = None
    contact: Contact | None = None


@dataclass(frozen=True)
class Profile:
    """What an administrator may change of a line while it works.

    ``max_calls`` bounds the calls at a time, both ways together. ``bare_number_prefix`` makes phone numbers of dialled
    digits, see `Destination.parse`. ``account_code`` is that of its calls in Asterisk's CDR. ``found_s`` and
    ``not_found_s``: how long Telegram's answers to who somebody is stay good. ``card`` is its business card.
    """

    name: str
    context: str
    templates: MessageTemplates
    max_calls: int = 1
    lists: Lists = Lists()  # noqa: RUF009 - frozen
    callers: Callers = Callers()
    bare_number_prefix: str = ""
    account_code: str = ""
    found_s: float = 86400.0
    not_found_s: float = 3600.0
    limits: LimitSettings = LimitSettings()  # noqa: RUF009 - frozen
    card: CardRules = CardRules()
