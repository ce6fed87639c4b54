"""Backups, for administrators: made, listed, removed; and put in place at the next start."""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from ari_app.backups.backups import BackupRefused, Backups, PassphraseRefused, UnknownBackup
from ari_app.i18n import Message, message
from ari_app.web.audit.recording import actor_of
from ari_app.web.backups.forms import SCHEDULE
from ari_app.web.http.context import identity, services
from ari_app.web.http.errors import PageError
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.http.part_forms import SentForm, of_part, save_part
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

HERE = "/settings/backups"
ONE = HERE + "/{name}"


@routes.get(HERE)
async def backups(request: web.Request) -> web.StreamResponse:
    """All of it."""
    return await _page(request)


@routes.get(f"{HERE}/list")
async def backup_list(request: web.Request) -> web.StreamResponse:
    """The part that changes."""
    return render(request, "backups/list.html", **await _list(request))


@routes.post(HERE)
async def save(request: web.Request) -> web.StreamResponse:
    """Change what was changed, or say what can't be."""
    sent = await save_part(SCHEDULE, await form(request), _of(request).part)
    if sent.status != HTTPStatus.OK:
        return await _page(request, sent)
    flash(request, sent.edit.done)
    raise web.HTTPSeeOther(HERE)


@routes.post(f"{HERE}/make")
async def make(request: web.Request) -> web.StreamResponse:
    """One more, now."""
    try:
        made = await _of(request).make()
    except BackupRefused as error:
        raise PageError(409, error.sentence) from None
    notes_of(request).subject = made.name
    flash(request, message("{name} is made.", name=made.name))
    raise web.HTTPSeeOther(HERE)


@routes.get(f"{ONE}/file")
async def download(request: web.Request) -> web.StreamResponse:
    """The file as it is."""
    name = request.match_info["name"]
    path = await _known(request)
    return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@routes.post(f"{ONE}/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove one for good."""
    await _known(request)
    try:
        await _of(request).remove(request.match_info["name"])
    except (BackupRefused, UnknownBackup) as error:
        raise PageError(409, error.sentence) from None
    flash(request, message("The backup is removed."))
    raise web.HTTPSeeOther(HERE)


@routes.post(f"{ONE}/restore")
async def restore(request: web.Request) -> web.StreamResponse:
    """Unpack and examine one for the next start."""
    fields, name = await form(request), request.match_info["name"]
    await _known(request)
    try:
        by = actor_of(request, identity(request))
        await _of(request).stage(name, fields.get("passphrase", ""), by)
    except PassphraseRefused as error:
        return await _page(request, status=422, refused={name: error.sentence})
    except (BackupRefused, UnknownBackup) as error:
        raise PageError(409, error.sentence) from None
    flash(request, message("It was examined, and is whole: start Astergram again to put it in place."))
    raise web.HTTPSeeOther(HERE)


@routes.post(f"{HERE}/restore/cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    """Let all be as it is."""
    its = _of(request)
    if staged := its.staged:
        notes_of(request).subject = staged.name
    try:
        await its.unstage()
    except BackupRefused as error:
        raise PageError(409, error.sentence) from None
    flash(request, message("Nothing is restored."))
    raise web.HTTPSeeOther(HERE)


def _of(request: web.Request) -> Backups:
    return services(request).backups


async def _known(request: web.Request) -> Any:
    try:
        return await _of(request).path(request.match_info["name"])
    except UnknownBackup as error:
        raise PageError(404, error.sentence) from None


async def _list(request: web.Request) -> dict[str, Any]:
    its = _of(request)
    return {"backups": its, "files": await its.files(), "refused": {}}


async def _page(
    request: web.Request,
    sent: SentForm | None = None,
    status: int = 200,
    refused: dict[str, Message] | None = None,
) -> web.StreamResponse:
    parts = of_part(SCHEDULE, _of(request).part, sent) | await _list(request) | {"refused": refused or {}}
    return render(request, "backups/index.html", sent.status if sent else status, **parts)
