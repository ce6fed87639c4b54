"""What brings an older database up to date: migrations run in this order, each once.

A migration that has been released is never changed; a new one is added to the end. Times are Unix times, in seconds.
"""

from collections.abc import Callable

from sqlite_utils import Database

Migration = Callable[[Database], None]


def limits_and_peers(db: Database) -> None:
    """What protects an account over a restart, and whom Telegram has resolved."""
    db.table("pauses").create({"line": str, "request": str, "until": float, "reason": str}, pk=("line", "request"))
    db.table("outgoing").create({"line": str, "at": float})
    db.table("outgoing").create_index(["line", "at"])
    db.table("resolved").create(
        {"line": str, "destination": str, "until": float, "answer": str}, pk=("line", "destination")
    )


def keypads(db: Database) -> None:
    """Keypads that are shown, to be removed when a killed program left them."""
    db.table("keypads").create({"line": str, "message_id": int}, pk=("line", "message_id"))


def cards(db: Database) -> None:
    """Business cards that were sent."""
    texts = dict.fromkeys(("id", "line", "person", "text", "button", "secret"), str)
    db.table("cards").create({**texts, "person_id": int, "sent_at": float}, pk="id")


MIGRATIONS: tuple[Migration, ...] = (
    limits_and_peers,
    keypads,
    cards,
)
