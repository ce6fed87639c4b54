"""How long the pages wait for a history that is full."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from ari_app.reports.figures import Figures, Unit
from ari_app.reports.history import History
from ari_app.sandbox.bench.figures import median
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import Rig
from ari_app.store.calls import Query
from ari_app.store.store import Store, StoreUnavailable, open_store

ON_A_PAGE = 50
DAYS, DAY_S = 365, 86400.0
PEOPLE, LINES = 20_000, 20
INSERT = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :calls),
made AS (
  SELECT n, :now - (n + 0.5) * :seconds / :calls AS began_at,
    CASE WHEN n % 3 = 0 THEN 'out' ELSE 'in' END AS direction,
    '+7999' || printf('%07d', n % :lines) AS line,
    n * 7919 % :people AS person, n % 5 <> 0 AS answered
  FROM numbers
)
INSERT INTO calls (id, began_at, ended_at, direction, line, peer, pbx_party, person_id, name, phone, username,
  status, cause, reason, answered, refused, to_answer_s, talked_s, search)
SELECT printf('%012x', n), began_at, began_at + 90, direction, line, 5000000000 + person, '101', 5000000000 + person,
  'Клиент ' || person, '+7900' || printf('%07d', person), 'user' || person,
  CASE WHEN answered THEN 'ANSWER' ELSE 'NOANSWER' END, CASE WHEN answered THEN 16 ELSE 19 END, '', answered, 0,
  CASE WHEN answered THEN n % 40 + 0.5 END, CASE WHEN answered THEN n % 300 ELSE 0 END,
  'клиент ' || person || char(10) || '+7900' || printf('%07d', person) || char(10) || 'user' || person
FROM made
"""
"""As `CallRepository.save` writes them, each some seconds before the one before; one in five was not answered."""
INSERT_DETAILS = "INSERT INTO call_details (id, events, milestones, samples) SELECT id, '[]', '{}', '{}' FROM calls"

Ask = Callable[[], Awaitable[object]]


async def measure(rig: Rig, found: Found) -> None:
    """Fill a database by SQL, and ask what the pages ask."""
    calls, path, now = rig.sizes.history, rig.folder / "history" / "astergram.db", time.time()
    rig.say(f"filling the history with {calls:,} calls")
    async with open_store(path) as store:
        filled_s = await asyncio.to_thread(_fill, path, calls, now)
        size_mb = (await asyncio.to_thread(path.stat)).st_size >> 20
        found.row("filled", calls=calls, seconds=round(filled_s, 1), size_mb=size_mb)
        rig.say("asking what the pages ask")
        for what, ask in _questions(store, calls, now).items():
            await _asked(what, ask, rig.sizes.queries, found)
    known = [row["first_ms"] for row in found.tables["queries"] if row["first_ms"] is not None]
    found.put("history_slowest_ms", max(known, default=None), "no query was answered")


def _fill(path: Path, calls: int, now: float) -> float:
    """By a connection of its own: what the store itself does may take five seconds. Gives how many it took."""
    began = time.perf_counter()
    values = {"calls": calls, "now": now, "seconds": DAYS * DAY_S, "lines": LINES, "people": PEOPLE}
    with closing(sqlite3.connect(path)) as database:
        with database:
            database.execute(INSERT, values)
            database.execute(INSERT_DETAILS)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return time.perf_counter() - began


def _questions(store: Store, calls: int, now: float) -> dict[str, Ask]:
    """What the pages of calls and charts ask of the database."""
    history, figures = History(store), Figures(store)
    last_page = (calls - 1) // ON_A_PAGE * ON_A_PAGE
    year = figures.last_days(DAYS, now)

    def page(query: Query, offset: int = 0) -> Ask:
        return partial(history.find, query, offset, ON_A_PAGE)

    return {
        "the newest page": page(Query()),
        "the page in the middle": page(Query(), last_page // 2 // ON_A_PAGE * ON_A_PAGE),
        "the last page": page(Query(), last_page),
        "a day": page(Query(since=now - 2 * DAY_S, until=now - DAY_S)),
        "answered calls of one line": page(Query(line="+79990000001", answered=True)),
        "a name that few have": page(Query(text="клиент 1234")),
        "a name that nobody has": page(Query(text="nobody")),
        "one call": partial(history.one, f"{calls // 2:012x}"),
        "today's figures": partial(figures.today, now),
        "chart of a year, by weeks": partial(figures.spans, year, Unit.WEEK),
        "chart of a year, by the hour of the day": partial(figures.hours_of_day, year),
        "chart of a year, by lines": partial(figures.lines, year),
        "chart of a year, time to answer": partial(figures.to_answer, year),
    }


async def _asked(what: str, ask: Ask, times: int, found: Found) -> None:
    """The first time may have to read the disk, as the first one who opens the page does."""
    taken: list[float] = []
    try:
        for _ in range(times):
            began = time.perf_counter()
            await ask()
            taken.append((time.perf_counter() - began) * 1000)
    except StoreUnavailable as error:
        found.row("queries", query=what, first_ms=None, median_ms=None, of=len(taken), reason=str(error))
    else:
        found.row("queries", query=what, first_ms=round(taken[0], 1), median_ms=median(taken, 1), of=len(taken))


PART = Part("history", "pages of a full history", ("history_slowest_ms",), measure)
