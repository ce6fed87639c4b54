"""One's own account: the password, and the browsers that are signed in."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.store.access import TokenRow
from ari_app.store.users import UserRow
from ari_app.web.access.access import Access, access_of
from ari_app.web.access.passwords import SHORTEST
from ari_app.web.access.refusals import AccessRefused, PasswordRefused, TooManyTries
from ari_app.web.access.secrets import digest
from ari_app.web.http.context import identity, web_of
from ari_app.web.http.flash import FlashMessage, flash, flashes_of
from ari_app.web.http.forms import form
from ari_app.web.http.middlewares import remote
from ari_app.web.http.roles import MAY, NAMES, Role
from ari_app.web.ui.render import render

routes = web.RouteTableDef()


class Unanswered(AccessRefused):
    """Nobody has said what becomes of the API tokens."""

    def __init__(self) -> None:
        super().__init__(message("Choose what happens to the API tokens."))


WRONG_FIELDS = {PasswordRefused: "new_password", Unanswered: "tokens"}


async def tokens_too(access: Access, user: UserRow, fields: Mapping[str, str]) -> bool:
    """Whether the tokens go with the old password; raises Unanswered where there are some, and that was not said."""
    answer = fields.get("tokens", "")
    if not await tokens_to_ask_for(access, user):
        return False
    if answer not in ("keep", "revoke"):
        raise Unanswered
    return answer == "revoke"


async def tokens_to_ask_for(access: Access, user: UserRow) -> list[TokenRow]:
    """The tokens that a user may have made under a password that is now changed."""
    return await access.tokens.all() if user.hash and Role(user.role) is Role.ADMINISTRATOR else []


async def signed_in(
    request: web.Request, user: UserRow, where: str, told: Message | None = None, way: str = "password"
) -> web.StreamResponse:
    """Sign the asking browser in, by some way, and send it somewhere, where it is told something."""
    response = web.Response(status=303, headers={"Location": where})
    secret = await start_session(request, response, user, way)
    if told:
        flashes_of(request).add(digest(secret), FlashMessage("done", told))
    return response


async def start_session(request: web.Request, response: web.StreamResponse, user: UserRow, way: str) -> str:
    """Sign the browser in that gets a response; the secret of its session."""
    agent = request.headers.get("User-Agent", "")
    secret = await access_of(request).sessions.start(user.id, remote(request), agent, way)
    web_of(request).cookies.set_session(response, secret)
    return secret


@routes.get("/account")
async def account(request: web.Request) -> web.StreamResponse:
    """All of it."""
    return await _page(request)


async def _page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    access, user = access_of(request), await own(request)
    base = {
        "user": user,
        "role": NAMES[Role(user.role)],
        "role_may": MAY[Role(user.role)],
        "sessions": await access.sessions.all(user.id),
        "tokens": await tokens_to_ask_for(access, user),
        "shortest": SHORTEST,
        "by_password": access.admits(user),
        "errors": {},
    }
    return render(request, "access/account.html", status=status, **(base | values))


async def own(request: web.Request) -> UserRow:
    """Who has signed in at the asking browser."""
    return await access_of(request).users.one(identity(request).name)


@routes.post("/account/password")
async def change_password(request: web.Request) -> web.StreamResponse:
    """A new password; every other browser is signed out."""
    access, user, fields = access_of(request), await own(request), await form(request)
    new = fields.get("new_password", "")
    try:
        if new != fields.get("password_again", ""):
            raise PasswordRefused(message("The two passwords are not the same."))
        revoke = await tokens_too(access, user, fields)
        old = fields.get("old_password", "")
        await access.change_password(user, old, new, remote(request), revoke_tokens=revoke)
    except AccessRefused as refused:
        where = WRONG_FIELDS.get(type(refused), "old_password")
        status = 429 if isinstance(refused, TooManyTries) else 422
        page = await _page(request, status, errors={where: refused.sentence})
        if isinstance(refused, TooManyTries):
            page.headers["Retry-After"] = str(refused.wait_s)
        return page
    done = (
        message("The password is changed, and the API tokens are revoked.")
        if revoke
        else message("The password is changed.")
    )
    return await signed_in(request, user, "/account", done, identity(request).way)


@routes.post("/account/sessions/others")
async def end_others(request: web.Request) -> web.StreamResponse:
    """Sign every other browser out."""
    user = await own(request)
    await access_of(request).sessions.end_others(user, identity(request).digest)
    flash(request, message("Every other browser is signed out."))
    raise web.HTTPSeeOther("/account")
