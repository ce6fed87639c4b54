"""What the audit log is told of a webhook that was added, changed or removed."""

from typing import Any

from aiohttp import web
from yarl import URL

from ari_app.store.webhooks import WebhookRow
from ari_app.web.http.notes import notes_of

TOLD = ("url", "events", "enabled", "message_text")


def note_webhook(request: web.Request, before: WebhookRow | None, after: WebhookRow | None) -> None:
    """What differs, before and after; of the address no more than the host, since the rest may be secret."""
    notes = notes_of(request)
    notes.subject = next(row.id for row in (after, before) if row)
    for name in TOLD:
        was, now = (getattr(row, name) if row else None for row in (before, after))
        if was != now:
            notes.changes[name] = (_told(name, was), _told(name, now))


def _told(name: str, value: Any) -> Any:
    return str(URL(value).origin()) if name == "url" and value else value
