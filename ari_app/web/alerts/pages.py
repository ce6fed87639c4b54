"""Alerts: which there are, with what is muted; and, for administrators, who is told."""

from typing import Any

from aiohttp import web

from ari_app.alerts.alerts import Alerts, NobodyTold, UnknownAlert
from ari_app.alerts.book import AlertKind
from ari_app.i18n import Message, message
from ari_app.web.alerts.forms import WHO
from ari_app.web.http.context import identity, services
from ari_app.web.http.errors import PageError
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.http.part_forms import SentForm, of_part, save_part
from ari_app.web.ui.render import render
from ari_app.web.webhooks.pages import COLOURS, STATES

routes = web.RouteTableDef()

ALL, SETTINGS = "/alerts", "/settings/alerts"
ON_A_PAGE = 50
HOURS = {
    "1": message("for an hour"),
    "8": message("for 8 hours"),
    "24": message("for a day"),
    "": message("until ended"),
}
KINDS: dict[str, Message] = {
    AlertKind.LIGHT.value: message("Status"),
    AlertKind.PAUSE.value: message("Pause"),
    AlertKind.FROZEN.value: message("Frozen account"),
    AlertKind.DISK.value: message("Disk"),
    AlertKind.FAILED_CALLS.value: message("Failed calls"),
    AlertKind.BACKUP.value: message("Backup"),
    AlertKind.CLUSTER.value: message("Cluster"),
}
TYPES = {"open": message("Alert"), "over": message("Over"), "test": message("Test")}
WAYS = {"telegram": "Telegram", "mail": message("Mail")}


@routes.get(ALL)
async def alerts(request: web.Request) -> web.StreamResponse:
    """All of them."""
    return render(request, "alerts/index.html", **await _alerts(request))


@routes.get(f"{ALL}/list")
async def alert_list(request: web.Request) -> web.StreamResponse:
    """The part that changes."""
    return render(request, "alerts/list.html", **await _alerts(request))


@routes.post(f"{ALL}/mute")
async def mute(request: web.Request) -> web.StreamResponse:
    """Tell nobody of one of them, or of all, for a time."""
    fields = await form(request)
    id, hours = fields.get("alert") or None, fields.get("hours", "")
    if hours not in HOURS:
        raise PageError(422, message("Choose for how long."))
    try:
        row = await _of(request).mute(id, float(hours) if hours else None, identity(request).name)
    except UnknownAlert as error:
        raise PageError(404, error.sentence) from None
    notes_of(request).subject = f"{row.kind} {row.subject}".strip() or "all"
    flash(request, message("Muted: nobody is told."))
    raise web.HTTPSeeOther(ALL)


@routes.post(f"{ALL}/mutes/{{id}}/end")
async def unmute(request: web.Request) -> web.StreamResponse:
    """Tell again."""
    try:
        await _of(request).unmute(request.match_info["id"])
    except UnknownAlert as error:
        raise PageError(404, error.sentence) from None
    flash(request, message("No longer muted."))
    raise web.HTTPSeeOther(ALL)


@routes.get(SETTINGS)
async def settings(request: web.Request) -> web.StreamResponse:
    """Who is told, and what became of each message."""
    return await _settings(request)


@routes.post(SETTINGS)
async def save(request: web.Request) -> web.StreamResponse:
    """Change what was changed, or say what can't be."""
    answered = await save_part(WHO, await form(request), _of(request).part)
    if answered.status != 200:
        return await _settings(request, answered)
    flash(request, answered.edit.done)
    raise web.HTTPSeeOther(SETTINGS)


@routes.get(f"{SETTINGS}/deliveries")
async def deliveries(request: web.Request) -> web.StreamResponse:
    """The part that changes."""
    return render(request, "alerts/deliveries.html", **await _deliveries(request))


@routes.post(f"{SETTINGS}/test")
async def test(request: web.Request) -> web.StreamResponse:
    """Send a test to everybody who is told."""
    try:
        await _of(request).test()
    except NobodyTold as error:
        raise PageError(409, error.sentence) from None
    flash(request, message("A test is being sent: see what becomes of it below."))
    raise web.HTTPSeeOther(SETTINGS)


def _of(request: web.Request) -> Alerts:
    return services(request).alerts


async def _alerts(request: web.Request) -> dict[str, Any]:
    its = _of(request)
    return {"alerts": its, "last": await its.last(ON_A_PAGE), "kinds": KINDS, "hours": HOURS}


async def _settings(request: web.Request, answered: SentForm | None = None) -> web.StreamResponse:
    parts = of_part(WHO, _of(request).part, answered) | await _deliveries(request)
    return render(request, "alerts/settings.html", answered.status if answered else 200, **parts)


async def _deliveries(request: web.Request) -> dict[str, Any]:
    rows = await _of(request).outbox.deliveries(ON_A_PAGE)
    return {"deliveries": rows, "states": STATES, "colours": COLOURS, "types": TYPES, "ways": WAYS}
