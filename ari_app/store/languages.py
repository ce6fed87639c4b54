"""The languages of people's Telegram, which a line's account is seldom told, and a bot mostly is."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store


@dataclass(frozen=True)
class LanguageRow:
    """An IETF tag, and when it was last told (Unix time)."""

    language: str
    learnt_at: float


@dataclass(frozen=True)
class LanguageRepository:
    """By Telegram id; the same for all lines."""

    store: Store

    async def all(self) -> dict[int, LanguageRow]:
        """Everybody's."""

        def read(db: Database) -> dict[int, LanguageRow]:
            return {
                row["person_id"]: LanguageRow(row["language"], row["learnt_at"]) for row in db.table("languages").rows
            }

        return await self.store.run(read)

    def save(self, person_id: int, language: LanguageRow) -> None:
        """Keep somebody's, in place of an earlier one; never waits."""
        self.store.later(("language", person_id), lambda db: _put(db, person_id, language))

    async def keep(self, person_id: int, language: LanguageRow, is_so: Callable[[], bool]) -> None:
        """The same now, if it is so yet when its turn comes: they may be erased. Raises StoreUnavailable."""

        def put(db: Database) -> None:
            if is_so():
                _put(db, person_id, language)

        await self.store.run(put)

    async def prune(self, before: float) -> int:
        """Forget some that were told before; 0 when none is left."""
        sql = "DELETE FROM languages WHERE rowid IN (SELECT rowid FROM languages WHERE learnt_at < ? LIMIT ?)"
        return await self.store.run(lambda db: db.execute(sql, [before, BATCH]).rowcount)


def _put(db: Database, person_id: int, language: LanguageRow) -> None:
    row = {"person_id": person_id, "language": language.language, "learnt_at": language.learnt_at}
    db.table("languages").upsert(row, pk="person_id")
