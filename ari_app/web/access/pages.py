"""Getting in and out: the first password, login, logout; language and theme."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.reports.audit import Actor
from ari_app.store.users import UserRow
from ari_app.web.access.access import Access, access_of
from ari_app.web.access.account import Unanswered, signed_in, tokens_to_ask_for, tokens_too
from ari_app.web.access.passkeys import relying_party
from ari_app.web.access.passwords import SHORTEST
from ari_app.web.access.refusals import AccessRefused, LinkRefused, PasswordRefused, PasswordsOff, TooManyTries
from ari_app.web.access.two_factor import ChallengeOver, WrongCode
from ari_app.web.access.users import FIRST
from ari_app.web.audit.actions import SIGN_IN_FAILED, SIGNED_IN
from ari_app.web.http.context import identity, services, web_of
from ari_app.web.http.cookies import SECRET_BYTES
from ari_app.web.http.forms import form
from ari_app.web.http.middlewares import remote
from ari_app.web.http.notes import notes_of
from ari_app.web.ui.render import LANGUAGE_CHOICE, THEME_CHOICE, THEMES, render, templates_of

routes = web.RouteTableDef()

WITH_OIDC = {"way": ("", "OpenID Connect")}
"""How somebody has signed in, for the audit log."""


@routes.get("/login")
async def login(request: web.Request) -> web.StreamResponse:
    """The form."""
    if identity(request).role:
        raise web.HTTPSeeOther(local_place(request.query.get("next", "")))
    return await login_page(request, next=request.query.get("next", ""), left=request.query.get("left") == "oidc")


async def login_page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    """The form, with the ways that there are; ``error`` is of the password, ``refused`` of the provider."""
    access = access_of(request)
    users = access.users
    names = [user.name for user in await users.all()]
    base = {
        "next": "",
        "has_password": await users.any_password(),
        # Whoever knew the one password before there were users.
        "only": FIRST if names == [FIRST] else "",
        "typed": "",
        "error": None,
        "refused": None,
        "left": False,
        "oidc": access.oidc,
    }
    return render(request, "access/login.html", status=status, **(base | values))


@routes.post("/login")
async def log_in(request: web.Request) -> web.StreamResponse:
    """Sign in, and go on to the page that was wanted."""
    fields = await form(request)
    name, wanted = fields.get("username", ""), fields.get("next", "")
    address, audit = remote(request), services(request).audit
    try:
        user = await access_of(request).sign_in(name, fields.get("password", ""), address)
    except AccessRefused as refused:
        # Who has to wait has tried nothing; if that were kept, anybody could fill the database.
        if isinstance(refused, TooManyTries):
            page = await login_page(request, 429, next=wanted, typed=name, error=refused.sentence)
            page.headers["Retry-After"] = str(refused.wait_s)
            return page
        # Only a name that there is: what else was typed there may be a password.
        known = await access_of(request).users.find(name)
        audit.record(Actor("visitor", address=address), SIGN_IN_FAILED, known.name if known else "")
        return await login_page(request, 403, next=wanted, typed=name, error=refused.sentence)
    return await _let_in(request, user, local_place(wanted))


async def _let_in(request: web.Request, user: UserRow, wanted: str) -> web.StreamResponse:
    """Sign in whoever has shown that they know the password, or ask for the code of their device first."""
    if user.second_factor:
        return await ask_for_code(request, user, wanted)
    services(request).audit.record(Actor("user", user.name, remote(request)), SIGNED_IN)
    return await signed_in(request, user, wanted)


async def ask_for_code(request: web.Request, user: UserRow, wanted: str, way: str = "password") -> web.StreamResponse:
    """The second step's form, for who has taken the first one by some way."""
    return await _code_page(request, access_of(request).two_factor.challenge(user, way), wanted)


async def _code_page(
    request: web.Request, challenge: str, wanted: str, status: int = 200, error: Message | None = None
) -> web.StreamResponse:
    access = access_of(request)
    user, nonce = await access.two_factor.asked(challenge)
    options = await access.passkeys.request_options(user, relying_party(request), nonce) if user else ""
    elsewhere = {each.rp_id for each in await access.passkeys.all(user)} if user and not options else set()
    values = {
        "challenge": challenge,
        "next": wanted,
        "error": error,
        "options": options,
        "elsewhere": ", ".join(sorted(elsewhere)),
        "by_app": user is None or user.totp is not None,
        "back": "/login",
    }
    return render(request, "access/code.html", status=status, **values)


@routes.post("/login/code")
async def enter_code(request: web.Request) -> web.StreamResponse:
    """The second step: a code of the user's device, or a recovery code."""
    fields, address = await form(request), remote(request)
    challenge, wanted = fields.get("challenge", ""), local_place(fields.get("next", ""))
    access, audit = access_of(request), services(request).audit
    try:
        code, credential = fields.get("code", ""), fields.get("credential", "")
        entered = await access.sign_in_with_code(challenge, code, address, relying_party(request), credential)
    except ChallengeOver as over:
        return await login_page(request, 403, next=wanted, error=over.sentence)
    except (TooManyTries, WrongCode) as refused:
        if isinstance(refused, WrongCode):
            audit.record(Actor("visitor", address=address), SIGN_IN_FAILED, refused.user)
        status = 429 if isinstance(refused, TooManyTries) else 403
        return await _code_page(request, challenge, wanted, status, refused.sentence)
    how = {"recovery code": ("", "used")} if entered.recovery else {}
    if entered.way == "oidc":
        how |= WITH_OIDC
    audit.record(Actor("user", entered.user.name, address), SIGNED_IN, changes=how)
    wanted = "/account/two-factor" if entered.recovery else wanted
    return await signed_in(request, entered.user, wanted, way=entered.way)


@routes.get("/password")
async def first_password(request: web.Request) -> web.StreamResponse:
    """The form that a link to set a password leads to."""
    link = request.query.get("link", "")
    try:
        user = await _of_link(access_of(request), link)
    except AccessRefused as refused:
        return await _password_page(request, None, 403, error=refused.sentence)
    return await _password_page(request, user, link=link)


async def _of_link(access: Access, link: str) -> UserRow:
    """Whose password a link sets; raises LinkRefused, and PasswordsOff for who could not use it."""
    user = await access.users.of_link(link)
    if not access.admits(user):
        raise PasswordsOff
    return user


async def _password_page(
    request: web.Request, user: UserRow | None, status: int = 200, **values: Any
) -> web.StreamResponse:
    tokens = await tokens_to_ask_for(access_of(request), user) if user else []
    base = {"link": "", "tokens": tokens, "error": None, "error_of_tokens": "", "shortest": SHORTEST, "user": user}
    return render(request, "access/password.html", status=status, **(base | values))


@routes.post("/password")
async def set_password(request: web.Request) -> web.StreamResponse:
    """Set the password, and sign in."""
    fields = await form(request)
    link, password = fields.get("link", ""), fields.get("password", "")
    access, user = access_of(request), None
    try:
        user = await _of_link(access, link)
        if password != fields.get("password_again", ""):
            raise PasswordRefused(message("The two passwords are not the same."))
        revoke = await tokens_too(access, user, fields)
        user = await access.users.set_password_by_link(link, password, revoke_tokens=revoke)
    except (LinkRefused, PasswordsOff) as refused:
        return await _password_page(request, None, 403, error=refused.sentence)
    except Unanswered as refused:
        return await _password_page(request, user, 422, link=link, error_of_tokens=refused.sentence)
    except AccessRefused as refused:
        return await _password_page(request, user, 422, link=link, error=refused.sentence)
    notes_of(request).who = user.name
    return await _let_in(request, user, "/")


@routes.post("/logout")
async def log_out(request: web.Request) -> web.StreamResponse:
    """Sign this browser out."""
    its, who = web_of(request), identity(request)
    await access_of(request).sessions.end(who.digest)
    response = web.HTTPSeeOther("/login?left=oidc" if who.way == "oidc" else "/login")
    its.cookies.drop_session(response)
    its.cookies.set_visitor(response, secrets.token_urlsafe(SECRET_BYTES))  # all that is asked next has the same
    # Whatever a browser has kept of our pages goes, too.
    response.headers["Clear-Site-Data"] = '"cache"'
    raise response


@routes.post("/choices")
async def choose(request: web.Request) -> web.StreamResponse:
    """Keep a language or a theme in this browser."""
    its, fields = web_of(request), await form(request)
    response = web.HTTPSeeOther(local_place(fields.get("back", "")))
    if fields.get(LANGUAGE_CHOICE) in templates_of(request).languages:
        its.cookies.set_choice(response, LANGUAGE_CHOICE, fields[LANGUAGE_CHOICE])
    if fields.get(THEME_CHOICE) in THEMES:
        its.cookies.set_choice(response, THEME_CHOICE, fields[THEME_CHOICE])
    raise response


def local_place(path: str) -> str:
    """A place on this page; wherever else somebody is to be sent, it is the overview."""
    parts = urlsplit(path)
    outside = parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\"))
    return "/" if outside or any(ord(sign) < 33 for sign in path) else path
