"""A line's session file, which no request waits for."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any

from telethon.sessions import SQLiteSession
from telethon.sessions.memory import MemorySession

log = logging.getLogger(__name__)

LOCK_S = 0.1  # for another program's lock; the event loop stands still meanwhile
WAITING_MOST = 10_000  # people and chats; those who were met the longest time ago are forgotten
Row = tuple[Any, ...]


class LineSession(SQLiteSession):  # type: ignore[misc]  # Telethon has no type hints
    """Telethon's session, written by `save` only, which Telethon calls on connecting, each minute and at the end.

    Telethon itself writes within each request: a full disk or a locked file would come out of it as its error. Here
    what can't be written waits in memory for the next `save`.
    """

    _conn: sqlite3.Connection | None

    def __init__(self, path: str) -> None:
        self._met: dict[int, Row] = {}
        self._saved_row: Row = ()
        self._failing = False
        self._opened = False
        super().__init__(path)
        self._opened = True
        self._saved_row = self._row()
        self._entities = self._met.values()  # where MemorySession looks

    def save(self) -> None:
        """Write what waits; what can't be written goes on waiting."""
        row = self._row()
        try:
            self._write(row)
        except sqlite3.OperationalError as error:
            if not self._opened:  # a new file, without which there is no session
                raise
            if not self._failing:
                log.error(  # noqa: TRY400 - the administrator needs the sentence
                    "%s can't be written, it is tried again each minute; calls go on: %s", self.filename, error
                )
            self._failing = True
            return
        if self._failing:
            log.warning("%s can be written again", self.filename)
        self._failing = False
        self._saved_row = row
        self._met.clear()
        self._update_states.clear()

    def _write(self, row: Row) -> None:
        connection, now = self._opened_file(), int(time.time())
        states = [(each, s.pts, s.qts, s.date.timestamp(), s.seq) for each, s in self._update_states.items()]
        try:
            if row != self._saved_row:
                connection.execute("DELETE FROM sessions")
                connection.execute("INSERT INTO sessions VALUES (?,?,?,?,?,?)", row)
            met = [(*each, now) for each in self._met.values()]
            connection.executemany("INSERT OR REPLACE INTO entities VALUES (?,?,?,?,?,?)", met)
            connection.executemany("INSERT OR REPLACE INTO update_state VALUES (?,?,?,?,?)", states)
            connection.commit()
        except sqlite3.OperationalError:
            connection.rollback()
            raise

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.save()
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _row(self) -> Row:
        key = self._auth_key.key if self._auth_key else b""
        return (self._dc_id, self._server_address, self._port, key, self._takeout_id, b"")

    def _update_session_table(self) -> None:
        """`save` sees that it has changed."""

    def _opened_file(self) -> sqlite3.Connection:
        if self._conn is None:
            self._conn = sqlite3.connect(self.filename, check_same_thread=False, timeout=LOCK_S)
            self._conn.execute("PRAGMA secure_delete = ON")  # who is forgotten is overwritten
        return self._conn

    def _cursor(self) -> sqlite3.Cursor:
        return self._opened_file().cursor()

    def process_entities(self, tlo: Any) -> None:
        """Remember who is in an answer."""
        for row in self._entities_to_rows(tlo):
            self._met.pop(row[0], None)
            self._met[row[0]] = row
        while len(self._met) > WAITING_MOST:
            del self._met[next(iter(self._met))]

    def forget(self, id: int) -> None:
        """Write nothing of somebody who was met since the last `save`; what is in the file is not touched."""
        self._met.pop(id, None)

    def get_entity_rows_by_id(self, id: int, exact: bool = True) -> Row | None:
        """Id and access hash."""
        waiting = MemorySession.get_entity_rows_by_id(self, id, exact)
        return waiting or self._read(lambda: super(LineSession, self).get_entity_rows_by_id(id, exact))

    def get_entity_rows_by_phone(self, phone: str) -> Row | None:
        """Id and access hash."""
        waiting = MemorySession.get_entity_rows_by_phone(self, phone)
        return waiting or self._read(lambda: super(LineSession, self).get_entity_rows_by_phone(phone))

    def get_entity_rows_by_username(self, username: str) -> Row | None:
        """Id and access hash of who had it last."""
        waiting = MemorySession.get_entity_rows_by_username(self, username)
        query = "SELECT id, hash FROM entities WHERE username = ? ORDER BY date DESC"
        return waiting or self._read(lambda: self._execute(query, username))

    def get_entity_rows_by_name(self, name: str) -> Row | None:
        """Id and access hash."""
        waiting = MemorySession.get_entity_rows_by_name(self, name)
        return waiting or self._read(lambda: super(LineSession, self).get_entity_rows_by_name(name))

    def set_update_state(self, entity_id: int, state: Any) -> None:
        """How far updates have been seen."""
        self._update_states[entity_id] = state

    def get_update_state(self, entity_id: int) -> Any:
        """How far updates have been seen."""
        return self._update_states.get(entity_id) or super().get_update_state(entity_id)

    def get_update_states(self) -> Iterable[tuple[int, Any]]:
        """How far updates have been seen, by what they are of."""
        return {**dict(super().get_update_states()), **self._update_states}.items()

    def _read(self, read: Callable[[], Row | None]) -> Row | None:
        try:
            return read()
        except sqlite3.OperationalError as error:
            log.warning("%s can't be read, so somebody is not known: %s", self.filename, error)
            return None
