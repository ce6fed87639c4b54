"""One's own passkeys and security keys: added, and removed."""

from aiohttp import web

from ari_app.i18n import message
from ari_app.web.access.access import access_of
from ari_app.web.access.account import own
from ari_app.web.access.passkeys import PasskeyRefused, relying_party
from ari_app.web.access.two_factor_pages import PLACE, kept_on, two_factor_page, unconfirmed
from ari_app.web.http.context import identity
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of

routes = web.RouteTableDef()


@routes.post("/account/passkeys")
async def add(request: web.Request) -> web.StreamResponse:
    """One more; the first second factor shows recovery codes, and signs every other browser out."""
    access, user, party, fields = access_of(request), await own(request), relying_party(request), await form(request)
    name = fields.get("passkey_name", "")
    first = not user.second_factor
    if not first and (refused := await unconfirmed(request, user, "again-add", passkey_name=name)):
        return refused
    digests, readable = access.two_factor.made_codes()
    try:
        session, credential = identity(request).digest, fields.get("credential", "")
        row = await access.passkeys.add(user, session, party, credential, name, digests if first else None)
    except PasskeyRefused as wrong:
        return await two_factor_page(request, 422, errors={wrong.field: wrong.sentence}, passkey_name=name)
    if first:
        access.two_factor.turned_on(user, identity(request).digest)
    notes_of(request).subject = user.name
    notes_of(request).changes["passkey"] = (None, row.name)
    if first:
        return await two_factor_page(request, codes=readable)
    flash(request, message("The passkey {name} is added.", name=row.name))
    raise web.HTTPSeeOther(PLACE)


@routes.post("/account/passkeys/{id}/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove one, for whoever says their password, or a code, again."""
    access, user, id = access_of(request), await own(request), request.match_info["id"]
    known, party = {str(each.id): each.rp_id for each in await access.passkeys.all(user)}, relying_party(request)
    if id not in known:
        raise web.HTTPNotFound
    others = {host for each, host in known.items() if each != id}
    last = user.totp is None and not (party and party.id in others)
    if last and (refused := await kept_on(request, user, "again-remove")):
        return refused
    if refused := await unconfirmed(request, user, "again-remove"):
        return refused
    removed = await access.passkeys.remove(user, int(id))
    if removed:
        notes_of(request).subject = user.name
        notes_of(request).changes["passkey"] = (removed.name, None)
    flash(request, message("The passkey is removed."))
    raise web.HTTPSeeOther(PLACE)
