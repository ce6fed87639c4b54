"""Who may use the page and the API."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ari_app.i18n import message
from ari_app.store.access import TokenRow
from ari_app.web.access.access import access_of
from ari_app.web.access.passwords import LONGEST, SHORTEST
from ari_app.web.access.refusals import AccessRefused, PasswordRefused, TooManyTries, UnknownUser, WrongPassword
from ari_app.web.access.tokens import note_token, role_of
from ari_app.web.access.users import FIRST, LONGEST_NAME
from ari_app.web.http.middlewares import remote
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.http.roles import Role

TokenId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Scope = Literal["read", "calls", "admin"]
LATEST = 32503680000.0  # the year 3000
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class Token(BaseModel):
    """An API token; times are Unix times, `expires_at` is null for one without an end.

    `made_by`: a user's name; empty by the command line. `role`: what it may now, no more than that user; null, and it
    does not work, where they are removed. `right` is the older name of the scope: "write" is admin.
    """

    id: int
    name: str
    scope: Scope
    right: Literal["read", "write"]
    made_at: float
    used_at: float | None
    expires_at: float | None
    made_by: str
    role: Role | None

    @classmethod
    def of(cls, kept: TokenRow) -> "Token":
        """What is shown of it."""
        return cls.model_validate(_shown(kept))


class NewToken(BaseModel):
    """What a token is for, what it may do, and until when (a Unix time); read if nothing is said of its scope.

    `right` is the older name of the scope: "write" is admin.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, pattern=PRINTABLE, examples=["Prometheus"])
    scope: Scope | None = None
    right: Literal["read", "write"] | None = None
    expires_at: float | None = Field(None, ge=0, le=LATEST, allow_inf_nan=False)


class MadeToken(Token):
    """A new token with its secret, which is not shown again."""

    token: str


class PasswordChange(BaseModel):
    """One's password now, and the one to come; `user` is whose, where the command line asks.

    `revoke_tokens`, an administrator's: no API token works any more then.
    """

    model_config = ConfigDict(extra="forbid")

    old: str = Field(max_length=LONGEST)
    new: str = Field(min_length=SHORTEST, max_length=LONGEST)
    revoke_tokens: bool = False
    user: str = Field(FIRST, max_length=LONGEST_NAME)


class Link(BaseModel):
    """Where the password can be set, once."""

    link: str


class UnknownToken(AccessRefused):
    """There is no such token."""


class NotFromHere(AccessRefused):
    """Whoever asks may do other things, but not this."""


async def list_tokens(asked: Asked) -> list[Token]:
    """All API tokens."""
    return [Token.of(kept) for kept in await access_of(asked.request).tokens.all()]


async def make_token(asked: Asked, body: NewToken) -> MadeToken:
    """A new one; who has a token can't make itself another, which would outlive it."""
    scope = body.scope or ("admin" if body.right == "write" else "read")
    tokens = access_of(asked.request).tokens
    secret, kept = await tokens.make(body.name, scope, body.expires_at, asked.who)
    note_token(asked.request, kept, made=True)
    return MadeToken.model_validate(_shown(kept) | {"token": secret})


async def revoke_token(asked: Asked, id: TokenId) -> None:
    """Revoke one."""
    if (token := await access_of(asked.request).tokens.revoke(id)) is None:
        raise UnknownToken(message("There is no API token {id}.", id=id))
    note_token(asked.request, token, made=False)


def _shown(kept: TokenRow) -> dict[str, Any]:
    return vars(kept) | {"right": "write" if kept.scope == "admin" else "read", "role": role_of(kept)}


async def change_password(asked: Asked, body: PasswordChange) -> None:
    """Change one's own password; all one's browsers are signed out."""
    access, who = access_of(asked.request), asked.who
    if body.revoke_tokens and not who.may(Role.ADMINISTRATOR):
        raise NotFromHere(message("Only an administrator may revoke the API tokens."))
    user = await access.users.one(who.name if who.kind == "session" else body.user)
    address = remote(asked.request)
    await access.change_password(user, body.old, body.new, address, revoke_tokens=body.revoke_tokens)
    notes_of(asked.request).subject = user.name


async def make_link(asked: Asked) -> Link:
    """A new link for the first administrator to set their password."""
    if asked.who.kind != "socket":
        raise NotFromHere(message("Run `astergram web link` on the server."))
    access = access_of(asked.request)
    return Link(link=f"{asked.web.url}/password?link={await access.users.new_link(await access.first())}")


operations = (
    Operation("GET", "/api/access/tokens", list_tokens, "The API tokens"),
    Operation(
        "POST",
        "/api/access/tokens",
        make_token,
        "Make an API token",
        status=201,
    ),
    Operation(
        "DELETE",
        "/api/access/tokens/{id}",
        revoke_token,
        "Revoke an API token",
        errors={404: UnknownToken},
    ),
    Operation(
        "POST",
        "/api/access/password",
        change_password,
        "Change one's own password",
        errors={403: (WrongPassword, NotFromHere), 404: UnknownUser, 422: PasswordRefused, 429: TooManyTries},
    ),
    Operation(
        "POST",
        "/api/access/link",
        make_link,
        "Make a link for the first administrator to set their password; over the Unix socket only",
        errors={403: NotFromHere, 404: UnknownUser},
        status=201,
    ),
)
