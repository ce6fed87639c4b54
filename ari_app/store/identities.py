"""Who a user is to the OpenID Connect provider: its issuer, and the subject that it never gives to somebody else."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Changes
from ari_app.store.users import BUILT_IN, UserRow, check_administered, first_in


class NotAdded(Exception):
    """There is no such user, and none is added."""


class NameTaken(Exception):
    """There is a user of that name who is somebody else, or may be."""


@dataclass(frozen=True)
class Admitted:
    """A user as they are now, and their role before; None where they were added."""

    user: UserRow
    was: str | None


@dataclass(frozen=True)
class IdentityRepository:
    """All of them. What waits for the database raises StoreUnavailable. ``changes``: see `UserRepository`."""

    changes: Changes

    async def admit(
        self, issuer: str, subject: str, name: str | None, role: str | None, *, add_as: str | None, at: float
    ) -> Admitted:
        """The user who is that subject, with ``role``; None: the one that they have.

        Who comes for the first time is the user of that ``name`` who was added for them: one without a password, and
        nobody else's; the one of the first start, who was added for nobody, only with a ``role`` of the provider's.
        Without a ``name`` nobody comes for the first time. Where there is no user of that name, one is added, as
        ``add_as``, unless that is None. Raises NotAdded, NameTaken, LastAdministrator; then nothing has changed.
        """

        def write(db: Database) -> Admitted:
            its = ("issuer = ? AND subject = ?", [issuer, subject])
            known = next(iter(db.table("oidc_identities").rows_where(*its)), None)
            was = None
            if known:
                user = first_in(db.table("users").rows_where("id = ?", [known["user_id"]]))
            elif name is None:
                raise NotAdded
            else:
                user = first_in(db.table("users").rows_where("name = ?", [name]))
                if user and (
                    user.hash is not None
                    or (user.id == BUILT_IN and role is None)
                    or db.table("oidc_identities").count_where("user_id = ?", [user.id])
                ):
                    raise NameTaken
            if user is None:
                if add_as is None:
                    raise NotAdded
                row = {"name": name, "role": add_as, "made_at": at}
                made = db.table("users").insert(row)
                user = first_in(db.table("users").rows_where("id = ?", [made.last_pk]))
            else:
                was = user.role
            assert user is not None
            identity = {"issuer": issuer, "subject": subject, "user_id": user.id}
            db.table("oidc_identities").upsert(identity, pk=("issuer", "subject"))
            if role and role != user.role:
                db.execute("UPDATE users SET role = ? WHERE id = ?", [role, user.id])
                check_administered(db)
                user = first_in(db.table("users").rows_where("id = ?", [user.id]))
                assert user is not None
            return Admitted(user, was)

        return await self.changes.run(write)
