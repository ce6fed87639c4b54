"""A copy of all that an installation keeps: the database and the lines' sessions, in one file.

It can be made while the program runs. It holds every secret of the installation; with a passphrase it is encrypted as
age does it (age-encryption.org/v1, scrypt), so that `age -d` opens it, too. A file is read and encrypted as a whole.
"""

import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO

import pyrage

from ari_app.private_file import private_file
from ari_app.state_folder import PRIVATE, PRIVATE_FOLDER, give_to_owner, held
from ari_app.store.copies import DatabaseDamaged, copy_database, examine_database
from ari_app.store.migrations import MIGRATIONS

DATABASE = "astergram.db"
SESSIONS = "lines"
BEFORE = "before-restore"
"""Where a restore puts what it replaces, so that it can be undone by hand."""
ENCRYPTED = b"age-encryption.org/"
"""How a file of age's begins."""


class BackupError(Exception):
    """It could not be made, or is none; the text says why and what to do."""


class PassphraseWrong(BackupError):
    """It is encrypted, and not with this passphrase, or with none."""


def back_up(here: Path, file: Path, passphrase: str = "") -> int:
    """Write the backup of a state directory, mode 0600; returns how many sessions are in it.

    Raises BackupError, OSError.
    """
    if not (here / DATABASE).exists():
        raise BackupError(f"there is nothing to back up: {here / DATABASE} does not exist")
    with tempfile.TemporaryDirectory(prefix="backup-", dir=here) as name:
        folder = Path(name)
        (folder / SESSIONS).mkdir()
        _copy(here / DATABASE, folder / DATABASE)
        sessions = [each for each in sorted((here / SESSIONS).glob("*.session")) if ".signin" not in each.suffixes]
        for session in sessions:
            _copy(session, folder / SESSIONS / session.name)
        with private_file(file) as target:
            if passphrase:
                packed = io.BytesIO()
                _pack(folder, packed)
                target.write(pyrage.passphrase.encrypt(packed.getvalue(), passphrase))
            else:
                _pack(folder, target)
    return len(sessions)


def is_encrypted(file: Path) -> bool:
    """Whether a passphrase is needed. Raises OSError."""
    with file.open("rb") as source:
        return source.read(len(ENCRYPTED)) == ENCRYPTED


def restore(here: Path, file: Path, passphrase: str = "", *, replace: bool = False) -> int:
    """Put a backup into a state directory, while no program runs on it; returns how many sessions it had.

    What is there is replaced only if asked to, and then put aside. Raises BackupError, StateHeld, OSError.
    """
    with held(here, "restore"):
        if (here / DATABASE).exists() and not replace:
            raise BackupError(f"{here} holds an installation already: add --replace to put the backup in its place")
        with tempfile.TemporaryDirectory(prefix="restore-", dir=here) as name:
            folder = Path(name)
            sessions = unpack(file, folder, passphrase)
            exchange(folder, here)
    return sessions


def unpack(file: Path, folder: Path, passphrase: str = "") -> int:
    """Unpack a backup, and examine what was in it; returns how many sessions. Raises BackupError, OSError."""
    source: IO[bytes] = io.BytesIO(_decrypted(file, passphrase)) if is_encrypted(file) else file.open("rb")
    with source:
        sessions = _unpack(source, file, folder)
    check(folder / DATABASE, file)
    return sessions


def check(database: Path, file: Path) -> None:
    """Raise BackupError where a database that came out of a backup can't be used by this program."""
    if not database.exists():
        raise BackupError(f"{file} is no backup of Astergram's: it holds no {DATABASE}")
    try:
        version = examine_database(database)
    except DatabaseDamaged as error:
        raise BackupError(f"{file} is damaged: {error}") from error
    if version > len(MIGRATIONS):
        raise BackupError(f"{file} was made by a newer Astergram: install that one, then restore")


def exchange(new: Path, here: Path) -> None:
    """Put what was unpacked into its place, and what was there aside; all of it, or nothing. Raises OSError."""
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


def _pack(folder: Path, target: IO[bytes]) -> None:
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        archive.add(folder / DATABASE, DATABASE)
        for session in sorted((folder / SESSIONS).iterdir()):
            archive.add(session, f"{SESSIONS}/{session.name}")


def _copy(source: Path, target: Path) -> None:
    try:
        copy_database(source, target)
    except DatabaseDamaged as error:
        raise BackupError(f"{source} can't be copied: {error}") from error
    target.chmod(PRIVATE)


def _decrypted(file: Path, passphrase: str) -> bytes:
    if not passphrase:
        raise PassphraseWrong(f"{file} is encrypted: its passphrase is needed")
    try:
        return bytes(pyrage.passphrase.decrypt(file.read_bytes(), passphrase))
    except pyrage.DecryptError as error:
        if "Decryption failed" in str(error):
            raise PassphraseWrong(f"{file} was encrypted with another passphrase") from None
        raise BackupError(f"{file} is damaged: {error}") from None


def _unpack(source: IO[bytes], file: Path, folder: Path) -> int:
    (folder / SESSIONS).mkdir(mode=PRIVATE_FOLDER)
    sessions = 0
    try:
        with tarfile.open(fileobj=source) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                is_session = name.parent == PurePosixPath(SESSIONS) and name.suffix == ".session"
                if not member.isreg() or not (is_session or name == PurePosixPath(DATABASE)):
                    raise BackupError(f"{file} is no backup of Astergram's: it holds {member.name!r}")
                sessions += is_session
                packed = archive.extractfile(member)
                assert packed is not None
                with packed, os.fdopen(os.open(folder / name, os.O_CREAT | os.O_WRONLY, PRIVATE), "wb") as target:
                    shutil.copyfileobj(packed, target)
    except (tarfile.TarError, EOFError) as error:
        first, _, _ = str(error).partition(":\n")  # below it, what each of tarfile's decompressors says
        raise BackupError(f"{file} is no backup of Astergram's, or damaged: {first}") from error
    return sessions
