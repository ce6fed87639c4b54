"""The backups of an installation: made at set times or by hand, listed, removed, and put in place at the next start."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar

from ari_app.backups import worker
from ari_app.backups.archive import BackupError, PassphraseWrong, is_encrypted
from ari_app.backups.settings import BackupSettings
from ari_app.backups.staging import StagedBackup, staged, unstage
from ari_app.i18n import Message, message
from ari_app.lines.part_settings import PartSettings
from ari_app.lines.settings import LineError
from ari_app.os_words import in_words
from ari_app.private_file import PART
from ari_app.reports.audit import PROGRAM, Actor, AuditLog

FOLDER = "backups"
NAME = re.compile(r"astergram-(\d{8}T\d{6})Z\.tar\.gz(\.age)?")
STAMP = "%Y%m%dT%H%M%S"
RETRY_S = 3600.0
"""After one that has failed: a disk or a network's folder may be back by then."""
HOUR_S = 3600.0
FOLDER_S = 10.0
"""For looking into the folder: a network's file system may hang."""
MADE = "backup made"
"""As the audit log has it."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class UnknownBackup(LineError):
    """There is no such file."""


class BackupRefused(LineError):
    """It can't be done; the sentence says why."""


class PassphraseRefused(LineError):
    """It is encrypted with another passphrase."""


@dataclass(frozen=True)
class BackupFile:
    """One that there is; ``made_at`` is a Unix time, ``size`` bytes."""

    name: str
    made_at: float
    size: int
    encrypted: bool


class Backups:
    """``here`` is the state directory, ``folder`` where they are kept; ``clock`` gives Unix time."""

    def __init__(
        self,
        settings: PartSettings[BackupSettings],
        here: Path,
        folder: Path,
        audit: AuditLog,
        *,
        zone: Callable[[], tzinfo],
        clock: Callable[[], float] = time.time,
        on_change: Callable[[], None] = lambda: None,
        work: Callable[[dict[str, Any]], Any] = worker.run,
    ) -> None:
        self.part = settings
        self.folder = folder
        self.running = False
        self.failed_at: float | None = None
        """When the last one could not be made; None where it could, or none was tried since the start."""
        self.trouble: Message | None = None
        """Why the last one could not be made."""
        self._here = here
        self._audit = audit
        self._zone = zone
        self._clock = clock
        self._on_change = on_change
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "backups")
        self._changed = asyncio.Event()
        settings.on_change(self._look_again)

    async def files(self) -> list[BackupFile]:
        """Those that there are, the newest first."""
        try:
            return await self._in_folder(_files, self.folder)
        except OSError:  # making the next one tells what is wrong
            return []

    async def run(self) -> None:
        """Make them at the set times, until cancelled."""
        while True:
            self._changed.clear()
            wait_s = await self.due_in()
            if wait_s is not None and wait_s <= 0:
                with suppress(BackupRefused):  # it is said, and tried again
                    made = await self.make()
                    self._audit.record(PROGRAM, MADE, made.name)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    async def due_in(self) -> float | None:
        """Seconds until the next one; None where none is to be made."""
        its, now = self.part.settings, self._clock()
        if its.schedule == "off":
            return None
        if self.failed_at is not None:
            return self.failed_at + RETRY_S - now
        files = await self.files()
        last = min(files[0].made_at, now) if files else 0.0  # the clock may have been set back
        if its.schedule == "hours":
            return last + its.hours * HOUR_S - now
        return self._daily(last, its.at) - now

    def _daily(self, last: float, at: str) -> float:
        """The first time of day after the last one; today's, or an earlier day's that was missed, is due at once."""
        hour, minute = map(int, at.split(":"))
        day = datetime.fromtimestamp(last, UTC).astimezone(self._zone()) if last else None
        if day is None:
            return 0.0
        wanted = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if wanted.timestamp() <= last:
            wanted = (wanted.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=self._zone())
        return wanted.timestamp()

    async def make(self) -> BackupFile:
        """Make one now, and remove what is more than is kept. Raises BackupRefused."""
        async with self._one_at_a_time:
            self.running = True
            self._on_change()
            try:
                made = await self._make()
            except BackupError as error:
                self.failed_at = self._clock()
                self.trouble = message("The backup could not be made: {reason}.", reason=str(error))
                log.error("%s", self.trouble)  # noqa: TRY400 - a sentence
                raise BackupRefused(self.trouble) from None
            finally:
                self.running = False
                self._on_change()
            self.failed_at = self.trouble = None
            log.info("backup %s is made", made.name)
            self._changed.set()
            return made

    async def _make(self) -> BackupFile:
        its, now = self.part.settings, self._clock()
        passphrase = its.passphrase.get_secret_value() if its.passphrase else ""
        stamp = datetime.fromtimestamp(now, UTC).strftime(STAMP)
        name = f"astergram-{stamp}Z.tar.gz{'.age' if passphrase else ''}"
        work = {"do": worker.BACK_UP, "folder": str(self._here), "file": str(self.folder / name)}
        try:
            await self._in_folder(_remove_parts, self.folder, now - worker.WORK_S)
            await self._work(work | {"passphrase": passphrase})
            return await self._in_folder(_keep, self.folder, its.keep, name)
        except OSError as error:
            raise BackupError(in_words(error)) from None

    async def path(self, name: str) -> Path:
        """Of one that there is. Raises UnknownBackup."""
        if name not in {each.name for each in await self.files()}:
            raise UnknownBackup(message("There is no backup {name}.", name=name))
        return self.folder / name

    async def remove(self, name: str) -> None:
        """Remove one for good. Raises UnknownBackup, BackupRefused."""
        path = await self.path(name)
        try:
            await self._in_folder(path.unlink)
        except OSError as error:
            raise BackupRefused(message("{reason}", reason=in_words(error))) from None
        self._on_change()

    # Putting one back.

    @property
    def staged(self) -> StagedBackup | None:
        """What waits for the next start."""
        return staged(self._here)

    async def stage(self, name: str, passphrase: str = "", by: Actor = PROGRAM) -> StagedBackup:
        """Unpack and examine one for the next start; without a passphrase, the one that is set is tried.

        ``by``: who wants it, for the audit log that it brings. Raises UnknownBackup, PassphraseRefused, BackupRefused.
        """
        path, its = await self.path(name), self.part.settings.passphrase
        work = {"do": worker.STAGE, "folder": str(self._here), "file": str(path), "at": self._clock()}
        work["by"] = asdict(by)
        passphrase = passphrase or (its.get_secret_value() if its else "")
        try:
            async with self._one_at_a_time:
                await self._work(work | {"passphrase": passphrase})
        except PassphraseWrong:
            raise PassphraseRefused(message("{name} is encrypted with another passphrase.", name=name)) from None
        except BackupError as error:
            raise BackupRefused(message("It can't be restored: {reason}.", reason=str(error))) from None
        self._on_change()
        found = self.staged
        assert found is not None
        return found

    async def unstage(self) -> None:
        """Let the installation be as it is at the next start, too. Raises BackupRefused."""
        try:
            await asyncio.to_thread(unstage, self._here)
        except OSError as error:
            raise BackupRefused(message("{reason}", reason=in_words(error))) from None
        self._on_change()

    async def _in_folder(self, work: Callable[..., T], *args: Any) -> T:
        """In a thread of its own: where the folder hangs, it hangs, and not those that all else needs."""
        try:
            async with asyncio.timeout(FOLDER_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), str(self.folder)) from None

    async def _look_again(self) -> None:
        self.failed_at = None
        self._changed.set()


def _files(folder: Path) -> list[BackupFile]:
    found = []
    for path in folder.glob("astergram-*"):
        if match := NAME.fullmatch(path.name):
            with suppress(OSError, ValueError):  # gone meanwhile
                made_at = datetime.strptime(match[1], STAMP).replace(tzinfo=UTC).timestamp()
                found.append(BackupFile(path.name, made_at, path.stat().st_size, is_encrypted(path)))
    return sorted(found, key=lambda each: each.name, reverse=True)


def _remove_parts(folder: Path, before: float) -> None:
    """What processes that were killed have left; nobody works any more on what is older than that Unix time."""
    for path in folder.glob(f"astergram-*{PART}"):
        with suppress(FileNotFoundError):  # whoever worked on it has just come to the end
            if NAME.fullmatch(path.name.removesuffix(PART)) and path.stat().st_mtime < before:
                path.unlink()


def _keep(folder: Path, keep: int, name: str) -> BackupFile:
    """Remove what is more than is kept; the one that was just made, which stays whatever the clock says."""
    files = _files(folder)
    made = [each for each in files if each.name == name]
    if not made:
        raise BackupError(f"{folder / name} was made, and can't be found there: the folder has to be readable")
    for each in [each for each in files if each.name != name][keep - 1 :]:
        (folder / each.name).unlink(missing_ok=True)
    return made[0]
