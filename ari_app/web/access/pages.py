"""Getting in and out: the first password, login, logout; language and theme."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ari_app.i18n import message
from ari_app.store.access import TokenRow
from ari_app.web.access.access import Access, AccessRefused, LinkRefused, PasswordRefused, TooManyTries, access_of
from ari_app.web.access.passwords import SHORTEST
from ari_app.web.http.context import identity, web_of
from ari_app.web.http.forms import form
from ari_app.web.http.middlewares import remote
from ari_app.web.ui.render import LANGUAGE_CHOICE, THEME_CHOICE, THEMES, render, templates_of

routes = web.RouteTableDef()


class Unanswered(AccessRefused):
    """Nobody has said what becomes of the API tokens."""

    def __init__(self) -> None:
        super().__init__(message("Choose what happens to the API tokens."))


async def tokens_too(access: Access, fields: Mapping[str, str]) -> bool:
    """Whether the tokens go with the old password; raises Unanswered where there are some, and that was not said."""
    answer = fields.get("tokens", "")
    if answer not in ("keep", "revoke") and await tokens_to_ask_for(access):
        raise Unanswered
    return answer == "revoke"


async def tokens_to_ask_for(access: Access) -> list[TokenRow]:
    """The tokens that were made under a password that is now changed."""
    return await access.tokens() if await access.has_password() else []


@routes.get("/login")
async def login(request: web.Request) -> web.StreamResponse:
    """The form."""
    if identity(request).right:
        raise web.HTTPSeeOther(_local(request.query.get("next", "")))
    has_password = await access_of(request).has_password()
    return render(
        request, "access/login.html", next=request.query.get("next", ""), has_password=has_password, error=None
    )


@routes.post("/login")
async def log_in(request: web.Request) -> web.StreamResponse:
    """Sign in, and go on to the page that was wanted."""
    access, fields = access_of(request), await form(request)
    address = remote(request)
    try:
        await access.check_password(fields.get("password", ""), address)
    except AccessRefused as refused:
        page = render(
            request,
            "access/login.html",
            status=429 if isinstance(refused, TooManyTries) else 403,
            next=fields.get("next", ""),
            has_password=await access.has_password(),
            error=refused.sentence,
        )
        if isinstance(refused, TooManyTries):
            page.headers["Retry-After"] = str(refused.wait_s)
        return page
    return await _signed_in(request, _local(fields.get("next", "")))


@routes.get("/password")
async def first_password(request: web.Request) -> web.StreamResponse:
    """The form that a link to set the password leads to."""
    link = request.query.get("link", "")
    try:
        await access_of(request).check_link(link)
    except LinkRefused as refused:
        return await _password_page(request, 403, error=refused.sentence)
    return await _password_page(request, link=link)


async def _password_page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    tokens = await tokens_to_ask_for(access_of(request))
    base = {"link": "", "tokens": tokens, "error": None, "error_of_tokens": "", "shortest": SHORTEST}
    return render(request, "access/password.html", status=status, **(base | values))


@routes.post("/password")
async def set_password(request: web.Request) -> web.StreamResponse:
    """Set the password, and sign in."""
    fields = await form(request)
    link, password = fields.get("link", ""), fields.get("password", "")
    access = access_of(request)
    try:
        if password != fields.get("password_again", ""):
            raise PasswordRefused(message("The two passwords are not the same."))
        await access.check_link(link)
        await access.set_password(link, password, revoke_tokens=await tokens_too(access, fields))
    except LinkRefused as refused:
        return await _password_page(request, 403, error=refused.sentence)
    except Unanswered as refused:
        return await _password_page(request, 422, link=link, error_of_tokens=refused.sentence)
    except AccessRefused as refused:
        return await _password_page(request, 422, link=link, error=refused.sentence)
    return await _signed_in(request, "/")


@routes.post("/logout")
async def log_out(request: web.Request) -> web.StreamResponse:
    """Sign this browser out."""
    its = web_of(request)
    await access_of(request).log_out(identity(request).digest)
    response = web.HTTPSeeOther("/login")
    its.cookies.drop_session(response)
    # Whatever a browser has kept of our pages goes, too.
    response.headers["Clear-Site-Data"] = '"cache"'
    raise response


@routes.post("/choices")
async def choose(request: web.Request) -> web.StreamResponse:
    """Keep a language or a theme in this browser."""
    its, fields = web_of(request), await form(request)
    response = web.HTTPSeeOther(_local(fields.get("back", "")))
    if fields.get(LANGUAGE_CHOICE) in templates_of(request).languages:
        its.cookies.set_choice(response, LANGUAGE_CHOICE, fields[LANGUAGE_CHOICE])
    if fields.get(THEME_CHOICE) in THEMES:
        its.cookies.set_choice(response, THEME_CHOICE, fields[THEME_CHOICE])
    raise response


async def _signed_in(request: web.Request, where: str) -> web.StreamResponse:
    its = web_of(request)
    secret = await access_of(request).start_session(remote(request), request.headers.get("User-Agent", ""))
    response = web.Response(status=303, headers={"Location": where})
    its.cookies.set_session(response, secret)
    return response


def _local(path: str) -> str:
    """A place on this page; wherever else somebody is to be sent, it is the overview."""
    parts = urlsplit(path)
    outside = parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\"))
    return "/" if outside or any(ord(sign) < 33 for sign in path) else path
