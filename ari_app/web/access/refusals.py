"""Why somebody is not let in, or may not do something; each has a sentence that says so."""

import math

from ari_app.i18n import Message, message
from ari_app.web.access.passwords import LONGEST, SHORTEST


class AccessRefused(Exception):
    """Somebody may not do something; the sentence says why."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class PasswordRefused(AccessRefused):
    """A new password is too short, or too long."""


class WrongPassword(AccessRefused):
    """It is not the password, or there is no such user."""


class LinkRefused(AccessRefused):
    """A link to set a password does not work (any more)."""

    def __init__(self) -> None:
        super().__init__(
            message(
                "This link does not work any more. Ask an administrator for a new one, or run `astergram web link` "
                "on the server."
            )
        )


class PasswordsOff(AccessRefused):
    """A user signs in by the OpenID Connect provider only."""

    def __init__(self) -> None:
        super().__init__(message("Passwords are off here: sign in by the provider."))


class TooManyTries(AccessRefused):
    """An address, or whoever signs in by a user's name, has to wait, for ``wait_s`` seconds."""

    def __init__(self, wait_s: float, sentence: Message | None = None) -> None:
        self.wait_s = math.ceil(wait_s)
        super().__init__(
            sentence
            or message("Too many wrong passwords from your address. Try again in {seconds} s.", seconds=self.wait_s)
        )


class UnknownUser(AccessRefused):
    """There is no such user."""


class UserRefused(AccessRefused):
    """A user can't be as is wanted; ``field`` is which part of it."""

    def __init__(self, sentence: Message, field: str = "name") -> None:
        self.field = field
        super().__init__(sentence)


class UserExists(UserRefused):
    """There is a user of this name."""


class LastAdministratorKept(AccessRefused):
    """Without this user nobody could change anything."""

    def __init__(self) -> None:
        super().__init__(message("This is the only administrator. Make another one first."))


def acceptable(password: str) -> str:
    """A password that may be set; raises PasswordRefused. Length is what counts, so there are no other rules."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordRefused(
            message("A password has {shortest} to {longest} characters.", shortest=SHORTEST, longest=LONGEST)
        )
    return password
