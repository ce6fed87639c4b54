"""The users, for programs and the command line."""

from collections.abc import Container
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ari_app.store.users import UserRow
from ari_app.web.access.access import access_of
from ari_app.web.access.passwords import LONGEST, SHORTEST
from ari_app.web.access.refusals import LastAdministratorKept, PasswordRefused, UnknownUser, UserExists, UserRefused
from ari_app.web.access.users import LONGEST_NAME, note_role
from ari_app.web.http.context import identity
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.http.roles import Role

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST, json_schema_extra={"format": "password"})]


class User(BaseModel):
    """A user; times are Unix times.

    `has_password`: whether they have set one. `oidc`: whether an OpenID Connect provider knows them.
    """

    name: str
    role: Role
    has_password: bool
    two_factor: bool
    oidc: bool
    made_at: float
    signed_in_at: float | None

    @classmethod
    def of(cls, row: UserRow, oidc: Container[int]) -> "User":
        """What is shown of one."""
        return cls(
            name=row.name,
            role=Role(row.role),
            has_password=row.hash is not None,
            two_factor=row.second_factor,
            oidc=row.id in oidc,
            made_at=row.made_at,
            signed_in_at=row.signed_in_at,
        )


class NewUser(BaseModel):
    """Who it is; without a password, a link sets one."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    role: Role = Role.VIEWER
    password: Password | None = None


class UserChange(BaseModel):
    """Another role."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class NewPassword(BaseModel):
    """A password for somebody else."""

    model_config = ConfigDict(extra="forbid")

    password: Password


class UserLink(BaseModel):
    """Where a user sets their password, once."""

    link: str


class Asker(BaseModel):
    """Who asks: a user's name, or a token's; empty by the command line."""

    kind: str
    name: str
    role: Role


async def get_account(asked: Asked) -> Asker:
    """Who the asker is to Astergram, and what they may."""
    who = identity(asked.request)
    assert who.role is not None
    return Asker(kind=who.kind, name=who.name, role=who.role)


async def list_users(asked: Asked) -> list[User]:
    """All of them, by name."""
    its = access_of(asked.request).users
    known = await its.by_oidc()
    return [User.of(row, known) for row in await its.all()]


async def add_user(asked: Asked, body: NewUser) -> User:
    """A new one."""
    user = await access_of(asked.request).users.add(body.name, body.role, body.password)
    note_role(asked.request, user, None, user.role)
    return User.of(user, ())


async def change_user(asked: Asked, name: Name, body: UserChange) -> User:
    """Another role, at once."""
    its = access_of(asked.request).users
    was = await its.set_role(name, body.role)
    note_role(asked.request, was, was.role, body.role.value)
    return User.of(await its.one(name), await its.by_oidc())


async def set_user_password(asked: Asked, name: Name, body: NewPassword) -> None:
    """Set it, and end their sessions."""
    its = access_of(asked.request).users
    await its.set_password(await its.one(name), body.password)


async def make_user_link(asked: Asked, name: Name) -> UserLink:
    """A new link, in place of an earlier one."""
    its = access_of(asked.request).users
    return UserLink(link=f"{asked.web.url}/password?link={await its.new_link(await its.one(name))}")


async def remove_user(asked: Asked, name: Name) -> None:
    """Forget them; their sessions end."""
    was = await access_of(asked.request).users.remove(name)
    note_role(asked.request, was, was.role, None)


async def turn_user_two_factor_off(asked: Asked, name: Name) -> None:
    """For a user who has lost their device, and their recovery codes."""
    access = access_of(asked.request)
    await access.two_factor.turn_off(await access.users.one(name))


operations = (
    Operation("GET", "/api/account", get_account, "Who asks, and what they may"),
    Operation("GET", "/api/users", list_users, "The users"),
    Operation(
        "POST",
        "/api/users",
        add_user,
        "Add a user",
        errors={409: UserExists, 422: (UserRefused, PasswordRefused)},
        status=201,
    ),
    Operation(
        "PATCH",
        "/api/users/{name}",
        change_user,
        "Change a user's role",
        errors={404: UnknownUser, 409: LastAdministratorKept},
    ),
    Operation(
        "PUT",
        "/api/users/{name}/password",
        set_user_password,
        "Set a user's password",
        errors={404: UnknownUser, 422: PasswordRefused},
    ),
    Operation(
        "POST",
        "/api/users/{name}/link",
        make_user_link,
        "Make a link by which a user sets their password",
        errors={404: UnknownUser},
        status=201,
    ),
    Operation(
        "DELETE",
        "/api/users/{name}/two-factor",
        turn_user_two_factor_off,
        "Turn a user's two-factor authentication off",
        errors={404: UnknownUser},
    ),
    Operation(
        "DELETE",
        "/api/users/{name}",
        remove_user,
        "Remove a user",
        errors={404: UnknownUser, 409: LastAdministratorKept},
    ),
)
