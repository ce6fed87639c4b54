"""Keeps in the audit log what is done by the page and the API: a new route, too, by itself."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from ari_app.reports.audit import COMMAND_LINE, Actor, differences
from ari_app.web.audit.actions import action_of
from ari_app.web.http.context import Identity, identity, services
from ari_app.web.http.middlewares import remote
from ari_app.web.http.notes import notes_of
from ari_app.web.http.roles import route_of
from ari_app.web.http.services import Services


@web.middleware
async def recorded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Record what was asked for, once it is done, with the settings that differ since.

    Those that somebody else changes in the same moment may be told with it: they are in the log for both.
    """
    route = route_of(request)
    if not (route and (action := action_of(*route))):
        return await handler(request)
    its, who = services(request), identity(request)
    before = settings_of(its)
    try:
        response = await handler(request)
    except web.HTTPException as answered:
        if answered.status < HTTPStatus.BAD_REQUEST:
            _record(request, its, who, action, before)
        raise
    except BaseException:
        if notes_of(request).begun:  # whoever hangs up before the last byte has had the others
            _record(request, its, who, action, before)
        raise
    if response.status < HTTPStatus.BAD_REQUEST:
        _record(request, its, who, action, before)
    return response


def _record(request: web.Request, its: Services, who: Identity, action: str, before: Mapping[str, BaseModel]) -> None:
    notes, after = notes_of(request), settings_of(its)
    if notes.failed:
        return
    changes: dict[str, tuple[Any, Any]] = dict(notes.changes)
    subject = notes.subject or next(
        (request.match_info[name] for name in ("number", "name", "id") if name in request.match_info), ""
    )
    for name in before.keys() | after.keys():
        if before.get(name) is not after.get(name):
            changes |= differences(before.get(name), after.get(name))
            subject = subject or name
    its.audit.record(actor_of(request, who, notes.who), action, subject, changes)


def actor_of(request: web.Request, who: Identity, name: str = "") -> Actor:
    """Who asks."""
    if who.kind == "socket":
        return COMMAND_LINE
    kind = {"session": "user", "token": "token"}.get(who.kind, "user" if name else "visitor")
    return Actor(kind, who.name or name, remote(request))


def settings_of(its: Services) -> dict[str, BaseModel]:
    """What is set now: by a line's number, a part's name, or, for the whole installation, under no name."""
    parts = {each.name: each.settings for each in (its.alerts.part, its.backups.part)}
    return {"": its.installation.settings, **parts} | {each.number: each for each in its.lines.all_settings()}
