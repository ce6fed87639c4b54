"""What has happened lately: what people did, lights, pauses, alerts; to each reader what they may see."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter
from typing import Literal

from aiohttp import web

from ari_app.alerts.book import Alert
from ari_app.alerts.texts import lasting
from ari_app.i18n import Message, message
from ari_app.lines.health import Colour
from ari_app.store.audit import AuditQuery, AuditRow
from ari_app.web.audit.actions import ACTIONS, SIGN_IN_FAILED
from ari_app.web.audit.pages import KIND_NAMES
from ari_app.web.http.context import identity, services
from ari_app.web.http.roles import Role

LEFT_OUT = frozenset(
    {"diagnostics", "call placed", "call ended", "text sent", "event sent again", "webhook tested", "alerts tested"}
)
"""What is done many times a day, and changes nothing."""
SHOWN_ACTIONS = tuple(each for each in ACTIONS if each not in LEFT_OUT)


@dataclass(frozen=True)
class Happened:
    """One entry: when (a Unix time), of what kind, what, by whom (empty for nobody), and how it is since."""

    at: float
    kind: Literal["light", "pause", "program", "alert", "audit"]
    sentence: Message
    who: Message | str = ""
    colour: Colour = Colour.GREY


async def recent(request: web.Request, limit: int) -> list[Happened]:
    """For whoever asks: the audit log is for administrators."""
    its = services(request)
    parts: list[Iterable[Happened]] = [
        (Happened(each.at, each.kind, each.sentence, colour=each.colour) for each in its.activity.all),
        chain.from_iterable(_of_alert(each) for each in (*its.alerts.open, *await its.alerts.last(limit))),
    ]
    if identity(request).may(Role.ADMINISTRATOR):
        found = await its.audit.find(AuditQuery(actions=SHOWN_ACTIONS), 0, limit)
        parts.append(_of_audit(row) for row in found.rows)
    newest = sorted(chain.from_iterable(parts), key=attrgetter("at"), reverse=True)
    return list(islice(newest, limit))


def _of_alert(alert: Alert) -> Iterator[Happened]:
    sentence = alert.condition.sentence
    yield Happened(alert.since, "alert", message("Alert: {sentence}", sentence=sentence), colour=Colour.RED)
    if alert.closed_at is not None:
        over = message("Over: {sentence} ({time})", sentence=sentence, time=lasting(alert.closed_at - alert.since))
        yield Happened(alert.closed_at, "alert", over, colour=Colour.GREEN)


def _of_audit(row: AuditRow) -> Happened:
    action = ACTIONS[row.action]
    said = message("{action}: {subject}", action=action, subject=row.subject) if row.subject else action
    colour = Colour.ORANGE if row.action == SIGN_IN_FAILED else Colour.GREY
    return Happened(row.at, "audit", said, row.who or row.address or KIND_NAMES.get(row.kind, row.kind), colour)
