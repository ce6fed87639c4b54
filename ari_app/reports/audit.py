"""The audit log: what people and programs do with Astergram, kept so that nobody waits for it."""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from pydantic import BaseModel

from ari_app.lines.settings import WITH_SECRETS
from ari_app.lines.versions import SECRETS, SET
from ari_app.reports.export import BOM, as_csv
from ari_app.store.audit import AuditPage, AuditQuery, AuditRepository, AuditRow
from ari_app.store.store import Store
from ari_app.telegram.proxy import Proxy

EXPORTED = 500  # entries read at a time
LONGEST = 200  # of what somebody has sent
KINDS = ("user", "token", "command line", "AMI", "FastAGI", "visitor", "program")
CSV_COLUMNS = ("time", "by", "name", "address", "action", "subject", "changes")


@dataclass(frozen=True)
class Actor:
    """Who does something: one of `KINDS`, their name as far as it is known, and where they ask from."""

    kind: str
    name: str = ""
    address: str = ""


COMMAND_LINE = Actor("command line")
PROGRAM = Actor("program")
"""Astergram itself, at a time that was set."""


class AuditLog:
    """Takes entries, and finds them. ``clock`` gives Unix time; ``on_change`` is called with each new entry."""

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._kept = AuditRepository(store)
        self._clock = clock
        self._on_change = on_change

    def record(
        self, actor: Actor, action: str, subject: str = "", changes: Mapping[str, tuple[Any, Any]] | None = None
    ) -> None:
        """Keep that somebody did something; never waits, never raises."""
        self._kept.add(entry(self._clock(), actor, action, subject, changes))
        self._on_change()

    async def find(self, query: AuditQuery, offset: int = 0, limit: int = 50) -> AuditPage:
        """A page, the newest first."""
        return await self._kept.find(query, offset, limit)

    async def actions(self) -> list[str]:
        """Those that there are entries of."""
        return await self._kept.actions()

    async def export_csv(self, query: AuditQuery, zone: tzinfo) -> AsyncIterator[str]:
        """All entries that fit as CSV, piece by piece."""
        yield BOM + as_csv([CSV_COLUMNS])
        last: int | None = None
        while True:
            rows, last = await self._kept.before(query, last, EXPORTED)
            if last is None:
                return
            yield as_csv([_cells(row, zone) for row in rows])

    async def prune(self, before: float) -> int:
        """Remove some entries from before that Unix time; 0 when none is left. Raises StoreUnavailable."""
        return await self._kept.prune(before)


def entry(
    at: float, actor: Actor, action: str, subject: str = "", changes: Mapping[str, tuple[Any, Any]] | None = None
) -> AuditRow:
    """What is kept."""
    told = json.dumps(changes or {}, ensure_ascii=False, default=str)
    return AuditRow(at, actor.kind, actor.name[:LONGEST], actor.address, action, subject[:LONGEST], told)


def differences(before: BaseModel | None, after: BaseModel | None) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, by their names with dots, before and after; of a secret only whether it is set.

    Of a proxy, which may have a login in it, the host.
    """
    was, now = _flat(before), _flat(after)
    return {
        name: (_shown(name, was.get(name)), _shown(name, now.get(name)))
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    }


def _flat(model: BaseModel | None) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def put(prefix: str, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                put(f"{prefix}{name}.", value)
            else:
                flat[f"{prefix}{name}"] = value

    put("", model.model_dump(mode="json", context=WITH_SECRETS) if model else {})
    return flat


def _shown(name: str, value: Any) -> Any:
    if name == "proxy":
        return value and str(Proxy.parse(value))
    return value and SET if name.rpartition(".")[2] in SECRETS else value


def _cells(row: AuditRow, zone: tzinfo) -> tuple[str, ...]:
    at = datetime.fromtimestamp(row.at, zone).isoformat(timespec="seconds")
    changes = "; ".join(f"{name}: {_text(was)} → {_text(now)}" for name, (was, now) in row.changed.items())
    return at, row.kind, row.who, row.address, row.action, row.subject, changes


def _text(value: Any) -> str:
    return "–" if value in (None, "") else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
