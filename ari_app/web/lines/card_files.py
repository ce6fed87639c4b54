"""The files of a line's business card: sent, shown and removed on the page of the card."""

import asyncio

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.lines.card_files import CardFileRefused, Kind, NoSuchCardFile
from ari_app.web.http import setting_forms
from ari_app.web.http.context import services
from ari_app.web.http.errors import PageError
from ari_app.web.http.flash import flash
from ari_app.web.http.uploads import takes_file
from ari_app.web.lines import forms as line_forms
from ari_app.web.lines.card_files_api import file_response
from ari_app.web.lines.line import LINE, number_of
from ari_app.web.lines.settings import tab_page

routes = web.RouteTableDef()

PLACE = LINE + "/card/{kind:contact_vcard|picture}"


@routes.get(PLACE)
async def show(request: web.Request) -> web.StreamResponse:
    """The file itself."""
    try:
        file = await services(request).card_files.get(number_of(request), _kind(request))
    except NoSuchCardFile as error:
        raise PageError(404, error.sentence) from None
    return file_response(file.type, file.content)


@routes.post(PLACE)
@takes_file
async def upload(request: web.Request) -> web.StreamResponse:
    """Keep a file, or say why not."""
    number, kind = number_of(request), _kind(request)
    sent = (await request.post()).get("file")
    refused: Message | None = None
    if isinstance(sent, web.FileField):
        content = await asyncio.to_thread(sent.file.read)
        try:
            await services(request).card_files.put(number, kind, sent.filename, content)
        except CardFileRefused as error:
            refused = error.sentence
    else:
        refused = message("Choose a file first.")
    if refused:
        edit = setting_forms.unedited(line_forms.CARD, services(request).lines.settings(number))
        return await tab_page(request, "card", edit, status=422, file_errors={kind: refused})
    flash(request, message("Saved."))
    raise web.HTTPSeeOther(f"/lines/{number}/card")


@routes.post(PLACE + "/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove it; one that is gone already is as good."""
    number = number_of(request)
    try:
        await services(request).card_files.remove(number, _kind(request))
    except NoSuchCardFile as error:
        flash(request, error.sentence, "failed")
    else:
        flash(request, message("The file is removed."))
    raise web.HTTPSeeOther(f"/lines/{number}/card")


def _kind(request: web.Request) -> Kind:
    return "picture" if request.match_info["kind"] == "picture" else "contact_vcard"
