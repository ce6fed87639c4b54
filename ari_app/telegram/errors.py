"""What Telegram can refuse, as one small tree; every Telethon exception that leaves this room is one of these."""

import asyncio
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from telethon import errors

from ari_app.os_words import in_words
from ari_app.tasks import cancellations, was_cancelled


class TelegramError(Exception):
    """A request to Telegram that failed; the text names the request and Telegram's own word for it.

    ``word`` is that word, such as SESSION_REVOKED; empty where it was not Telegram that said so.
    """

    word = ""


class NotFound(TelegramError):
    """Nobody on Telegram has this number, username or id."""


class Restricted(TelegramError):
    """The person's privacy settings, or a block, forbid it."""


class Limited(TelegramError):
    """Telegram limits this account (FLOOD_WAIT_n, PEER_FLOOD).

    ``seconds``: how long Telegram asked to wait; None where it did not say.
    """

    def __init__(self, message: str, seconds: int | None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Unavailable(TelegramError):
    """The person's Telegram can't take this call (too old an app)."""


class IncompatibleVersions(Unavailable):
    """The media of the callee's app and ours have no version (library_versions) in common."""

    def __init__(self, theirs: str, ours: str) -> None:
        super().__init__(f"their app can't talk to Astergram: it speaks {theirs}, Astergram {ours}")
        self.theirs = theirs
        self.ours = ours


class Busy(TelegramError):
    """Telegram says that the person is in another call."""


class Frozen(Limited):
    """Telegram has frozen this account: it may only read (core.telegram.org/api/auth#frozen-accounts)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, None)


class SignedOut(TelegramError):
    """Telegram does not accept this session: the line has to be signed in (again)."""

    def __init__(self, message: str, word: str = "") -> None:
        super().__init__(message)
        self.word = word


class PasswordNeeded(SignedOut):
    """The account has a two-step password, which completes the sign-in (core.telegram.org/api/srp)."""


class KeyForgotten(SignedOut):
    """Telegram does not know the session's authorization key (-404); by Telethon's experience it may again, later."""


class NotReady(TelegramError):
    """The line is not connected or not signed in at the moment."""


class Unreachable(TelegramError):
    """No answer from Telegram in time."""


class Unreadable(TelegramError):
    """Telegram answered with something that Telethon does not know; the request may have been carried out."""


class ServerError(TelegramError):
    """Telegram itself has failed (500, -503): another try may succeed. The request may have been carried out."""


class CallDiscarded(TelegramError):
    """The call has ended already; who ended it, and why, comes with its phoneCallDiscarded."""


class CallTaken(TelegramError):
    """The call has been accepted already: by another device of this account, unless it was by us."""


class CallUnknown(TelegramError):
    """Telegram does not know the call, or not any more."""


PASSING = (ServerError, Unreachable)
"""What another try may get over."""


KINDS: dict[type[TelegramError], tuple[type[errors.RPCError], ...]] = {
    NotFound: (
        errors.InputUserDeactivatedError,
        errors.PhoneNotOccupiedError,
        errors.PhoneNumberInvalidError,
        errors.UsernameInvalidError,
        errors.UsernameNotOccupiedError,
        errors.UserIdInvalidError,
    ),
    Restricted: (errors.UserIsBlockedError, errors.UserPrivacyRestrictedError, errors.YouBlockedUserError),
    Unavailable: (errors.ParticipantVersionOutdatedError,),
    Busy: (errors.CallOccupyFailedError, errors.ParticipantCallFailedError),
    CallDiscarded: (errors.CallAlreadyDeclinedError,),
    CallTaken: (errors.CallAlreadyAcceptedError,),
    CallUnknown: (errors.CallPeerInvalidError,),
    ServerError: (errors.ServerError, errors.TimedOutError, errors.RpcCallFailError),  # the last: others are a 500, too
}
WORDS: dict[str, type[TelegramError]] = {"CALL_PROTOCOL_COMPAT_LAYER_INVALID": Unavailable}
"""Words for which Telethon has no class."""
SESSION_ENDED = (errors.AuthKeyDuplicatedError, errors.UnauthorizedError)
KEY_FORGOTTEN = "AUTH_KEY_NOT_FOUND"
"""Ours: -404 of the transport has no word (core.telegram.org/mtproto/mtproto-transports#transport-errors)."""
GARBLED = (EOFError, BufferError, struct.error, errors.SecurityError, errors.InvalidChecksumError)
"""An answer cut short, or one that proves false."""
FROZEN = "FROZEN_"  # how Telegram's words for what a frozen account may not do begin


def from_rpc(request: str, error: errors.RPCError) -> TelegramError:
    """The error of our tree for Telegram's answer to `request` (its TL name)."""
    mapped = _mapped(request, error)
    mapped.word = word_of(error)
    return mapped


def _mapped(request: str, error: errors.RPCError) -> TelegramError:
    if isinstance(error, errors.FloodError) and hasattr(error, "seconds"):
        return Limited(f"Telegram asks to wait {error.seconds} s before {request}", error.seconds)
    word = word_of(error)
    text = f"Telegram refused {request}: {word}"
    if isinstance(error, errors.SessionPasswordNeededError):
        return PasswordNeeded(text, word)
    if isinstance(error, SESSION_ENDED):
        return SignedOut(text, word)
    if word.startswith(FROZEN):
        return Frozen(text)
    if isinstance(error, errors.PeerFloodError):
        return Limited(text, None)
    for kind, refusals in KINDS.items():
        if isinstance(error, refusals):
            return kind(text)
    return WORDS.get(word, TelegramError)(text)


@contextmanager
def translated(request: str) -> Iterator[None]:
    """Run a request to Telegram (its TL name) so that only our own errors come out of it."""
    before = cancellations()
    try:
        yield
    except errors.RPCError as error:
        raise from_rpc(request, error) from error
    except errors.AuthKeyNotFound as error:
        text = f"at {request}, Telegram does not know this session's key any more"
        raise KeyForgotten(text, KEY_FORGOTTEN) from error
    except TimeoutError as error:
        raise Unreachable(f"Telegram did not answer {request} in time") from error
    except OSError as error:
        raise Unreachable(f"no connection to Telegram for {request}: {in_words(error)}") from error
    except asyncio.CancelledError as error:
        if was_cancelled(before):
            raise
        # Telethon cancels what waits for an answer when it gives a connection up.
        raise Unreachable(f"the connection to Telegram was closed before it answered {request}") from error
    except (errors.InvalidBufferError, asyncio.IncompleteReadError) as error:
        raise Unreachable(f"Telegram closed the connection before it answered {request}: {error}") from error
    except errors.TypeNotFoundError as error:  # its own text quotes what could not be read
        unknown = f"it has a type that Telethon does not know ({error.invalid_constructor_id:08x})"
        raise Unreadable(f"Telegram's answer to {request} can't be read: {unknown}") from None
    except GARBLED as error:
        raise Unreadable(f"Telegram's answer to {request} can't be read: {error}") from error


def word_of(error: errors.RPCError) -> str:
    """Telegram's own word; Telethon keeps it only in the table that it made the class from."""
    words = (word for word, kind in errors.rpcerrorlist.rpc_errors_dict.items() if type(error) is kind)
    return str(next(words, error.message))
