"""A line's session file: how a new sign-in takes the old one's place, and how all of it is removed."""

import asyncio
import logging
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ari_app.logs import line_log
from ari_app.telegram.account import Account, session_lock
from ari_app.telegram.errors import SignedOut, TelegramError
from ari_app.telegram.session import connected
from ari_app.telegram.setup import log_out

log = logging.getLogger(__name__)


class NothingToAdopt(TelegramError):
    """No sign-in of this account has got as far as a session."""


def signin_session(account: Account) -> Path:
    """Where a sign-in of an account has its session."""
    return account.session.with_suffix(".signin.session")


def replaced_session(account: Account) -> Path:
    """Where the session is that a new one has taken the place of, until it is signed out."""
    return account.session.with_suffix(".replaced.session")


async def adopt(account: Account) -> None:
    """Put the session of a sign-in that is SIGNED_IN and left into the line's place, which must not run.

    There is the old session or the new one at any moment, whatever happens; afterwards the old one is to be `retire`d.
    Raises LineHeld, NothingToAdopt, OSError.
    """
    await asyncio.to_thread(_adopt, signin_session(account), account.session, replaced_session(account))


async def retire(account: Account, session: Path) -> None:
    """Sign a session of the account out, which the line does not use (any more), and delete its file.

    Telegram would go on listing it among the account's devices; where it can't be reached it does, and the log says so.
    """
    if not await asyncio.to_thread(session.exists):
        return
    try:
        async with connected(replace(account, session=session)) as connection:
            await log_out(connection)
    except SignedOut:
        pass  # as good
    except (TelegramError, OSError, sqlite3.Error, ValueError) as error:  # ValueError: it belongs to no application
        line_log(log, account.number).warning("an old session stays among the account's devices: %s", error)
    await asyncio.to_thread(remove_session, session)


def _adopt(new: Path, line: Path, replaced: Path) -> None:
    with session_lock(line), session_lock(new):
        if not new.exists() or not _has_key(new):
            raise NothingToAdopt(f"there is no session to adopt ({new.name}): sign in first")
        _take_over_entities(line, new)
        # SQLite would play the journal of a line that has crashed back into the new file: it must be gone before.
        if line.exists() and _has_key(line):
            remove_session(replaced)
            shutil.copy2(line, replaced)
        for leftover in (*_leftovers(new), *_leftovers(line)):
            leftover.unlink(missing_ok=True)
        new.chmod(0o600)
        new.replace(line)
        folder = os.open(line.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _take_over_entities(old: Path, new: Path) -> None:
    """Telethon's access hashes are the account's, not the session's: whom the line has met, it goes on knowing."""
    if not old.exists():
        return
    try:
        with closing(sqlite3.connect(new)) as db, db:
            db.execute("ATTACH ? AS old", [str(old)])
            db.execute("INSERT OR IGNORE INTO entities SELECT * FROM old.entities")
    except sqlite3.DatabaseError as error:
        log.warning("%s: whom it has met is forgotten, and has to be met again: %s", old.name, error)


def _has_key(session: Path) -> bool:
    """Whether a session file has an authorization key; reading it makes SQLite settle what a crash has left."""
    try:
        with closing(sqlite3.connect(session)) as db:
            row = db.execute("SELECT auth_key FROM sessions").fetchone()
    except sqlite3.DatabaseError:
        return False
    return bool(row and row[0])


def remove_session(session: Path) -> None:
    """Delete a session file and what SQLite left beside it."""
    for path in (session, *_leftovers(session)):
        path.unlink(missing_ok=True)


def _leftovers(session: Path) -> list[Path]:
    return [session.with_name(session.name + ending) for ending in ("-journal", "-wal", "-shm")]
