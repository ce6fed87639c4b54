"""A backup holds all that an installation keeps, and only a whole one is restored."""

import io
import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from telethon.sessions import SQLiteSession

from ari_app.backups.archive import BEFORE, BackupError, back_up, restore
from ari_app.config import AsteriskSettings, Settings
from ari_app.lines.loader import load_lines
from ari_app.lines.settings import LineSettings
from ari_app.state_folder import StateHeld, held
from ari_app.store.lines import LineRepository
from ari_app.store.store import open_store

NUMBER = "+79990000001"


def installation(folder: Path) -> Settings:
    return Settings(asterisk=AsteriskSettings(password=SecretStr("x")), state_dir=folder)


@pytest.fixture
async def full(tmp_path: Path) -> Settings:
    """With one line and its session."""
    settings = installation(tmp_path / "old")
    async with open_store(settings.database) as store:
        line = LineSettings.of({"number": NUMBER, "name": "Sales"})
        await LineRepository(store).save(NUMBER, line.stored())
    settings.session(NUMBER).parent.mkdir()
    session = SQLiteSession(str(settings.session(NUMBER)))
    session.set_dc(2, "127.0.0.1", 443)
    session.save()
    session.close()
    return settings


async def names(settings: Settings) -> list[str]:
    async with open_store(settings.database) as store:
        return [line.name for line in await load_lines(store)]


async def test_there_and_back(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    async with open_store(full.database):  # the program runs
        assert back_up(full.state_dir, file) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    new = installation(tmp_path / "new")
    assert restore(new.state_dir, file) == 1
    assert await names(new) == ["Sales"]
    for path in (new.database, new.session(NUMBER)):
        assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(new.session(NUMBER))) as db:
        assert db.execute("SELECT server_address FROM sessions").fetchone() == ("127.0.0.1",)
    assert [each.name for each in new.state_dir.iterdir() if each.name.startswith("restore")] == []


async def test_what_is_there_is_replaced_only_if_asked_to(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    async with open_store(full.database) as store:
        await LineRepository(store).save(NUMBER, LineSettings.of({"number": NUMBER, "name": "Changed"}).stored())
    full.session("+79990000009").write_bytes(b"of a line that the backup does not have")
    with pytest.raises(BackupError, match="--replace"):
        restore(full.state_dir, file)
    assert await names(full) == ["Changed"]
    restore(full.state_dir, file, replace=True)
    assert await names(full) == ["Sales"]
    assert not full.session("+79990000009").exists()


async def test_what_was_there_is_put_aside(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    for name in ("Changed", "Changed again"):
        async with open_store(full.database) as store:
            await LineRepository(store).save(NUMBER, LineSettings.of({"number": NUMBER, "name": name}).stored())
        restore(full.state_dir, file, replace=True)
        before = installation(full.state_dir / BEFORE)
        assert await names(before) == [name]
        assert before.session(NUMBER).exists()
    assert await names(full) == ["Sales"]


@pytest.mark.parametrize("is_link", [True, False])
async def test_what_is_in_the_way_of_what_is_put_aside(full: Settings, tmp_path: Path, *, is_link: bool) -> None:
    file, elsewhere = tmp_path / "backup.tar.gz", tmp_path / "elsewhere"
    back_up(full.state_dir, file)
    elsewhere.mkdir()
    if is_link:
        (full.state_dir / BEFORE).symlink_to(elsewhere)
    else:
        (full.state_dir / BEFORE).write_text("an administrator's note")
    full.session("+79990000009").write_bytes(b"of a line that the backup does not have")
    restore(full.state_dir, file, replace=True)
    assert installation(full.state_dir / BEFORE).session("+79990000009").exists()
    assert elsewhere.exists()


async def test_a_restore_that_fails_changes_nothing(
    full: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    async with open_store(full.database) as store:
        await LineRepository(store).save(NUMBER, LineSettings.of({"number": NUMBER, "name": "Changed"}).stored())
    rename, left = Path.rename, [3]

    def full_disk(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(OSError, match="No space left"):
        restore(full.state_dir, file, replace=True)
    monkeypatch.undo()
    assert await names(full) == ["Changed"]
    assert full.session(NUMBER).exists()
    assert sorted(each.name for each in full.state_dir.iterdir()) == ["astergram.db", "astergram.lock", "lines"]


async def test_not_while_the_program_runs(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    with held(full.state_dir, "run"), pytest.raises(StateHeld, match="`astergram run`"):
        restore(full.state_dir, file, replace=True)


def test_a_backup_that_fails_leaves_nothing(full: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        back_up(full.state_dir, tmp_path / "backup.tar.gz")
    assert [each.name for each in tmp_path.iterdir()] == ["old"]
    assert [each.name for each in full.state_dir.iterdir() if each.name.startswith("backup")] == []


def test_a_database_that_can_not_be_copied(full: Settings, tmp_path: Path) -> None:
    full.database.write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(BackupError, match=r"astergram\.db can't be copied: file is not a database"):
        back_up(full.state_dir, tmp_path / "backup.tar.gz")
    assert [each.name for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_owner_of_the_folder(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    new = installation(tmp_path / "new")
    new.state_dir.mkdir()
    os.chown(new.state_dir, 12345, 12346)
    for _ in range(2):
        restore(new.state_dir, file, replace=True)
        owners = {
            str(each.relative_to(new.state_dir)): (each.stat().st_uid, each.stat().st_gid)
            for each in new.state_dir.rglob("*")
        }
        assert set(owners.values()) == {(12345, 12346)}, owners


def test_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        back_up(installation(tmp_path / "none").state_dir, tmp_path / "backup.tar.gz")


def archive(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"../evil.session": b""}, "holds '../evil.session'"),
        ({"lines/../../evil.session": b""}, "is no backup"),
        ({"/etc/passwd": b""}, "is no backup"),
        ({"lines/1.session": b""}, "holds no astergram.db"),
        ({"astergram.db": b"no database, but long enough to be taken for one" * 100}, "is damaged"),
    ],
)
def test_what_is_no_backup(tmp_path: Path, members: dict[str, bytes], said: str) -> None:
    with pytest.raises(BackupError, match=said):
        restore(installation(tmp_path / "new").state_dir, archive(tmp_path / "backup.tar.gz", **members))
    assert not (tmp_path / "new" / "astergram.db").exists()


def test_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(BackupError, match="or damaged") as error:
        restore(installation(tmp_path / "new").state_dir, file)
    assert len(str(error.value).splitlines()) == 1


async def test_a_damaged_piece(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    whole = file.read_bytes()
    middle = len(whole) // 2
    for damaged in (b"\xff" * 40, b"\x00" * 40, b"\x06\x55\xaa" * 13):
        file.write_bytes(whole[:middle] + damaged + whole[middle + len(damaged) :])
        with pytest.raises(BackupError, match="damaged"):
            restore(installation(tmp_path / "new").state_dir, file)


async def test_a_newer_one(full: Settings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(full.database)) as db:
        db.execute("PRAGMA user_version = 999")
    file = tmp_path / "backup.tar.gz"
    back_up(full.state_dir, file)
    with pytest.raises(BackupError, match="newer Astergram"):
        restore(installation(tmp_path / "new").state_dir, file)
