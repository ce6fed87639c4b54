"""Copies of SQLite files that may be in use, and whether a file is whole."""

import sqlite3
from contextlib import closing
from pathlib import Path


class DatabaseDamaged(Exception):
    """A file can't be read or copied, or is not whole; the text says why."""


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be in use, as SQLite itself does (sqlite.org/backup.html). Raises DatabaseDamaged."""
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise DatabaseDamaged(str(error)) from error


def examine_database(file: Path) -> int:
    """Return which migration a database is at; raises DatabaseDamaged where it is not whole."""
    try:
        with closing(sqlite3.connect(file)) as db:
            (sound,) = db.execute("PRAGMA quick_check").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(f"its database can't be read: {error}") from error
    if sound != "ok":
        raise DatabaseDamaged(sound)
    return int(version)
