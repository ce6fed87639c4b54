"""Who may use the admin page: one password, links to set it, browser sessions and API tokens.

Nothing here lets anybody in by itself: the password is kept as argon2's hash, all else as SHA-256. Times are Unix
times. What waits for the database raises StoreUnavailable.
"""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store
from ari_app.store.write_queue import Done

ONLY = 1  # the key of a table with one row


@dataclass(frozen=True)
class SessionRow:
    """A browser that is signed in: when it signed in, when it last asked, from where, and what it calls itself."""

    digest: str
    started_at: float
    seen_at: float
    address: str
    agent: str


@dataclass(frozen=True)
class TokenRow:
    """An API token; ``used_at`` is None before its first use."""

    id: int
    name: str
    right: str
    made_at: float
    used_at: float | None


@dataclass(frozen=True)
class AccessRepository:
    """All of it."""

    store: Store

    async def password(self) -> str | None:
        """The password's hash; None as long as nobody has set one."""

        def read(db: Database) -> str | None:
            return next((row["hash"] for row in db.table("web_password").rows), None)

        return await self.store.run(read)

    async def set_password(self, hashed: str, link: str | None = None, *, revoke_tokens: bool = False) -> bool:
        """Set the password, end every session and forget the link; False, and nothing done, if ``link`` isn't kept.

        ``revoke_tokens``: forget every API token as well.
        """

        def write(db: Database) -> bool:
            if link is not None and not any(db.table("web_link").rows_where("digest = ?", [link])):
                return False
            db.table("web_password").upsert({"id": ONLY, "hash": hashed}, pk="id")
            db.table("web_sessions").delete_where()
            db.table("web_link").delete_where()
            if revoke_tokens:
                db.table("web_tokens").delete_where()
            return True

        return await self.store.run(write)

    def rehash_password(self, before: str, hashed: str) -> None:
        """Keep the same password in another form; never waits."""
        sql = "UPDATE web_password SET hash = ? WHERE hash = ?"
        self.store.later(("password",), lambda db: db.execute(sql, [hashed, before]))

    async def put_link(self, digest: str, made_at: float) -> None:
        """A link to set the password, in place of an earlier one."""
        row = {"id": ONLY, "digest": digest, "made_at": made_at}
        await self.store.run(lambda db: db.table("web_link").upsert(row, pk="id"))

    async def link_made_at(self, digest: str) -> float | None:
        """When a link was made; None where there is no such link."""

        def read(db: Database) -> float | None:
            return next((row["made_at"] for row in db.table("web_link").rows_where("digest = ?", [digest])), None)

        return await self.store.run(read)

    def start_session(self, session: SessionRow, expired_before: tuple[float, float], done: Done) -> None:
        """Keep a session; those started, or last seen, before these times are forgotten. Never waits."""

        def write(db: Database) -> None:
            db.table("web_sessions").delete_where("started_at <= ? OR seen_at <= ?", expired_before)
            db.table("web_sessions").insert(vars(session))

        self.store.later(("session itself", session.digest), write, done)

    async def session(self, digest: str) -> SessionRow | None:
        """The session with this digest."""

        def read(db: Database) -> SessionRow | None:
            rows = db.table("web_sessions").rows_where("digest = ?", [digest])
            return next((SessionRow(**row) for row in rows), None)

        return await self.store.run(read)

    async def sessions(self) -> list[SessionRow]:
        """All of them, the latest seen first."""

        def read(db: Database) -> list[SessionRow]:
            return [SessionRow(**row) for row in db.table("web_sessions").rows_where(order_by="seen_at desc")]

        return await self.store.run(read)

    def see_session(self, digest: str, seen_at: float) -> None:
        """A session has asked for something; never waits."""
        sql = "UPDATE web_sessions SET seen_at = ? WHERE digest = ?"
        self.store.later(("session", digest), lambda db: db.execute(sql, [seen_at, digest]))

    def end_session(self, digest: str, done: Done) -> None:
        """Forget a session; never waits."""
        self.store.later(
            ("session itself", digest), lambda db: db.table("web_sessions").delete_where("digest = ?", [digest]), done
        )

    async def end_other_sessions(self, digest: str) -> None:
        """Forget every session but this one."""
        await self.store.run(lambda db: db.table("web_sessions").delete_where("digest != ?", [digest]))

    async def make_token(self, digest: str, name: str, right: str, made_at: float) -> TokenRow:
        """Keep a new API token."""

        def write(db: Database) -> TokenRow:
            row = {"digest": digest, "name": name, "right": right, "made_at": made_at, "used_at": None}
            made = db.table("web_tokens").insert(row)
            assert made.last_pk is not None
            return TokenRow(made.last_pk, name, right, made_at, None)

        return await self.store.run(write)

    async def token(self, digest: str) -> TokenRow | None:
        """The token with this digest."""

        def read(db: Database) -> TokenRow | None:
            return next((_token(row) for row in db.table("web_tokens").rows_where("digest = ?", [digest])), None)

        return await self.store.run(read)

    async def tokens(self) -> list[TokenRow]:
        """All of them, the oldest first."""

        def read(db: Database) -> list[TokenRow]:
            return [_token(row) for row in db.table("web_tokens").rows_where(order_by="id")]

        return await self.store.run(read)

    def use_token(self, id: int, used_at: float) -> None:
        """A token was used; never waits."""
        sql = "UPDATE web_tokens SET used_at = ? WHERE id = ?"
        self.store.later(("token", id), lambda db: db.execute(sql, [used_at, id]))

    async def revoke_token(self, id: int) -> bool:
        """Forget a token; False where there was none."""

        def write(db: Database) -> bool:
            return db.execute("DELETE FROM web_tokens WHERE id = ?", [id]).rowcount > 0

        return await self.store.run(write)


def _token(row: dict[str, object]) -> TokenRow:
    return TokenRow(**{name: row[name] for name in TokenRow.__dataclass_fields__})  # type: ignore[arg-type]
