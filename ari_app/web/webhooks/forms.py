"""A webhook as a form."""

from collections.abc import Mapping
from typing import Any

from ari_app.i18n import Message, message
from ari_app.store.webhooks import WebhookRow
from ari_app.web.http.edits import FIELD, Edit, Values, meanwhile, unchanged, was_shown
from ari_app.webhooks.payload import TYPES

EVENT = "event."
SWITCHES = ("enabled", "message_text")
TOLD: Mapping[str, Message] = {
    "call.offered": message("A call begins"),
    "call.ringing": message("The side that is called rings"),
    "call.answered": message("Both sides hear each other"),
    "call.transferred": message("A call was transferred"),
    "call.ended": message("A call is over"),
    "keypad": message("Keypad shown, hidden, or digits dialled"),
    "callback.requested": message("A person asks to be called back"),
    "callback.ended": message("A call back is over"),
    "card.sent": message("A business card was sent"),
    "message": message("A person has written to a line"),
    "started": message("Astergram was started"),
    "line.status": message("A line's status has changed"),
    "line.removed": message("A line was removed"),
    "pause": message("Telegram limits a line, or no longer does"),
    "alert": message("An alert, or its end"),
    "drain": message("New calls are stopped, or taken again"),
}
"""What each event tells, for people."""


def unedited(row: WebhookRow) -> Edit:
    """A form that is shown for the first time."""
    return unchanged(_now(row))


def edit(fields: Mapping[str, str], row: WebhookRow) -> Edit:
    """What somebody has changed."""
    now = _now(row)
    sent = {name: fields.get(name, "") if name == "url" else name in fields for name in now}
    return Edit(was_shown(fields.get(FIELD, ""), now), now, sent)


def change(edited: Edit, row: WebhookRow) -> dict[str, Any]:
    """What is to be set."""
    wanted: dict[str, Any] = {name: edited.sent[name] for name in ("url", *SWITCHES) if name in edited.changed}
    if any(name.startswith(EVENT) for name in edited.changed):
        shown = edited.shown()
        wanted["events"] = tuple(each for each in TYPES if shown[EVENT + each])
    return wanted


def differences(edited: Edit, row: WebhookRow) -> dict[str, Message]:
    """What somebody else has set in the same fields."""
    return {name: meanwhile(row.url if name == "url" else "") for name in edited.differs}


def added(fields: Mapping[str, str]) -> dict[str, Any]:
    """A new one, as it is sent."""
    return {
        "url": fields.get("url", ""),
        "message_text": "message_text" in fields,
        "events": tuple(each for each in TYPES if EVENT + each in fields),
    }


def shown(values: Values) -> dict[str, Any]:
    """For the template."""
    return {
        "url": values["url"],
        **{name: values[name] for name in SWITCHES},
        "events": [each for each in TYPES if values[EVENT + each]],
    }


def _now(row: WebhookRow) -> Values:
    events = {EVENT + each: each in row.events for each in TYPES}
    return {"url": row.url, "enabled": row.enabled, "message_text": row.message_text, **events}
