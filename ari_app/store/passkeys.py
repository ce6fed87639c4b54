"""Passkeys and security keys (WebAuthn), as users' second factor. Times are Unix times."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Changes, Store
from ari_app.store.users import end_sessions


class PasskeyKnown(Exception):
    """Somebody has this credential already."""


@dataclass(frozen=True)
class PasskeyRow:
    """A credential; ``rp_id``: the host name that it is for. ``credential``: its id, in base64url.

    ``sign_count``: the last that it has told; 0 for those that don't count.
    """

    id: int
    user_id: int
    name: str
    rp_id: str
    credential: str
    public_key: bytes
    sign_count: int
    made_at: float
    used_at: float | None = None


@dataclass(frozen=True)
class PasskeyRepository:
    """All of them. What waits for the database raises StoreUnavailable. ``changes``: see `UserRepository`."""

    store: Store
    changes: Changes

    async def all(self, user_id: int) -> list[PasskeyRow]:
        """Those of a user, the oldest first."""
        where = ("user_id = ?", [user_id])
        return await self.store.run(
            lambda db: [PasskeyRow(**row) for row in db.table("passkeys").rows_where(*where, order_by="id")]
        )

    async def add(self, passkey: PasskeyRow, codes: Collection[str] | None, session: str) -> None:
        """Keep one; its id is given now. Raises PasskeyKnown.

        ``codes``: digests of recovery codes, in place of those that there were; ``session``: the only one of the user's
        that goes on, if some is said.
        """
        user_id = passkey.user_id

        def write(db: Database) -> None:
            if db.table("passkeys").count_where("credential = ?", [passkey.credential]):
                raise PasskeyKnown
            row = vars(passkey).copy()
            del row["id"]
            db.table("passkeys").insert(row)
            _count(db, user_id)
            if codes is not None:
                db.table("recovery_codes").delete_where("user_id = ?", [user_id])
                db.table("recovery_codes").insert_all({"user_id": user_id, "digest": each} for each in codes)
            if session:
                end_sessions(db, user_id, passkey.made_at, session)

        await self.changes.run(write)

    async def remove(self, user_id: int, id: int) -> PasskeyRow | None:
        """Forget one of a user's, which is returned, and the recovery codes where it was their last second factor."""

        def write(db: Database) -> PasskeyRow | None:
            where = ("user_id = ? AND id = ?", [user_id, id])
            found = next((PasskeyRow(**row) for row in db.table("passkeys").rows_where(*where)), None)
            db.table("passkeys").delete_where(*where)
            _count(db, user_id)
            if not db.table("users").count_where("id = ? AND (totp IS NOT NULL OR passkeys > 0)", [user_id]):
                db.table("recovery_codes").delete_where("user_id = ?", [user_id])
            return found

        return await self.changes.run(write)

    def use(self, credential: str, sign_count: int, at: float) -> None:
        """One was used; never waits."""
        sql = "UPDATE passkeys SET sign_count = ?, used_at = ? WHERE credential = ?"
        self.store.later(("passkey", credential), lambda db: db.execute(sql, [sign_count, at, credential]))


def _count(db: Database, user_id: int) -> None:
    """How many a user has stands with the user: whoever is asked for a second factor is asked at each request."""
    count = "(SELECT count(*) FROM passkeys WHERE user_id = ?)"
    db.execute(f"UPDATE users SET passkeys = {count} WHERE id = ?", [user_id, user_id])  # noqa: S608
