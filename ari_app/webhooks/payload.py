"""An event as a webhook gets it: JSON, as the Standard Webhooks specification recommends.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import json
import re
from collections.abc import Iterator
from dataclasses import Field, fields
from datetime import UTC, datetime
from typing import Any

from ari_app.pbx.events import (
    ReportedEvent,
    TelegramCallStatus,
    TelegramEventsLost,
    TelegramMessage,
    TelegramResponse,
    TelegramStatusComplete,
    kinds,
)

AMI_ONLY = (TelegramCallStatus, TelegramStatusComplete, TelegramResponse, TelegramEventsLost)
"""Answers to what is asked by AMI, and what AMI has lost."""
LEFT_OUT = frozenset({"event_time", "action_id"})
"""Fields that are told in another place, or that only an answer has."""
TEST = "test"
"""The type of what the button sends."""


def type_of(kind: type[ReportedEvent]) -> str:
    """`TelegramCallOffered` is `call.offered`."""
    return ".".join(re.findall("[A-Z][a-z]*", kind.event.removeprefix("Telegram"))).lower()


def sent_kinds() -> Iterator[type[ReportedEvent]]:
    """What webhooks get."""
    return (kind for kind in kinds() if kind not in AMI_ONLY)


TYPES = tuple(type_of(kind) for kind in sent_kinds())


def data_of(kind: type[ReportedEvent]) -> Iterator[Field[Any]]:
    """The fields of a kind of event, as its ``data`` has them."""
    return (each for each in fields(kind) if each.name not in LEFT_OUT)


def body_of(event: ReportedEvent, with_text: bool) -> str:
    """The whole body. ``with_text``: with the text of a message."""
    data = {each.name: getattr(event, each.name) for each in data_of(type(event))}
    if isinstance(event, TelegramMessage) and not with_text:
        data["text"] = ""
    return body(type_of(type(event)), event.event_time, data)


def body(type: str, at: float, data: dict[str, Any]) -> str:
    """The body of an event that happened at a Unix time."""
    timestamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": type, "timestamp": timestamp, "data": data}, ensure_ascii=False)


def order_key(event: ReportedEvent) -> str:
    """Events with the same are sent one after the other: those of a call, or else of a line."""
    return str(getattr(event, "call_id", "") or getattr(event, "line", ""))
