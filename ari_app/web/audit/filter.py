"""Which entries a page of the audit log shows: all of it stands in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from typing import Any
from urllib.parse import urlencode

from ari_app.reports.audit import KINDS
from ari_app.store.audit import AuditQuery
from ari_app.web.audit.actions import ACTIONS
from ari_app.web.calls.filter import LONGEST_TEXT, day_of, days_between, one_of, page_number


@dataclass(frozen=True)
class AuditFilter:
    """What was chosen; ``first`` and ``last`` are days, both included. ``page`` counts from 1."""

    text: str = ""
    kind: str = ""
    action: str = ""
    first: date | None = None
    last: date | None = None
    page: int = 1

    @classmethod
    def of(cls, address: Mapping[str, str]) -> "AuditFilter":
        """From an address's query; raises PageError."""
        given = {name: value.strip() for name, value in address.items()}
        return cls(
            text="".join(filter(str.isprintable, given.get("q", "")))[:LONGEST_TEXT],
            kind=one_of(given.get("by", ""), KINDS),
            action=one_of(given.get("action", ""), ACTIONS),
            first=day_of(given.get("from", "")),
            last=day_of(given.get("to", "")),
            page=page_number(given.get("page", "")),
        )

    def query(self, zone: tzinfo) -> AuditQuery:
        """For the log; days begin at midnight in ``zone``."""
        since, until = days_between(self.first, self.last, zone)
        return AuditQuery(self.text, self.kind, self.action, since, until)

    def address(self, path: str, **changes: Any) -> str:
        """The address of a page with this choice, but for what is changed."""
        its = replace(self, **changes)
        given = {
            "q": its.text,
            "by": its.kind,
            "action": its.action,
            "from": its.first.isoformat() if its.first else "",
            "to": its.last.isoformat() if its.last else "",
            "page": str(its.page) if its.page > 1 else "",
        }
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{path}?{query}" if query else path
