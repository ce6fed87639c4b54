"""A backup holds all that an installation keeps, and only a whole one is restored."""

import io
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from telethon.sessions import SQLiteSession

from ari_app.backup import BackupError, back_up, restore
from ari_app.config import AsteriskSettings, Settings
from ari_app.lines.kept import kept_lines
from ari_app.lines.settings import LineSettings
from ari_app.store.lines import KeptLines
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
        await KeptLines(store).put(NUMBER, line.stored())
    settings.session(NUMBER).parent.mkdir()
    session = SQLiteSession(str(settings.session(NUMBER)))
    session.set_dc(2, "127.0.0.1", 443)
    session.save()
    session.close()
    return settings


async def names(settings: Settings) -> list[str]:
    async with open_store(settings.database) as store:
        return [line.name for line in await kept_lines(store)]


async def test_there_and_back(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    async with open_store(full.database):  # the program runs
        assert back_up(full, file) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    new = installation(tmp_path / "new")
    assert restore(new, file) == 1
    assert await names(new) == ["Sales"]
    for path in (new.database, new.session(NUMBER)):
        assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(new.session(NUMBER))) as db:
        assert db.execute("SELECT server_address FROM sessions").fetchone() == ("127.0.0.1",)
    assert [each.name for each in new.state_dir.iterdir() if each.name.startswith("restore")] == []


async def test_what_is_there_is_replaced_only_if_asked_to(full: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(full, file)
    async with open_store(full.database) as store:
        await KeptLines(store).put(NUMBER, LineSettings.of({"number": NUMBER, "name": "Changed"}).stored())
    full.session("+79990000009").write_bytes(b"of a line that the backup does not have")
    with pytest.raises(BackupError, match="--replace"):
        restore(full, file)
    assert await names(full) == ["Changed"]
    restore(full, file, replace=True)
    assert await names(full) == ["Sales"]
    assert not full.session("+79990000009").exists()


def test_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        back_up(installation(tmp_path / "none"), tmp_path / "backup.tar.gz")


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
        restore(installation(tmp_path / "new"), archive(tmp_path / "backup.tar.gz", **members))
    assert not (tmp_path / "new" / "astergram.db").exists()


def test_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(BackupError, match="or damaged"):
        restore(installation(tmp_path / "new"), file)


async def test_a_newer_one(full: Settings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(full.database)) as db:
        db.execute("PRAGMA user_version = 999")
    file = tmp_path / "backup.tar.gz"
    back_up(full, file)
    with pytest.raises(BackupError, match="newer Astergram"):
        restore(installation(tmp_path / "new"), file)
