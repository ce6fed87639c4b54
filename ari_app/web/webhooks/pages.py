"""Webhooks: where events are sent by HTTP, and what became of each."""

from typing import Any

from aiohttp import web

from ari_app.i18n import message
from ari_app.lines.settings import SettingRefused
from ari_app.store.webhooks import WebhookRow
from ari_app.web.http.context import services
from ari_app.web.http.edits import MEANWHILE
from ari_app.web.http.errors import PageError
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.ui.render import render
from ari_app.web.webhooks import forms
from ari_app.web.webhooks.noted import note_webhook
from ari_app.webhooks.payload import TYPES
from ari_app.webhooks.webhooks import Outbox, UnknownWebhook, Webhooks

routes = web.RouteTableDef()

ALL = "/settings/webhooks"
ONE = ALL + "/{id}"
ON_A_PAGE = 50
DIGITS = 18  # of a delivery: what SQLite can hold, and int() can read
STATES = {
    "": message("All"),
    "waiting": message("Waiting"),
    "delivered": message("Delivered"),
    "failed": message("Given up"),
    "lost": message("Lost"),
}
COLOURS = {"waiting": "orange", "delivered": "green", "failed": "red", "lost": "red"}


@routes.get(ALL)
async def webhooks(request: web.Request) -> web.StreamResponse:
    """All of them, and a form for a new one."""
    return _list(request)


@routes.get(f"{ALL}/list")
async def webhook_list(request: web.Request) -> web.StreamResponse:
    """The part that changes with what is sent."""
    return render(request, "webhooks/list.html", outboxes=_webhooks(request).all())


@routes.post(ALL)
async def add_webhook(request: web.Request) -> web.StreamResponse:
    """A new one; the answer shows its secret, the only time."""
    fields = await form(request)
    wanted = forms.added(fields)
    try:
        row = await _webhooks(request).add(wanted)
    except SettingRefused as refused:
        errors = {each.key: each.reason for each in refused.wrong}
        return _list(request, 422, wanted=wanted, errors=errors)
    note_webhook(request, None, row)
    return await _one(request, row, made=row.secret)


@routes.get(ONE)
async def webhook(request: web.Request) -> web.StreamResponse:
    """One of them, with its deliveries."""
    return await _one(request, _outbox(request).row)


@routes.get(f"{ONE}/deliveries")
async def deliveries(request: web.Request) -> web.StreamResponse:
    """The part that changes with what is sent."""
    row = _outbox(request).row
    return render(request, "webhooks/deliveries.html", **await _deliveries(request, row))


@routes.post(ONE)
async def change_webhook(request: web.Request) -> web.StreamResponse:
    """Where it goes, and what it gets; or what somebody else has changed of it meanwhile."""
    row, fields = _outbox(request).row, await form(request)
    edit = forms.edit(fields, row)
    if differs := forms.differences(edit, row):
        return await _one(request, row, 412, edit=edit, errors=differs, meanwhile=MEANWHILE)
    try:
        note_webhook(request, row, await _webhooks(request).change(row.id, forms.change(edit, row)))
    except SettingRefused as refused:
        return await _one(request, row, 422, edit=edit, errors={each.key: each.reason for each in refused.wrong})
    flash(request, edit.done)
    raise web.HTTPSeeOther(f"{ALL}/{row.id}")


@routes.post(f"{ONE}/test")
async def test_webhook(request: web.Request) -> web.StreamResponse:
    """Send an event that tells of nothing."""
    row = _outbox(request).row
    _webhooks(request).test(row.id)
    flash(request, message("A test is being sent: see what becomes of it below."))
    raise web.HTTPSeeOther(f"{ALL}/{row.id}")


@routes.post(f"{ONE}/secret")
async def renew_secret(request: web.Request) -> web.StreamResponse:
    """Another secret; the answer shows it, the only time."""
    row = await _webhooks(request).renew_secret(_outbox(request).row.id)
    return await _one(request, row, made=row.secret)


@routes.post(f"{ONE}/remove")
async def remove_webhook(request: web.Request) -> web.StreamResponse:
    """Remove it."""
    note_webhook(request, await _webhooks(request).remove(_outbox(request).row.id), None)
    flash(request, message("The webhook is removed."))
    raise web.HTTPSeeOther(ALL)


@routes.post(f"{ONE}/deliveries/{{delivery}}/send")
async def send_again(request: web.Request) -> web.StreamResponse:
    """Send an event again."""
    row, delivery = _outbox(request).row, _number(request.match_info["delivery"])
    if delivery is None:
        raise web.HTTPNotFound
    try:
        await _webhooks(request).send_again(row.id, delivery)
    except UnknownWebhook as error:
        raise PageError(404, error.sentence) from None
    flash(request, message("It is being sent again."))
    raise web.HTTPSeeOther(f"{ALL}/{row.id}")


def _webhooks(request: web.Request) -> Webhooks:
    return services(request).webhooks


def _outbox(request: web.Request) -> Outbox:
    try:
        return _webhooks(request).one(request.match_info["id"])
    except UnknownWebhook as error:
        raise PageError(404, error.sentence) from None


def _list(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    base = {
        "outboxes": _webhooks(request).all(),
        "wanted": {"url": "", "message_text": False, "events": ()},
        "errors": {},
        "types": TYPES,
        "told": forms.TOLD,
    }
    return render(request, "webhooks/index.html", status=status, **(base | values))


async def _one(request: web.Request, row: WebhookRow, status: int = 200, **values: Any) -> web.StreamResponse:
    edit = values.pop("edit", None) or forms.unedited(row)
    base = {
        "wanted": forms.shown(edit.shown()),
        "read": edit.read(),
        "made": None,
        "meanwhile": None,
        "errors": {},
        "types": TYPES,
        "told": forms.TOLD,
    }
    parts = await _deliveries(request, row)
    return render(request, "webhooks/webhook.html", status=status, **(base | parts | values))


async def _deliveries(request: web.Request, row: WebhookRow) -> dict[str, Any]:
    state = request.query.get("state", "")
    rows = await _webhooks(request).deliveries(
        row.id,
        state if state in COLOURS else None,  # type: ignore[arg-type]  # its keys are the states
        _number(request.query.get("before", "")),
        ON_A_PAGE + 1,
    )
    return {
        "outbox": _webhooks(request).one(row.id),
        "row": row,
        "deliveries": rows[:ON_A_PAGE],
        "more": rows[ON_A_PAGE - 1].id if len(rows) > ON_A_PAGE else None,
        "state": state,
        "states": STATES,
        "colours": COLOURS,
    }


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None
