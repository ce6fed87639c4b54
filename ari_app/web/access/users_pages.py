"""The users, for an administrator."""

from typing import Any

from aiohttp import web

from ari_app.i18n import message
from ari_app.web.access.access import access_of
from ari_app.web.access.refusals import AccessRefused, UnknownUser, UserRefused
from ari_app.web.access.users import INVITATION_S, LONGEST_NAME, RESET_LINK_S, note_role
from ari_app.web.http.context import identity, web_of
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.http.roles import MAY, NAMES, Role
from ari_app.web.oidc.oidc import oidc_of
from ari_app.web.ui.render import render, translator_of

routes = web.RouteTableDef()

USER = "/users/{name}"
NO_ACCESS = message("No access")


@routes.get("/users")
async def users(request: web.Request) -> web.StreamResponse:
    """All of them."""
    return await _page(request)


async def _page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    translate, access = translator_of(request), access_of(request)
    base = {
        "users": await access.users.all(),
        "by_oidc": await access.users.by_oidc(),
        "admits": access.admits,
        "oidc": oidc_of(request),
        "role_names": {role.value: translate(NAMES[role]) for role in Role} | {"none": translate(NO_ACCESS)},
        "roles": [(role.value, translate(NAMES[role])) for role in Role],
        "roles_may": [(translate(NAMES[role]), translate(MAY[role])) for role in Role],
        "longest": LONGEST_NAME,
        "typed": {},
        "errors": {},
        "made": None,
    }
    return render(request, "access/users.html", status=status, **(base | values))


@routes.post("/users")
async def add(request: web.Request) -> web.StreamResponse:
    """A new user; the answer shows a link by which they set their password."""
    its, fields = access_of(request).users, await form(request)
    try:
        user = await its.add(fields.get("name", ""), _role(fields.get("role", "")))
    except UserRefused as refused:
        return await _page(request, 422, typed=fields, errors={refused.field: refused.sentence})
    note_role(request, user, None, user.role)
    if not access_of(request).admits(user):
        flash(request, message("The user {name} is added, and signs in by the provider.", name=user.name))
        return await _page(request)
    return await _page(request, made=await _link(request, user.name))


@routes.post(USER + "/role")
async def set_role(request: web.Request) -> web.StreamResponse:
    """Another role."""
    name = request.match_info["name"]
    try:
        role = _role((await form(request)).get("role", ""))
        was = await access_of(request).users.set_role(name, role)
    except UnknownUser:
        raise web.HTTPNotFound from None
    except AccessRefused as refused:
        notes_of(request).failed = True
        flash(request, refused.sentence, "failed")
    else:
        note_role(request, was, was.role, role.value)
        flash(request, message("Saved."))
    raise web.HTTPSeeOther("/" if name == identity(request).name else "/users")


@routes.post(USER + "/link")
async def new_link(request: web.Request) -> web.StreamResponse:
    """A new link by which they set their password; the answer shows it."""
    return await _page(request, made=await _link(request, request.match_info["name"]))


@routes.post(USER + "/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove one."""
    name = request.match_info["name"]
    try:
        was = await access_of(request).users.remove(name)
    except UnknownUser:
        raise web.HTTPNotFound from None
    except AccessRefused as refused:
        notes_of(request).failed = True
        flash(request, refused.sentence, "failed")
    else:
        note_role(request, was, was.role, None)
        flash(request, message("The user {name} is removed.", name=name))
    raise web.HTTPSeeOther("/users")


@routes.post(USER + "/two-factor/off")
async def turn_two_factor_off(request: web.Request) -> web.StreamResponse:
    """For a user who has lost their device, and their recovery codes."""
    access, name = access_of(request), request.match_info["name"]
    try:
        await access.two_factor.turn_off(await access.users.one(name))
    except UnknownUser:
        raise web.HTTPNotFound from None
    flash(request, message("Two-factor authentication of {name} is off.", name=name))
    raise web.HTTPSeeOther("/users")


async def _link(request: web.Request, name: str) -> dict[str, Any]:
    """What the page shows of a new link."""
    its = access_of(request).users
    try:
        user = await its.one(name)
    except UnknownUser:
        raise web.HTTPNotFound from None
    link = f"{web_of(request).url}/password?link={await its.new_link(user)}"
    return {"name": user.name, "link": link, "hours": round((RESET_LINK_S if user.hash else INVITATION_S) / 3600)}


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise UserRefused(message("Choose a role."), "role") from None
