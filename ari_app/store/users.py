"""Who may use the admin page: users with their roles, and links to set a password.

A password is kept as argon2's hash, a link as SHA-256. Times are Unix times. What waits for the database raises
StoreUnavailable.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Changes, Store

ADMINISTRATOR = "administrator"
"""The role of which one user always remains."""
BUILT_IN = 1
"""The id of the administrator of the first start; nobody else ever gets it (AUTOINCREMENT)."""


class LastAdministrator(Exception):
    """Nobody would be left who may change anything, so nothing was done."""


@dataclass(frozen=True)
class UserRow:
    """A user; ``hash`` is None for one without a password, ``signed_in_at`` for one who has never been here.

    ``totp``: the secret that their device makes codes of, if it does; ``totp_last``: the last step of which one was
    used. ``passkeys``: how many they have.
    """

    id: int
    name: str
    role: str
    hash: str | None
    made_at: float
    signed_in_at: float | None
    totp: str | None = None
    totp_last: int = 0
    passkeys: int = 0

    @property
    def second_factor(self) -> bool:
        """Whether signing in asks for more than the first step."""
        return self.totp is not None or self.passkeys > 0


COLUMNS = tuple(UserRow.__dataclass_fields__)


@dataclass(frozen=True)
class UserRepository:
    """All of them. ``changes``: carries out what other machines are told of first."""

    store: Store
    changes: Changes

    async def all(self) -> list[UserRow]:
        """By name."""
        return await self.store.run(lambda db: [user_in(row) for row in db.table("users").rows_where(order_by="name")])

    async def by_oidc(self) -> set[int]:
        """Those whom an OpenID Connect provider knows, by their ids."""
        return await self.store.run(lambda db: {int(row["user_id"]) for row in db.table("oidc_identities").rows})

    async def one(self, name: str) -> UserRow | None:
        """The user of this name."""
        return await self.store.run(lambda db: first_in(db.table("users").rows_where("name = ?", [name])))

    async def by_id(self, id: int) -> UserRow | None:
        """The same by what never changes."""
        return await self.store.run(lambda db: first_in(db.table("users").rows_where("id = ?", [id])))

    async def first_administrator(self) -> UserRow | None:
        """The one who has been it for longest."""
        where = ("role = ?", [ADMINISTRATOR])
        return await self.store.run(lambda db: first_in(db.table("users").rows_where(*where, order_by="made_at, id")))

    async def any_password(self) -> bool:
        """Whether somebody has one."""
        return await self.store.run(lambda db: any(db.table("users").rows_where("hash IS NOT NULL", limit=1)))

    async def add(self, name: str, role: str, hashed: str | None, made_at: float) -> UserRow | None:
        """A new user; None, and nothing done, where there is one of that name."""

        def write(db: Database) -> UserRow | None:
            if first_in(db.table("users").rows_where("name = ?", [name])):
                return None
            row = {"name": name, "role": role, "hash": hashed, "made_at": made_at, "signed_in_at": None}
            made = db.table("users").insert(row)
            assert made.last_pk is not None
            return UserRow(made.last_pk, name, role, hashed, made_at, None)

        return await self.changes.run(write)

    async def set_role(self, id: int, role: str) -> None:
        """Another role; raises LastAdministrator."""

        def write(db: Database) -> None:
            db.execute("UPDATE users SET role = ? WHERE id = ?", [role, id])
            check_administered(db)

        await self.changes.run(write)

    async def remove(self, id: int) -> None:
        """Forget a user, and end their sessions; raises LastAdministrator."""

        def write(db: Database) -> None:
            forget_user(db, id)
            check_administered(db)

        await self.changes.run(write)

    async def set_password(
        self, id: int, hashed: str, at: float, link: str | None = None, *, revoke_tokens: bool = False
    ) -> bool:
        """Set a password, end the user's sessions, forget their link; False, and nothing done, if ``link`` isn't kept.

        ``revoke_tokens``: forget every API token as well.
        """

        def write(db: Database) -> bool:
            if link is not None and not any(db.table("web_links").rows_where("digest = ? AND user_id = ?", [link, id])):
                return False
            db.execute("UPDATE users SET hash = ? WHERE id = ?", [hashed, id])
            end_sessions(db, id, at)
            db.table("web_links").delete_where("user_id = ?", [id])
            if revoke_tokens:
                db.table("web_tokens").delete_where()
            return True

        return await self.changes.run(write)

    def rehash_password(self, id: int, before: str, hashed: str) -> None:
        """Keep the same password in another form; never waits."""
        sql = "UPDATE users SET hash = ? WHERE id = ? AND hash = ?"
        self.store.later(("password", id), lambda db: db.execute(sql, [hashed, id, before]))

    def sign_in(self, id: int, at: float) -> None:
        """A user has signed in; never waits."""
        sql = "UPDATE users SET signed_in_at = ? WHERE id = ?"
        self.store.later(("user", id), lambda db: db.execute(sql, [at, id]))

    async def set_two_factor(
        self, id: int, totp: str | None, codes: Collection[str], at: float, session: str = ""
    ) -> None:
        """What a user's device makes codes of, None for nothing, and the digests of their recovery codes.

        ``session``: the only one of theirs that goes on; none is said: all do.
        """

        def write(db: Database) -> None:
            last = "CASE WHEN totp IS ? THEN totp_last ELSE 0 END"
            db.execute(f"UPDATE users SET totp = ?, totp_last = {last} WHERE id = ?", [totp, totp, id])  # noqa: S608
            db.table("recovery_codes").delete_where("user_id = ?", [id])
            db.table("recovery_codes").insert_all({"user_id": id, "digest": each} for each in codes)
            if session:
                end_sessions(db, id, at, session)

        await self.changes.run(write)

    async def clear_two_factor(self, id: int) -> None:
        """Forget every second factor of a user."""

        def write(db: Database) -> None:
            db.execute("UPDATE users SET totp = NULL, totp_last = 0, passkeys = 0 WHERE id = ?", [id])
            for table in ("passkeys", "recovery_codes"):
                db.table(table).delete_where("user_id = ?", [id])

        await self.changes.run(write)

    async def recovery_codes(self, id: int) -> list[str]:
        """The digests of those that were not used."""
        rows = ("user_id = ?", [id])
        return await self.store.run(lambda db: [row["digest"] for row in db.table("recovery_codes").rows_where(*rows)])

    def spend_recovery_code(self, id: int, digest: str) -> None:
        """A recovery code was used; never waits."""
        code = ("user_id = ? AND digest = ?", [id, digest])
        self.store.later(("recovery code", digest), lambda db: db.table("recovery_codes").delete_where(*code))

    def use_code(self, id: int, step: int) -> None:
        """The code of a step was used; never waits."""
        sql = "UPDATE users SET totp_last = max(totp_last, ?) WHERE id = ?"
        self.store.later(("code", id), lambda db: db.execute(sql, [step, id]))

    async def put_link(self, id: int, digest: str, made_at: float) -> None:
        """A link to set a user's password, in place of an earlier one."""
        row = {"user_id": id, "digest": digest, "made_at": made_at}
        await self.store.run(lambda db: db.table("web_links").upsert(row, pk="user_id"))

    async def link(self, digest: str) -> tuple[UserRow, float] | None:
        """Whose link it is, and when it was made; None where there is no such link."""

        def read(db: Database) -> tuple[UserRow, float] | None:
            link = next(iter(db.table("web_links").rows_where("digest = ?", [digest])), None)
            user = first_in(db.table("users").rows_where("id = ?", [link["user_id"]])) if link else None
            return (user, link["made_at"]) if link and user else None

        return await self.store.run(read)


def user_in(row: dict[str, object]) -> UserRow:
    """The user in a row of the table."""
    return UserRow(**{name: row[name] for name in COLUMNS})  # type: ignore[arg-type]


def first_in(rows: Iterable[dict[str, object]]) -> UserRow | None:
    """The first of some rows; None where there are none."""
    return next((user_in(row) for row in rows), None)


def forget_user(db: Database, id: int) -> None:
    """Remove a user with all that they have; what they have made, such as tokens, stays."""
    db.table("users").delete_where("id = ?", [id])
    for table in ("web_sessions", "web_links", "recovery_codes", "oidc_identities", "passkeys"):
        db.table(table).delete_where("user_id = ?", [id])


def end_sessions(db: Database, id: int, at: float, kept: str = "") -> None:
    """End a user's sessions, but the one with the digest ``kept``; also those that other machines know of."""
    db.table("web_sessions").delete_where("user_id = ? AND digest != ?", [id, kept])
    db.execute("UPDATE users SET signed_out_at = ?, kept_session = ? WHERE id = ?", [at, kept, id])


def check_administered(db: Database) -> None:
    """Raise LastAdministrator where there is no administrator (any more): what was written is undone then."""
    if not any(db.table("users").rows_where("role = ?", [ADMINISTRATOR], limit=1)):
        raise LastAdministrator
