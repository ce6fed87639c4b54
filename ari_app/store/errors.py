"""What keeps the database from being used, as sentences that say what to do."""

import sqlite3

from ari_app.i18n import Message, message


class StoreError(Exception):
    """The database can't be used; the text names the file and says what to do."""


class StoreUnavailable(StoreError):
    """The database can't be used at the moment; ``sentence`` says why. It is worth trying again."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
OF_THE_DISK = BUSY | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
"""Primary result codes (sqlite.org/rescode.html) that tell of the file, its disk or another program."""


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection has locked the database."""
    return _code(error) in BUSY


def unavailable(error: sqlite3.Error, path: object) -> StoreUnavailable | None:
    """What a page says of an error; None where not the database is to blame but what was asked of it."""
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            sentence = message("Another program has locked {path}: stop that program.", path=path)
        case sqlite3.SQLITE_FULL:
            sentence = message("No space left for {path}: free some on its disk.", path=path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            sentence = message(
                "{path} can't be written: file and folder must belong to the user that Astergram runs as.", path=path
            )
        case code if code in OF_THE_DISK:
            sentence = message("{path} can't be used: {error}. Check its disk.", path=path, error=str(error))
        case _:
            return None
    return StoreUnavailable(sentence)


def not_opened(error: sqlite3.Error, path: object) -> StoreError:
    """What a start says of an error."""
    refusal = unavailable(error, path)
    if refusal and _code(error) not in DAMAGED:
        return refusal
    return StoreError(
        f"{path} can't be used: {error}. If it is damaged, restore a backup; or move it away, and a new one is made"
    )


def too_slow(seconds: float, path: object) -> StoreUnavailable:
    """The database does not say anything."""
    return StoreUnavailable(
        message("{path} does not answer within {seconds} s: check its disk.", path=path, seconds=format(seconds, "g"))
    )


def _code(error: sqlite3.Error) -> int:
    """The primary code. An OperationalError without one was not raised by SQLite."""
    unknown = sqlite3.SQLITE_IOERR if isinstance(error, sqlite3.OperationalError) else sqlite3.SQLITE_ERROR
    return getattr(error, "sqlite_errorcode", unknown) & 0xFF
