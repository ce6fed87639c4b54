"""The languages of people's Telegram, which a line's account is seldom told, and a bot mostly is."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class LanguageRepository:
    """By Telegram id, as IETF tags; the same for all lines."""

    store: Store

    async def all(self) -> dict[int, str]:
        """Everybody's."""

        def read(db: Database) -> dict[int, str]:
            return {row["person_id"]: row["language"] for row in db.table("languages").rows}

        return await self.store.run(read)

    def save(self, person_id: int, language: str) -> None:
        """Keep somebody's, in place of an earlier one; never waits."""
        row = {"person_id": person_id, "language": language}
        self.store.later(("language", person_id), lambda db: db.table("languages").upsert(row, pk="person_id"))
