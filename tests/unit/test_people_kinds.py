"""Every table and column is told of: what of it has to do with people, why it is kept, and for how long."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from ari_app.backups.archive import BEFORE
from ari_app.backups.staging import STAGED
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.retention import PERIODS
from ari_app.people import kinds
from ari_app.people.kinds import KINDS, SESSION_FILE, Table
from ari_app.store.store import open_store
from ari_app.telegram.line_session import LineSession
from tests.unit.people_rig import rig

WHAT_TO_DO = "name it in ari_app/people/kinds.py, and have it found, exported, erased and removed in time"


def told(tables: Iterable[Table]) -> dict[str, set[str]]:
    return {table.name: set(table.columns) for table in tables}


def there(connection: sqlite3.Connection) -> dict[str, set[str]]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}


async def test_every_column_of_the_database_is_told_of(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "astergram.db")) as connection:
        assert there(connection) == told(kinds.tables()), WHAT_TO_DO


def test_every_column_of_a_session_file_is_told_of(tmp_path: Path) -> None:
    LineSession(str(tmp_path / "line.session")).close()
    with closing(sqlite3.connect(tmp_path / "line.session")) as connection:
        assert there(connection) == told(SESSION_FILE), WHAT_TO_DO


def test_nothing_is_told_of_twice() -> None:
    for table in (*kinds.tables(), *SESSION_FILE):
        columns = f"{table.personal} {table.other}".split()
        assert len(columns) == len(set(columns)), table.name
    names = Counter(table.name for table in kinds.tables())
    assert set(names.values()) == {1}


def test_every_period_is_told_of() -> None:
    assert {kind.setting for kind in KINDS if kind.setting} == set(PERIODS)
    assert set(PERIODS) == {name for name in InstallationSettings.model_fields if name.endswith("_days")}


async def test_every_period_is_obeyed(tmp_path: Path) -> None:
    async with rig(tmp_path) as its:
        obeyed = {(rule.kind, rule.period) for rule in its.retention._rules if rule.period}
    assert obeyed == {(kind.name, kind.setting) for kind in KINDS if kind.setting}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_what_has_people_in_it_is_searched(kind: kinds.DataKind, tmp_path: Path) -> None:
    async with rig(tmp_path) as its:
        searched = {place.kind for place in its.people._places}
    personal = any(table.personal for table in kind.tables) or kind.name == "contacts"
    elsewhere = {"details": "with its call", "users": "under Users"}
    assert (kind.name in searched or kind.name in elsewhere) is personal


def test_what_a_restore_puts_aside_is_told_of() -> None:
    docs = [Path(__file__).parents[2] / "docs" / name for name in ("people.md", "ru/people.md")]
    for text in (" ".join(str(each.data) for each in kinds.ELSEWHERE), *(each.read_text() for each in docs)):
        for folder in (BEFORE, STAGED):
            assert folder in text
