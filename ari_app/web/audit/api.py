"""The audit log, for programs and the command line."""

from typing import Literal

from aiohttp import web
from pydantic import BaseModel, Field, JsonValue

from ari_app.store.audit import AuditQuery, AuditRow
from ari_app.web.audit.pages import csv_answer
from ari_app.web.calls.api import LATEST, NO_CONTROLS
from ari_app.web.http.operation import Asked, Operation

Kind = Literal["user", "token", "command line", "AMI", "FastAGI", "visitor", "program"]


class AuditEntry(BaseModel):
    """What was done: when (a Unix time), by whom, from where, and to what.

    `changes`: each setting by its name, before and after; of a secret only that it is set.
    """

    at: float
    kind: Kind
    who: str
    address: str
    action: str
    subject: str
    changes: dict[str, list[JsonValue]]

    @classmethod
    def of(cls, row: AuditRow) -> "AuditEntry":
        """An entry that is kept."""
        values = {name: getattr(row, name) for name in ("at", "kind", "who", "address", "action", "subject")}
        return cls.model_validate(values | {"changes": row.changed})


class AuditAnswer(BaseModel):
    """Some of the entries that fit, the newest first, and how many fit."""

    entries: list[AuditEntry]
    total: int


class AuditWanted(BaseModel):
    """Which entries; what is empty does not matter."""

    text: str = Field(
        "", max_length=200, pattern=NO_CONTROLS, description="In name, address or subject.", examples=["admin"]
    )
    kind: Literal["", Kind] = ""
    action: str = Field("", max_length=100, pattern=NO_CONTROLS, examples=["user added"])
    since: float = Field(0, ge=0, le=LATEST, allow_inf_nan=False, description="Unix time, inclusive.")
    until: float = Field(LATEST, ge=0, le=LATEST, allow_inf_nan=False, description="Unix time, exclusive.")

    @property
    def query(self) -> AuditQuery:
        """For the log."""
        return AuditQuery(self.text, self.kind, self.action, self.since, self.until)


class AuditPageWanted(AuditWanted):
    """Which entries, and which of them."""

    offset: int = Field(0, ge=0, le=10_000_000)
    limit: int = Field(50, ge=1, le=500)


async def find_audit(asked: Asked, query: AuditPageWanted) -> AuditAnswer:
    """A page of the log."""
    found = await asked.services.audit.find(query.query, query.offset, query.limit)
    return AuditAnswer(entries=[AuditEntry.of(row) for row in found.rows], total=found.total)


async def export_audit(asked: Asked, query: AuditWanted) -> web.StreamResponse:
    """All entries that fit, as CSV."""
    return await csv_answer(asked.request, query.query)


operations = (
    Operation("GET", "/api/audit", find_audit, "The audit log: who did what"),
    Operation("GET", "/api/audit.csv", export_audit, "The audit log as CSV", media_type="text/csv"),
)
