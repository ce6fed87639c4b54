"""A backup that is unpacked and examined beside the running installation, and put in its place at the next start."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ari_app.backups.archive import DATABASE, BackupError, check, exchange, scratch_folder, unpack
from ari_app.state_folder import PRIVATE

STAGED = "restore-staged"
NOTE = "staged.json"
"""Written last: without it, what is there is not whole."""

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
    with scratch_folder(here, "restore-") as scratch:
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
    try:
        return StagedBackup(**json.loads((here / STAGED / NOTE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def unstage(here: Path) -> None:
    """Let it be. Raises OSError."""
    if (here / STAGED).exists():
        shutil.rmtree(here / STAGED)


def put_in_place(here: Path) -> StagedBackup | None:
    """At the start, before anything is opened: put what waits in place, and what was there aside.

    What can't be used is left aside, too, and the installation goes on as it was; the log says why.
    """
    found = staged(here)
    if found is None:
        return None
    folder = here / STAGED
    try:
        (folder / NOTE).unlink()  # it is tried once
        check(folder / DATABASE, Path(found.name))
        exchange(folder, here)
    except (BackupError, OSError) as error:
        log.error("the backup %s is not restored, all is as it was: %s", found.name, error)  # noqa: TRY400 - a sentence
        return None
    shutil.rmtree(folder, ignore_errors=True)
    log.warning("the backup %s is restored, with %d sessions", found.name, found.sessions)
    return found
