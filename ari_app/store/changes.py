"""How calls change: each change that other machines are to be told of has a number, which only grows.

A call's ``version`` says which of two states of it is the newer one, on whichever machine. Its ``change`` is when this
machine's log of changes has it last; NULL: there is nothing to tell of it.
"""

from sqlite_utils import Database

ERASED = 1 << 40
"""Added to the version of a call without its person, so that no state with the person ever replaces it."""


def next_change(db: Database) -> int:
    """The number of the next change: above all in the log, and above all that were sent (which may be removed)."""
    last = db.execute("SELECT change FROM calls WHERE change IS NOT NULL ORDER BY change DESC LIMIT 1").fetchone()
    sent = db.execute("SELECT max(sent_change) FROM cluster_streams").fetchone()
    return max(last[0] if last else 0, sent[0] or 0) + 1


def erased(db: Database, call_id: str) -> None:
    """Have others told that a call is without its person."""
    sql = "UPDATE calls SET version = version | ?, change = ? WHERE id = ?"
    db.execute(sql, [ERASED, next_change(db), call_id])
