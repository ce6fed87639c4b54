"""A copy of all that an installation keeps: the database and the lines' sessions, in one file.

It can be made while the program runs. It holds every secret of the installation; with a passphrase it is encrypted as
age does it (age-encryption.org/v1, scrypt), so that `age -d` opens it, too. A file is read and encrypted as a whole.
"""

import fcntl
import gzip
import io
import logging
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
EARLIER = "before-that"
"""Where what an earlier one has put aside waits to be removed."""
RESTORING = "restore-"
"""How the folders begin out of which a backup is put in place."""
LOCK = "lock"
"""In a folder of what is half done: held by whoever works there."""
ENCRYPTED = b"age-encryption.org/"
"""How a file of age's begins."""

TOO_SLOW = "Excessive work parameter"
"""pyrage says so where it expects more than 16 s, by a measurement of some milliseconds: a busy machine's is off."""
SLOW_TRIES, SLOW_S = 20, 0.5

log = logging.getLogger(__name__)


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
    with scratch_folder(here, "backup-") as folder:
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
        recover(here)
        if (here / DATABASE).exists() and not replace:
            raise BackupError(f"{here} holds an installation already: add --replace to put the backup in its place")
        with scratch_folder(here, RESTORING) as folder:
            sessions = unpack(file, folder, passphrase)
            exchange(folder, here)
    return sessions


@contextmanager
def scratch_folder(here: Path, prefix: str) -> Iterator[Path]:
    """A folder for what is half done, which has secrets in it; it goes, and so do those of processes that were killed.

    Raises OSError.
    """
    for left in here.glob(f"{prefix}*/{LOCK}"):
        with suppress(OSError), _locked(left):  # else somebody works there
            if not (left.parent / BEFORE).exists():  # else it has what was to be replaced
                shutil.rmtree(left.parent, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=here) as name:
        folder = Path(name)
        with _locked(folder / f"{LOCK}.new", os.O_CREAT):
            (folder / f"{LOCK}.new").rename(folder / LOCK)  # whoever finds it finds it locked
            yield folder


@contextmanager
def _locked(file: Path, how: int = 0) -> Iterator[None]:
    """Hold a file, unless another process does; the kernel lets go of it when ours ends, however. Raises OSError."""
    with os.fdopen(os.open(file, os.O_RDWR | os.O_NOFOLLOW | how, PRIVATE), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


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
    if there:
        # Not removed: it may be a file, or a link, and all this can still fail.
        earlier = [here / BEFORE] if os.path.lexists(here / BEFORE) else []
        moves += [*((each, new / EARLIER) for each in earlier), (before, here / BEFORE)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
        _give_to_owner(here)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def recover(here: Path) -> None:
    """Before anything is opened: whatever `exchange` was killed in, have the old installation whole, or the new one.

    It is the new one from when its database was put in place. Raises OSError.
    """
    for before in list(here.glob(f"{RESTORING}*/{BEFORE}")):
        new = before.parent
        if (new / DATABASE).exists():
            if not (here / DATABASE).exists():
                for each in sorted(before.iterdir(), reverse=True):  # the database last, as long as it is missing
                    each.rename(here / each.name)
            said = "is undone"
        else:
            if (new / SESSIONS).exists():
                (new / SESSIONS).rename(here / SESSIONS)
            _give_to_owner(here)
            said = "is finished now"
        if any(before.iterdir()):
            if os.path.lexists(here / BEFORE):
                (here / BEFORE).rename(new / EARLIER)
            before.rename(here / BEFORE)
            give_to_owner(here / BEFORE)
        else:
            before.rmdir()
        log.warning("a restore in %s was killed before its end: it %s", here, said)


def _give_to_owner(here: Path) -> None:
    made = [here / DATABASE, here / SESSIONS, *(here / SESSIONS).iterdir()]
    give_to_owner(*made, *([here / BEFORE] if (here / BEFORE).exists() else []))


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
    encrypted = file.read_bytes()
    for _ in range(SLOW_TRIES):
        try:
            return bytes(pyrage.passphrase.decrypt(encrypted, passphrase))
        except pyrage.DecryptError as error:
            if "Decryption failed" in str(error):
                raise PassphraseWrong(f"{file} was encrypted with another passphrase") from None
            if TOO_SLOW not in str(error):
                raise BackupError(f"{file} is damaged: {error}") from None
        time.sleep(SLOW_S)
    raise BackupError(f"{file} can't be decrypted, as this machine is too slow or too busy: try again, or use `age -d`")


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
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        first, _, _ = str(error).partition(":\n")  # below it, what each of tarfile's decompressors says
        raise BackupError(f"{file} is no backup of Astergram's, or damaged: {first}") from error
    return sessions
