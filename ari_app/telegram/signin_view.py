"""What is shown of a sign-in: how far it is, how a code was sent, and what went wrong."""

from dataclasses import dataclass, field
from enum import Enum

from telethon.tl import types

from ari_app.i18n import Message, message
from ari_app.telegram.account import CONNECT_S

CODE_EXPIRED = "PHONE_CODE_EXPIRED"
"""The refusal after which only a new code helps: sending the old one again is refused with the same word."""
ANSWER_S = 15.0
IDLE_S = 600.0
QR_RENEWALS = 19  # a QR code is good for 30 s: ten minutes
ACCEPTED_S = 45.0
"""For what another device has accepted to lead to something: a token is good for 30 s, and then Telegram is asked."""
QR_LEAST_S = 5.0  # so that a wrong clock here does not make a request of every moment

WAYS: dict[type, str] = {
    types.auth.SentCodeTypeApp: "app",
    types.auth.SentCodeTypeSms: "sms",
    types.auth.SentCodeTypeSmsWord: "sms",
    types.auth.SentCodeTypeSmsPhrase: "sms",
    types.auth.SentCodeTypeFirebaseSms: "sms",
    types.auth.SentCodeTypeCall: "call",
    types.auth.SentCodeTypeFlashCall: "flash call",
    types.auth.SentCodeTypeMissedCall: "missed call",
    types.auth.SentCodeTypeEmailCode: "email",
    types.auth.SentCodeTypeFragmentSms: "fragment",
    types.auth.CodeTypeSms: "sms",
    types.auth.CodeTypeCall: "call",
    types.auth.CodeTypeFlashCall: "flash call",
    types.auth.CodeTypeMissedCall: "missed call",
    types.auth.CodeTypeFragmentSms: "fragment",
}
"""How a code is sent, by auth.SentCodeType and auth.CodeType."""


class SignInState(Enum):
    """How far a sign-in is."""

    IDLE = "idle"
    CODE_SENT = "code sent"
    QR_SHOWN = "qr shown"
    PASSWORD_NEEDED = "password needed"  # noqa: S105 - a state
    SIGNED_IN = "signed in"
    ENDED = "ended"


OVER = frozenset({SignInState.SIGNED_IN, SignInState.ENDED})
OPEN = frozenset(SignInState) - OVER


@dataclass(frozen=True)
class SignInTimers:
    """How long a sign-in waits, in seconds, and how often it renews a QR code that nobody has scanned."""

    connect_s: float = CONNECT_S
    answer_s: float = ANSWER_S
    idle_s: float = IDLE_S
    accepted_s: float = ACCEPTED_S
    qr_least_s: float = QR_LEAST_S
    qr_renewals: int = QR_RENEWALS


@dataclass(frozen=True)
class SignInView:
    """What a page shows of a sign-in; times are Unix times.

    ``sent_by`` and ``resend_by``: how the code was sent, and how `SignIn.resend` would send the next: one of `WAYS`'
    words, None where there is none. ``code_length`` is 0 where Telegram does not say. ``refusal`` is Telegram's own
    word for the ``error``, or ours.
    """

    state: SignInState
    since: float
    sent_by: str | None = None
    code_length: int = 0
    resend_by: str | None = None
    resend_in_s: int = 0
    qr_url: str | None = field(default=None, repr=False)
    qr_expires: float | None = None
    password_hint: str | None = field(default=None, repr=False)
    user_id: int | None = None
    error: Message | None = None
    refusal: str = ""

    @property
    def code_expired(self) -> bool:
        """Whether the code that was sent is worth nothing any more."""
        return self.refusal == CODE_EXPIRED


def broken_off(number: str) -> Message:
    """An unexpected error has ended a sign-in."""
    return message("An unexpected error has ended signing {number} in: begin again; see the log.", number=number)


def not_now(state: SignInState) -> Message:
    """Why something can't be done in a state."""
    if state is SignInState.ENDED:
        return message("This sign-in has ended: begin again.")
    if state is SignInState.SIGNED_IN:
        return message("The account is signed in already.")
    if state is SignInState.PASSWORD_NEEDED:
        return message("Telegram waits for the two-step password: enter it, or begin again.")
    return message("No code has been sent yet: ask for one, or show a QR code.")
