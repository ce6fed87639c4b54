"""Backups that the program makes by itself: when, how many stay, encrypted, and put in place at the next start."""

import asyncio
import errno
import functools
import itertools
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyrage
import pytest

from ari_app.backups import archive, backups, worker
from ari_app.backups.archive import (
    BEFORE,
    DATABASE,
    BackupError,
    PassphraseWrong,
    back_up,
    is_encrypted,
    restore,
    scratch_folder,
)
from ari_app.backups.backups import RETRY_S, BackupRefused, Backups, PassphraseRefused, UnknownBackup
from ari_app.backups.settings import BackupSettings
from ari_app.backups.staging import STAGED, put_in_place, stage, staged, unstage
from ari_app.lines.part_settings import PartSettings
from ari_app.lines.settings import SettingRefused
from ari_app.reports.audit import AuditLog
from ari_app.store.audit import AuditQuery
from ari_app.store.store import Store, open_store

PASSPHRASE = "correct horse battery"
MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=MOSCOW).timestamp()
DAY_S = 86400.0
PATIENCE_S = 20.0


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Path]:
    """A state directory with a database and a session."""
    folder = tmp_path / "state"
    async with open_store(folder / DATABASE):
        pass
    (folder / "lines").mkdir()
    shutil.copy(folder / DATABASE, folder / "lines/79990000001.session")
    yield folder


def left_in(here: Path) -> list[str]:
    """What is half done."""
    return [each.name for each in here.iterdir() if each.name.startswith("backup-")]


class Its:
    """Backups with a clock and a worker of a test's own; ``broken``: it fails so; ``made``: gets each file."""

    def __init__(self, here: Path, store: Store) -> None:
        self.now = NOW
        self.here = here
        self.broken = ""
        self.made: Callable[[Path], None] = lambda file: None
        self.changed = asyncio.Event()
        self.audit = AuditLog(store)
        part = PartSettings(store, "backups", BackupSettings())
        self.backups = Backups(
            part,
            here,
            here / "backups",
            self.audit,
            zone=lambda: MOSCOW,
            clock=lambda: self.now,
            on_change=self.changed.set,
            work=self._work,
        )

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that has to become true."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    async def _work(self, work: Any) -> dict[str, Any]:
        if self.broken:
            raise BackupError(self.broken)
        folder, file, passphrase = Path(work["folder"]), Path(work["file"]), work["passphrase"]
        file.parent.mkdir(exist_ok=True)
        if work["do"] == worker.BACK_UP:
            sessions = back_up(folder, file, passphrase)
            self.made(file)
            return {"sessions": sessions}
        return {"sessions": stage(folder, file, passphrase, work["at"]).sessions}


@pytest.fixture
async def its(here: Path) -> AsyncIterator[Its]:
    async with open_store(here / DATABASE) as store:
        yield Its(here, store)


def test_an_encrypted_one_there_and_back(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz.age"
    assert back_up(here, file, PASSPHRASE) == 1
    assert is_encrypted(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"SQLite" not in file.read_bytes()
    for wrong in ("", "another passphrase"):
        with pytest.raises(PassphraseWrong):
            restore(tmp_path / "new", file, wrong)
    assert restore(tmp_path / "new", file, PASSPHRASE) == 1
    assert (tmp_path / "new/lines/79990000001.session").exists()


def test_an_administrator_opens_it_without_us(here: Path, tmp_path: Path) -> None:
    """By age's own format: any program of age's does it."""
    back_up(here, tmp_path / "b.age", PASSPHRASE)
    plain = tmp_path / "b.tar.gz"
    plain.write_bytes(pyrage.passphrase.decrypt((tmp_path / "b.age").read_bytes(), PASSPHRASE))
    with tarfile.open(plain) as packed:
        assert packed.getnames() == [DATABASE, "lines/79990000001.session"]


def test_one_that_is_damaged_restores_nothing(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.age"
    back_up(here, file, PASSPHRASE)
    whole = file.read_bytes()
    for damaged in (whole[:-100], whole[:200] + b"x" + whole[201:], whole[:30]):
        file.write_bytes(damaged)
        with pytest.raises(BackupError):
            restore(tmp_path / "new", file, PASSPHRASE)
        assert not (tmp_path / "new" / DATABASE).exists()


def test_a_machine_that_is_busy_is_measured_again(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long decrypting takes is guessed by a short measurement, and refused where that is too long."""
    file, decrypt, busy = tmp_path / "b.age", pyrage.passphrase.decrypt, [3]
    back_up(here, file, PASSPHRASE)

    def decrypted(encrypted: bytes, passphrase: str) -> bytes:
        busy[0] -= 1
        if busy[0] >= 0:
            raise pyrage.DecryptError("Excessive work parameter for passphrase.\nDecryption would take around 32 s.")
        return bytes(decrypt(encrypted, passphrase))

    monkeypatch.setattr(pyrage.passphrase, "decrypt", decrypted)
    monkeypatch.setattr(archive, "SLOW_S", 0.0)
    assert restore(tmp_path / "new", file, PASSPHRASE) == 1
    busy[0] = 1000
    with pytest.raises(BackupError, match="too slow or too busy"):
        restore(tmp_path / "other", file, PASSPHRASE)


async def test_the_worker_is_a_process_of_its_own(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "backups/b.tar.gz.age"
    work = {"folder": str(here), "file": str(file), "passphrase": PASSPHRASE}
    assert await worker.run(work | {"do": worker.BACK_UP}) == {"sessions": 1}
    assert await worker.run(work | {"do": worker.STAGE, "at": NOW}) == {"sessions": 1}
    with pytest.raises(PassphraseWrong):
        await worker.run(work | {"do": worker.STAGE, "at": NOW, "passphrase": "another one"})
    with pytest.raises(BackupError, match="File exists"):
        await worker.run(work | {"do": worker.BACK_UP, "file": str(here / DATABASE / "b")})
    with pytest.raises(BackupError, match="it was not done"):
        await worker.run(work | {"do": worker.BACK_UP}, within_s=0.001)
    assert left_in(here) == []


async def test_a_staged_one_is_put_in_place_at_the_next_start(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    back_up(here, file)
    (here / "lines/79990000009.session").write_bytes(b"of a later line")
    assert put_in_place(here) is None
    stage(here, file, "", NOW)
    waits = staged(here)
    assert waits is not None
    assert (waits.name, waits.sessions) == ("b.tar.gz", 1)
    assert (here / "lines/79990000009.session").exists(), "nothing has changed yet"
    assert put_in_place(here) == waits
    assert not (here / "lines/79990000009.session").exists()
    assert (here / BEFORE / "lines/79990000009.session").exists()
    assert put_in_place(here) is None
    assert not (here / STAGED).exists()


async def test_what_can_not_be_put_in_place_leaves_all_as_it_was(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    back_up(here, file)
    stage(here, file, "", NOW)
    (here / STAGED / DATABASE).write_bytes(b"no database")
    before = (here / DATABASE).read_bytes()
    assert put_in_place(here) is None
    assert (here / DATABASE).read_bytes() == before
    assert put_in_place(here) is None, "it is tried once"
    stage(here, file, "", NOW)
    unstage(here)
    assert (staged(here), put_in_place(here)) == (None, None)


class Killed(BaseException):
    """Nothing more is done by a process after it."""


def was_killed(step: int, work: Callable[[], object]) -> bool:
    """Whether it changes folders so often that it is killed before the `step`-th change."""
    steps = itertools.count(1)

    def change(really: Callable[..., None], *args: Any, **how: Any) -> None:
        if next(steps) >= step:
            raise Killed
        really(*args, **how)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "mkdir", "unlink", "rmdir"):
            patch.setattr(os, name, functools.partial(change, getattr(os, name)))
        try:
            work()
        except Killed:
            return True
    return False


def an_installation(folder: Path, name: str) -> Path:
    """Whose database and session are told from others' by a name."""
    (folder / "lines").mkdir(parents=True)
    for file in (folder / DATABASE, folder / f"lines/{name}.session"):
        with closing(sqlite3.connect(file)) as db:
            db.execute(f"CREATE TABLE {name} (number)")
    return folder


def whole(folder: Path) -> str:
    """The name of the installation that is there, all of it."""
    with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as db:
        [(name,)] = db.execute("SELECT name FROM sqlite_master")
    assert [each.name for each in (folder / "lines").iterdir()] == [f"{name}.session"]
    assert (folder / f"{DATABASE}-journal").exists() is (name == "old")
    return str(name)


def killed_at_every_step(
    tmp_path: Path, work: Callable[[Path, Path], object], prepare: Callable[[Path, Path], object] = lambda *_: None
) -> Iterator[Path]:
    """State directories of "old" in which the restore of "new" was killed at each moment, and one where it was not."""
    file = tmp_path / "b.tar.gz"
    back_up(an_installation(tmp_path / "new", "new"), file)
    for step in itertools.count(1):
        here = an_installation(tmp_path / str(step), "old")
        (here / f"{DATABASE}-journal").touch()
        an_installation(here / BEFORE, "earlier")
        prepare(here, file)
        killed = was_killed(step, functools.partial(work, here, file))
        yield here
        if not killed:
            return


def test_a_start_that_is_killed_leaves_the_old_installation_or_the_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = []
    prepare = functools.partial(stage, passphrase="", at=NOW)
    for here in killed_at_every_step(tmp_path, lambda here, file: put_in_place(here), prepare):
        caplog.clear()
        restored = put_in_place(here)
        seen.append(whole(here))
        if seen[-1] == "new":
            assert whole(here / BEFORE) == "old"
        if (here / STAGED).exists():
            assert (restored, seen[-1], "is not restored, all is as it was" in caplog.text) == (None, "old", True)
        caplog.clear()
        assert put_in_place(here) is None
        assert (whole(here), caplog.text) == (seen[-1], ""), "it is over"
    assert seen[0] == "new", "nothing was begun yet, so the next start does it"
    assert seen[1:] == sorted(seen[1:], reverse=True), seen
    assert set(seen[1:]) == {"old", "new"}


def test_a_restore_that_is_killed_leaves_the_old_installation_or_the_new_one(tmp_path: Path) -> None:
    seen: list[str] = []
    for here in killed_at_every_step(tmp_path, functools.partial(restore, replace=True)):
        if len(seen) % 2:
            put_in_place(here)
        else:
            with pytest.raises(BackupError, match="--replace"):
                restore(here, tmp_path / "b.tar.gz")
        seen.append(whole(here))
        assert whole(here / BEFORE) == ("old" if seen[-1] == "new" else "earlier")
    assert set(seen) == {"old", "new"}


def test_an_exchange_that_is_undone_by_halves_is_undone_at_the_next_start(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails: it can't be put in place, nor what was there put back."""
    file, rename, fails = tmp_path / "b.tar.gz", os.rename, [True]
    back_up(here, file)
    stage(here, file, "", NOW)

    def broken(source: Path, target: Path) -> None:
        if fails[0] and (target == here / DATABASE):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", broken)
    with pytest.raises(OSError, match="Input/output error"):
        put_in_place(here)
    fails[0] = False
    assert put_in_place(here) is None
    assert (here / DATABASE).exists()
    assert not (here / BEFORE).exists()


@pytest.mark.parametrize(
    ("settings", "last", "due_s"),
    [
        ({"schedule": "off"}, None, None),
        ({"schedule": "daily", "at": "03:30"}, None, -NOW),
        ({"schedule": "daily", "at": "03:30"}, NOW - 2 * 3600, 15.5 * 3600),
        ({"schedule": "daily", "at": "13:00"}, NOW - 2 * 3600, 3600.0),
        ({"schedule": "daily", "at": "11:00"}, NOW - 2 * 3600, -3600.0),
        ({"schedule": "daily", "at": "03:30"}, NOW - 5 * DAY_S, -4 * DAY_S - 8.5 * 3600),
        ({"schedule": "hours", "hours": 6}, NOW - 2 * 3600, 4 * 3600.0),
    ],
)
async def test_when_the_next_one_is_made(its: Its, settings: Any, last: float | None, due_s: float | None) -> None:
    if last is not None:
        its.now = last
        await its.backups.make()
        its.now = NOW
    await its.backups.part.change(settings)
    assert await its.backups.due_in() == due_s


async def test_the_oldest_go(its: Its) -> None:
    await its.backups.part.change({"keep": 2})
    (its.here / "backups").mkdir()
    (its.here / "backups/notes.txt").write_text("mine")
    for day in range(4):
        its.now = NOW + day * DAY_S
        await its.backups.make()
    assert [each.made_at for each in await its.backups.files()] == [NOW + 3 * DAY_S, NOW + 2 * DAY_S]
    assert (its.here / "backups/notes.txt").exists()


async def test_the_one_just_made_stays_although_the_clock_was_set_back(its: Its) -> None:
    await its.backups.part.change({"keep": 2})
    for days in (1, 2, 0):
        its.now = NOW + days * DAY_S
        made = await its.backups.make()
    assert [each.made_at for each in await its.backups.files()] == [NOW + 2 * DAY_S, NOW]
    assert (its.here / "backups" / made.name).exists()


async def test_one_that_is_gone_before_it_is_listed(its: Its) -> None:
    """Such as where the folder can be written to, and not be read."""
    its.made = lambda file: file.unlink()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(BackupRefused, match="has to be readable"):
            await its.backups.make()


async def test_a_folder_that_hangs_keeps_nothing_else_waiting(its: Its, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(backups, "_files", lambda folder: goes_on.wait())
    monkeypatch.setattr(backups, "FOLDER_S", 0.01)
    try:
        for _ in range(50):  # more than there are threads for everything
            assert await its.backups.files() == []
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(lambda: "goes on") == "goes on"
    finally:
        goes_on.set()


async def test_what_a_killed_process_has_left_goes(here: Path, tmp_path: Path) -> None:
    """The kernel kills what takes too much memory: nothing is removed then, and what is there has secrets in it."""
    code = (
        "import os, signal; from pathlib import Path; from ari_app.backups import archive\n"
        "archive._pack = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"archive.back_up(Path({str(here)!r}), Path({str(tmp_path / 'b.tar.gz')!r}))"
    )
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await killed.wait() == -signal.SIGKILL
    assert left_in(here)
    with scratch_folder(here, "backup-") as works:
        assert left_in(here) == [works.name]
        back_up(here, tmp_path / "b.tar.gz")
        assert left_in(here) == [works.name], "nobody takes it away from who works there"
    assert left_in(here) == []


async def test_what_a_killed_backup_has_left_in_the_folder_goes_with_the_next_one(its: Its) -> None:
    its.backups.folder.mkdir()
    left, now, foreign = (
        its.backups.folder / f"{name}.part"
        for name in ("astergram-20261128T090000Z.tar.gz.age", "astergram-20261129T085500Z.tar.gz", "mine")
    )
    for file, age_s in ((left, worker.WORK_S + 1), (now, 60.0), (foreign, DAY_S)):
        file.touch()
        os.utime(file, (its.now - age_s,) * 2)
    its.broken = "the disk is full"
    with pytest.raises(BackupRefused):
        await its.backups.make()
    assert (left.exists(), now.exists(), foreign.exists()) == (False, True, True), "another may be at work on a new one"


async def test_no_process_can_be_started(its: Its, monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_many(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(asyncio, "create_subprocess_exec", too_many)
    with pytest.raises(BackupError, match="no process can be started"):
        await worker.run({"do": worker.BACK_UP})


async def test_by_itself_and_again_after_a_failure(its: Its) -> None:
    its.broken = "the disk is full"
    await its.backups.part.change({"schedule": "hours", "hours": 1})
    running = asyncio.create_task(its.backups.run())
    try:
        await its.until(lambda: its.backups.trouble is not None)
        assert str(its.backups.trouble) == "The backup could not be made: the disk is full."
        assert await its.backups.due_in() == RETRY_S
        its.broken, its.now = "", NOW + RETRY_S
        await its.backups.part.change({"keep": 3})
        await its.until(lambda: its.backups.trouble is None and not its.backups.running)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert its.backups.trouble is None
    found = await its.audit.find(AuditQuery())
    assert [(row.kind, row.action) for row in found.rows] == [("program", "backup made")]


async def test_encrypted_listed_staged_and_removed(its: Its) -> None:
    for wrong in ("short", f" {PASSPHRASE}", f"{PASSPHRASE}\n"):
        with pytest.raises(SettingRefused):
            await its.backups.part.change({"passphrase": wrong})
    await its.backups.part.change({"passphrase": PASSPHRASE})
    made = await its.backups.make()
    assert (made.name, made.encrypted) == ("astergram-20261129T090000Z.tar.gz.age", True)
    with pytest.raises(PassphraseRefused):
        await its.backups.stage(made.name, "another passphrase")
    assert (await its.backups.stage(made.name)).sessions == 1
    await its.backups.unstage()
    assert its.backups.staged is None
    for name in ("astergram-20261129T090001Z.tar.gz", "../astergram.db"):
        with pytest.raises(UnknownBackup):
            await its.backups.stage(name)
    await its.backups.remove(made.name)
    assert await its.backups.files() == []
    its.broken = "no room"
    with pytest.raises(BackupRefused, match="no room"):
        await its.backups.make()
