"""Who is let into the admin page and the API: browser sessions and API tokens.

Nothing here lets anybody in by itself: secrets are kept as SHA-256. Times are Unix times. What waits for the database
raises StoreUnavailable.
"""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Changes, Store
from ari_app.store.users import UserRow, end_sessions, user_in
from ari_app.store.write_queue import Done


@dataclass(frozen=True)
class SessionRow:
    """A browser that is signed in: whose, when it signed in, when it last asked, from where, what it calls itself.

    ``way``: "password", or "oidc", the OpenID Connect provider.
    """

    digest: str
    user_id: int
    started_at: float
    seen_at: float
    address: str
    agent: str
    way: str = "password"


@dataclass(frozen=True)
class TokenRow:
    """An API token; ``used_at`` is None before its first use, ``expires_at`` for one without an end.

    ``made_by``: a user's name; empty by the command line, and of older ones. ``made_by_id``: that user; None by the
    command line. ``maker_role``: what they may now; None where they are removed.
    """

    id: int
    name: str
    scope: str
    made_at: float
    used_at: float | None = None
    expires_at: float | None = None
    made_by: str = ""
    made_by_id: int | None = None
    maker_role: str | None = None


TOKENS = (
    "SELECT web_tokens.*, users.role AS maker_role FROM web_tokens "
    "LEFT JOIN users ON users.id = made_by_id OR "
    "(made_by_id = 0 AND users.name = made_by AND users.made_at < web_tokens.made_at)"
)
BY_NAME = 0
"""As the id of a token's maker: whoever had that name then, and has it yet. Other machines have other ids."""
ENDED = 0
"""As the user of a session that has ended here, where others may not know of it yet."""


@dataclass(frozen=True)
class AccessRepository:
    """All of it. ``changes``: see `UserRepository`. ``tells``: other machines are told which sessions have ended."""

    store: Store
    changes: Changes
    tells: bool = False

    def start_session(self, session: SessionRow, expired_before: tuple[float, float], done: Done) -> None:
        """Keep a session; those started, or last seen, before these times are forgotten. Never waits."""

        def write(db: Database) -> None:
            db.table("web_sessions").delete_where("started_at <= ? OR seen_at <= ?", expired_before)
            db.table("web_sessions").insert(vars(session))

        self.store.later(("session itself", session.digest), write, done)

    async def prune_sessions(self, started_before: float, seen_before: float) -> int:
        """Forget some sessions that are over; 0 when none is left."""
        over = "SELECT digest FROM web_sessions WHERE started_at <= ? OR seen_at <= ? LIMIT ?"
        sql = f"DELETE FROM web_sessions WHERE digest IN ({over})"  # noqa: S608
        return await self.store.run(lambda db: db.execute(sql, [started_before, seen_before, BATCH]).rowcount)

    async def session(self, digest: str) -> tuple[SessionRow, UserRow] | None:
        """The session with this digest, and whose it is."""

        def read(db: Database) -> tuple[SessionRow, UserRow] | None:
            sessions = db.table("web_sessions").rows_where("digest = ?", [digest])
            session = next((SessionRow(**row) for row in sessions), None)
            users = db.table("users").rows_where("id = ?", [session.user_id]) if session else ()
            return next(((session, user_in(row)) for row in users if session), None)

        return await self.store.run(read)

    async def sessions(self, user_id: int) -> list[SessionRow]:
        """All of a user."""

        def read(db: Database) -> list[SessionRow]:
            return [SessionRow(**row) for row in db.table("web_sessions").rows_where("user_id = ?", [user_id])]

        return await self.store.run(read)

    def see_session(self, digest: str, seen_at: float) -> None:
        """A session has asked for something; never waits."""
        sql = "UPDATE web_sessions SET seen_at = ? WHERE digest = ?"
        self.store.later(("session", digest), lambda db: db.execute(sql, [seen_at, digest]))

    def end_session(self, digest: str, done: Done) -> None:
        """Forget a session, but for what others have to be told; never waits."""

        def write(db: Database) -> None:
            if self.tells:
                ended = "UPDATE web_sessions SET user_id = ?, address = '', agent = '' WHERE digest = ?"
                db.execute(ended, [ENDED, digest])
            else:
                db.table("web_sessions").delete_where("digest = ?", [digest])

        self.store.later(("session itself", digest), write, done)

    async def end_other_sessions(self, user_id: int, digest: str, at: float) -> None:
        """Forget every session of a user but this one."""
        await self.store.run(lambda db: end_sessions(db, user_id, at, digest))

    async def make_token(self, digest: str, token: TokenRow) -> TokenRow:
        """Keep a new API token; it gets its id."""

        def write(db: Database) -> TokenRow:
            row = {**vars(token), "digest": digest}
            del row["id"], row["maker_role"]
            db.table("web_tokens").insert(row)
            (made,) = _tokens(db, "digest = ?", digest)
            return made

        return await self.changes.run(write)

    async def token(self, digest: str) -> TokenRow | None:
        """The token with this digest."""
        return await self.store.run(lambda db: next(iter(_tokens(db, "digest = ?", digest)), None))

    async def tokens(self) -> list[TokenRow]:
        """All of them, the oldest first."""
        return await self.store.run(_tokens)

    def use_token(self, id: int, used_at: float) -> None:
        """A token was used; never waits."""
        sql = "UPDATE web_tokens SET used_at = ? WHERE id = ?"
        self.store.later(("token", id), lambda db: db.execute(sql, [used_at, id]))

    async def revoke_token(self, id: int) -> TokenRow | None:
        """Forget a token, which is returned; None where there was none."""

        def write(db: Database) -> TokenRow | None:
            token = next(iter(_tokens(db, "web_tokens.id = ?", id)), None)
            db.table("web_tokens").delete_where("id = ?", [id])
            return token

        return await self.changes.run(write)


def _tokens(db: Database, where: str = "1", *values: object) -> list[TokenRow]:
    """Those that fit, the oldest first."""
    rows = db.query(f"{TOKENS} WHERE {where} ORDER BY web_tokens.id", values)
    return [TokenRow(**{name: row[name] for name in TokenRow.__dataclass_fields__}) for row in rows]
