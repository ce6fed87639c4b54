"""A copy of all that an installation keeps: the database and the lines' sessions, in one file.

It can be made while the program runs. It holds every secret of the installation.
"""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from ari_app.config import Settings
from ari_app.private_file import private_file
from ari_app.state_folder import PRIVATE, PRIVATE_FOLDER, give_to_owner, held
from ari_app.store.copies import DatabaseDamaged, copy_database, examine_database
from ari_app.store.migrations import MIGRATIONS

DATABASE = "astergram.db"
SESSIONS = "lines"
BEFORE = "before-restore"
"""Where a restore puts what it replaces, so that it can be undone by hand."""


class BackupError(Exception):
    """It could not be made, or is none; the text says why and what to do."""


def back_up(settings: Settings, file: Path) -> int:
    """Write the backup, mode 0600; returns how many sessions are in it. Raises BackupError, OSError."""
    if not settings.database.exists():
        raise BackupError(f"there is nothing to back up: {settings.database} does not exist")
    with tempfile.TemporaryDirectory(prefix="backup-", dir=settings.state_dir) as name:
        folder = Path(name)
        (folder / SESSIONS).mkdir()
        _copy(settings.database, folder / DATABASE)
        sessions = [
            each for each in sorted((settings.state_dir / SESSIONS).glob("*.session")) if ".signin" not in each.suffixes
        ]
        for session in sessions:
            _copy(session, folder / SESSIONS / session.name)
        with private_file(file) as target, tarfile.open(fileobj=target, mode="w:gz") as archive:
            archive.add(folder / DATABASE, DATABASE)
            for session in sessions:
                archive.add(folder / SESSIONS / session.name, f"{SESSIONS}/{session.name}")
    return len(sessions)


def restore(settings: Settings, file: Path, *, replace: bool = False) -> int:
    """Put a backup into the state directory, while no program runs on it; returns how many sessions it had.

    What is there is replaced only if asked to, and then put aside. Raises BackupError, StateHeld, OSError.
    """
    here = settings.state_dir
    with held(here, "restore"):
        if settings.database.exists() and not replace:
            raise BackupError(f"{here} holds an installation already: add --replace to put the backup in its place")
        with tempfile.TemporaryDirectory(prefix="restore-", dir=here) as name:
            folder = Path(name)
            sessions = _unpack(file, folder)
            _check(file, folder / DATABASE)
            _exchange(folder, here)
    return sessions


def _exchange(new: Path, here: Path) -> None:
    """Put what was unpacked into its place, and what was there aside; all of it, or nothing."""
    before = new / BEFORE
    before.mkdir(mode=PRIVATE_FOLDER)
    # With its journal, which SQLite would play into the restored database.
    there = [each for each in (here / DATABASE, *here.glob(f"{DATABASE}-*"), here / SESSIONS) if each.exists()]
    moves = [(each, before / each.name) for each in there]
    moves += [(new / name, here / name) for name in (DATABASE, SESSIONS)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
        give_to_owner(here / DATABASE, here / SESSIONS, *(here / SESSIONS).iterdir())
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise
    if there:
        shutil.rmtree(here / BEFORE, ignore_errors=True)
        before.rename(here / BEFORE)
        give_to_owner(here / BEFORE)


def _copy(source: Path, target: Path) -> None:
    try:
        copy_database(source, target)
    except DatabaseDamaged as error:
        raise BackupError(f"{source} can't be copied: {error}") from error
    target.chmod(PRIVATE)


def _unpack(file: Path, folder: Path) -> int:
    (folder / SESSIONS).mkdir(mode=PRIVATE_FOLDER)
    sessions = 0
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                is_session = name.parent == PurePosixPath(SESSIONS) and name.suffix == ".session"
                if not member.isreg() or not (is_session or name == PurePosixPath(DATABASE)):
                    raise BackupError(f"{file} is no backup of Astergram's: it holds {member.name!r}")
                sessions += is_session
                source = archive.extractfile(member)
                assert source is not None
                with source, os.fdopen(os.open(folder / name, os.O_CREAT | os.O_WRONLY, PRIVATE), "wb") as target:
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError) as error:
        first, _, _ = str(error).partition(":\n")  # below it, what each of tarfile's decompressors says
        raise BackupError(f"{file} is no backup of Astergram's, or damaged: {first}") from error
    return sessions


def _check(file: Path, database: Path) -> None:
    if not database.exists():
        raise BackupError(f"{file} is no backup of Astergram's: it holds no {DATABASE}")
    try:
        version = examine_database(database)
    except DatabaseDamaged as error:
        raise BackupError(f"{file} is damaged: {error}") from error
    if version > len(MIGRATIONS):
        raise BackupError(f"{file} was made by a newer Astergram: install that one, then restore")
