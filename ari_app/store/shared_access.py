"""Users, API tokens and sessions, as the machines of a cluster tell each other of them.

A user is whoever has a name since a time (`made_at`), which no other user of that name has. Each machine has ids of its
own. What a sign-in changes is not agreed upon first, so the later, or the smaller, of two machines' counts. Nobody
knows the administrator of the first start yet who has no password: each machine has its own, and tells of none.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlite_utils import Database

from ari_app.store.access import BY_NAME, ENDED, SessionRow
from ari_app.store.users import BUILT_IN, check_administered, forget_user

USER, TOKEN = "user:", "token:"
"""Before a user's name, and a token's digest."""
TOLD = ("(id != ? OR hash IS NOT NULL)", [BUILT_IN])
SESSIONS = "SELECT web_sessions.*, users.name AS user, users.made_at FROM web_sessions JOIN users ON users.id = user_id"


class _Shared(BaseModel):
    """What another version adds to it is not understood, and left as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SharedPasskey(_Shared):
    """See `PasskeyRow`; ``public_key`` in hexadecimal digits."""

    name: str
    rp_id: str
    credential: str
    public_key: str
    sign_count: int
    made_at: float


class SharedUser(_Shared):
    """See `UserRow`. ``codes``: digests of recovery codes; ``identities``: issuers and subjects (OpenID Connect).

    ``signed_out_at``: sessions that began before are over, but the one with the digest ``kept_session``.
    """

    made_at: float
    role: Literal["administrator", "operator", "viewer"]
    hash: str | None
    signed_in_at: float | None
    totp: str | None
    totp_last: int
    signed_out_at: float
    kept_session: str
    codes: tuple[str, ...]
    passkeys: tuple[SharedPasskey, ...]
    identities: tuple[tuple[str, str], ...]

    def with_use_of(self, own: SharedUser) -> SharedUser:
        """The same user, where each code that ``own`` has used is used, and what has ended there has."""
        counts = {each.credential: each.sign_count for each in own.passkeys}
        its_codes = set(own.codes)
        codes = [each for each in self.codes if each in its_codes]
        ended = max(self, own, key=lambda each: each.signed_out_at)
        return self.model_copy(
            update={
                "signed_in_at": max(self.signed_in_at or 0.0, own.signed_in_at or 0.0) or None,
                "totp_last": max(self.totp_last, own.totp_last) if self.totp == own.totp else self.totp_last,
                "signed_out_at": ended.signed_out_at,
                "kept_session": ended.kept_session,
                "codes": tuple(codes) or self.codes,  # none is the same: others were made there
                "passkeys": tuple(
                    each.model_copy(update={"sign_count": max(each.sign_count, counts.get(each.credential, 0))})
                    for each in self.passkeys
                ),
            }
        )


class SharedToken(_Shared):
    """See `TokenRow`. ``is_nobodys``: the command line has made it."""

    name: str
    scope: Literal["read", "calls", "admin"]
    made_at: float
    expires_at: float | None
    made_by: str
    is_nobodys: bool


class SharedSession(_Shared):
    """See `SessionRow`; ``user`` and ``made_at``: whose."""

    user: str
    made_at: float
    started_at: float
    seen_at: float
    address: str
    agent: str
    way: str


def users_and_tokens(db: Database) -> dict[str, str]:
    """All of which the others are told, as JSON, each by its name."""
    users = {USER + row["name"]: _user(db, row).model_dump_json() for row in db.table("users").rows_where(*TOLD)}
    return users | {TOKEN + row["digest"]: _token(row).model_dump_json() for row in db.table("web_tokens").rows}


def sessions(db: Database) -> dict[str, str]:
    """The same of sessions, by their digests."""
    rows = db.query(f"{SESSIONS} WHERE {TOLD[0]}", TOLD[1])
    return {row["digest"]: _session(row).model_dump_json() for row in rows}


def ended_sessions(db: Database) -> list[str]:
    """Those of which the others may not know that they have ended, by their digests."""
    return [row["digest"] for row in db.table("web_sessions").rows_where("user_id = ?", [ENDED])]


def forget_ended_session(db: Database, digest: str) -> None:
    """They know it now."""
    db.table("web_sessions").delete_where("digest = ? AND user_id = ?", [digest, ENDED])


def end_session(db: Database, digest: str) -> bool:
    """It has ended on another machine; whether there was such a session here."""
    return db.execute("DELETE FROM web_sessions WHERE digest = ?", [digest]).rowcount > 0


def follow_user(db: Database, name: str, its: SharedUser | None) -> tuple[bool, bool]:
    """Take over what another machine has of a user; None: they are removed.

    Whether that has changed something here, but for what was used, and whether this machine knows of more. Raises
    LastAdministrator.
    """
    row = next(iter(db.table("users").rows_where("name = ?", [name])), None)
    before = _user(db, row) if row else None
    own = before if before and its and before.made_at == its.made_at else None
    if row and not own:  # somebody else
        forget_user(db, row["id"])
        db.execute("UPDATE web_tokens SET made_by_id = ? WHERE made_by_id = ?", [BY_NAME, row["id"]])
    wanted = its.with_use_of(own) if its and own else its
    if wanted and wanted != own:
        _put_user(db, name, wanted, own)
    check_administered(db)
    only_used = own and wanted and own.with_use_of(wanted) == wanted and own.signed_out_at == wanted.signed_out_at
    return wanted != before and not only_used, wanted != its


def _put_user(db: Database, name: str, its: SharedUser, own: SharedUser | None) -> None:
    columns = its.model_dump(exclude={"codes", "passkeys", "identities"}) | {"passkeys": len(its.passkeys)}
    if own is None:
        db.table("users").insert({"name": name, **columns})
    else:
        names = ", ".join(f"{column} = ?" for column in columns)
        db.execute(f"UPDATE users SET {names} WHERE name = ?", [*columns.values(), name])  # noqa: S608
    (found,) = db.table("users").rows_where("name = ?", [name])
    id = found["id"]
    if own and (own.hash, own.signed_out_at) != (its.hash, its.signed_out_at):
        db.table("web_links").delete_where("user_id = ?", [id])
        over = ("user_id = ? AND started_at < ? AND digest != ?", [id, its.signed_out_at, its.kept_session])
        db.table("web_sessions").delete_where(*over)
    for table in ("recovery_codes", "oidc_identities"):
        db.table(table).delete_where("user_id = ?", [id])
    db.table("recovery_codes").insert_all({"user_id": id, "digest": each} for each in its.codes)
    known = [{"issuer": issuer, "subject": subject, "user_id": id} for issuer, subject in its.identities]
    db.table("oidc_identities").upsert_all(known, pk=("issuer", "subject"))
    _put_passkeys(db, id, its.passkeys)


def _put_passkeys(db: Database, user_id: int, passkeys: tuple[SharedPasskey, ...]) -> None:
    """What this machine has of one already keeps its id, and when it was used here."""
    ids = {row["credential"]: row["id"] for row in db.table("passkeys").rows_where("user_id = ?", [user_id])}
    for credential in ids.keys() - {each.credential for each in passkeys}:
        db.table("passkeys").delete_where("credential = ?", [credential])
    for each in passkeys:
        row = {**each.model_dump(), "public_key": bytes.fromhex(each.public_key), "user_id": user_id}
        if each.credential in ids:
            db.table("passkeys").update(ids[each.credential], row)
        else:
            db.table("passkeys").delete_where("credential = ?", [each.credential])
            db.table("passkeys").insert(row)


def follow_token(db: Database, digest: str, its: SharedToken | None) -> bool:
    """The same of a token; whether something has changed here."""
    known = next(iter(db.table("web_tokens").rows_where("digest = ?", [digest])), None)
    if its is None:
        db.table("web_tokens").delete_where("digest = ?", [digest])
        return known is not None
    if known:  # it never changes
        return False
    row = its.model_dump(exclude={"is_nobodys"})
    db.table("web_tokens").insert({**row, "digest": digest, "made_by_id": None if its.is_nobodys else BY_NAME})
    return True


def follow_session(db: Database, digest: str, its: SharedSession) -> bool:
    """Take over a session that another machine has begun, or seen; False where its user is not known here (yet)."""
    who = ("name = ? AND made_at = ?", [its.user, its.made_at])
    user = next(iter(db.table("users").rows_where(*who)), None)
    if user is None:
        return False
    known = next(iter(db.table("web_sessions").rows_where("digest = ?", [digest])), None)
    over = its.started_at < user["signed_out_at"] and digest != user["kept_session"]
    if over or (known and (known["user_id"] == ENDED or known["seen_at"] >= its.seen_at)):
        return True
    row = SessionRow(digest, user["id"], its.started_at, its.seen_at, its.address, its.agent, its.way)
    db.table("web_sessions").upsert(vars(row), pk="digest")
    return True


def _user(db: Database, row: dict[str, object]) -> SharedUser:
    its = ("user_id = ?", [row["id"]])
    codes = sorted(each["digest"] for each in db.table("recovery_codes").rows_where(*its))
    keys = db.table("passkeys").rows_where(*its, order_by="credential")
    identities = sorted((each["issuer"], each["subject"]) for each in db.table("oidc_identities").rows_where(*its))
    columns = SharedUser.model_fields.keys() - {"codes", "passkeys", "identities"}
    return SharedUser.model_validate(
        {
            **{name: row[name] for name in columns},
            "codes": tuple(codes),
            "identities": tuple(identities),
            "passkeys": tuple(
                SharedPasskey(**{name: each[name] for name in SharedPasskey.model_fields} | {"public_key": key.hex()})
                for each in keys
                for key in [bytes(each["public_key"])]
            ),
        }
    )


def _token(row: dict[str, object]) -> SharedToken:
    its = {name: row[name] for name in SharedToken.model_fields.keys() - {"is_nobodys"}}
    return SharedToken.model_validate({**its, "is_nobodys": row["made_by_id"] is None})


def _session(row: dict[str, object]) -> SharedSession:
    return SharedSession.model_validate({name: row[name] for name in SharedSession.model_fields})
