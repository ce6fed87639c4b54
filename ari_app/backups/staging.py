"""A backup that is unpacked and examined beside the running installation, and put in its place at the next start."""

import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ari_app.backups.archive import (
    DATABASE,
    RESTORING,
    BackupError,
    check,
    exchange,
    recover,
    scratch_folder,
    unpack,
)
from ari_app.state_folder import PRIVATE

STAGED = f"{RESTORING}staged"
NOTE = "staged.json"
"""Written last: without it, what is there is not whole."""
BEGUN = "begun.json"
"""The note, from when it is being put in place: that is tried once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StagedBackup:
    """The name of the file, how many sessions it has, when it was unpacked (a Unix time), and by whom.

    ``by``: an audit log's actor, by its fields; empty where nobody is known. The audit log itself is replaced.
    """

    name: str
    sessions: int
    at: float
    by: dict[str, str] = field(default_factory=dict)


def stage(here: Path, file: Path, passphrase: str, at: float, by: Mapping[str, str] | None = None) -> StagedBackup:
    """Unpack a backup for the next start, in place of one that waits already. Raises BackupError, OSError."""
    with scratch_folder(here, RESTORING) as scratch:
        folder = scratch / STAGED
        folder.mkdir()
        staged = StagedBackup(file.name, unpack(file, folder, passphrase), at, dict(by or {}))
        note = folder / NOTE
        note.touch(PRIVATE)
        note.write_text(json.dumps(asdict(staged)))
        unstage(here)
        folder.rename(here / STAGED)
    return staged


def staged(here: Path) -> StagedBackup | None:
    """What waits for the next start; None for nothing."""
    return _noted(here / STAGED / NOTE)


def unstage(here: Path) -> None:
    """Let it be. Raises OSError."""
    if (here / STAGED).exists():
        shutil.rmtree(here / STAGED)


def put_in_place(here: Path) -> StagedBackup | None:
    """At the start, before anything is opened: put what waits in place, and what was there aside.

    What can't be used is left aside, too, and the installation goes on as it was; the log says why. What a start that
    was killed had begun is finished or undone first. Raises OSError where it can't be: a new installation would be
    made beside it.
    """
    recover(here)
    folder, waits = here / STAGED, staged(here)
    found = waits or _noted(folder / BEGUN)
    if found is None:
        if not (folder / DATABASE).exists():  # it was put in place, and not all that was left of it removed
            shutil.rmtree(folder, ignore_errors=True)
        return None
    try:
        _put(folder, here, waits)
    except (BackupError, OSError) as error:
        recover(here)
        with suppress(OSError):
            (folder / BEGUN).unlink(missing_ok=True)
        log.error("the backup %s is not restored, all is as it was: %s", found.name, error)  # noqa: TRY400 - a sentence
        return None
    shutil.rmtree(folder, ignore_errors=True)
    log.warning("the backup %s is restored, with %d sessions", found.name, found.sessions)
    return found


def _put(folder: Path, here: Path, waits: StagedBackup | None) -> None:
    if waits:
        (folder / NOTE).rename(folder / BEGUN)
        check(folder / DATABASE, Path(waits.name))
        exchange(folder, here)
    elif (folder / DATABASE).exists():
        raise BackupError("the start that was to do it was killed: have it restored again")


def _noted(note: Path) -> StagedBackup | None:
    try:
        return StagedBackup(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None
