"""The calls of all machines of a cluster, and how far this one has read and sent what the streams have."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlite_utils import Database

from ari_app.store.calls import COLUMNS, CallRow, Details, call_of_row, searched
from ari_app.store.changes import ERASED, next_change
from ari_app.store.store import Store

NOTHING_SENT = (-1, "")


@dataclass(frozen=True)
class SharedCall:
    """A call that is over, and which state of it; ``call.machine`` is empty for this machine's own.

    ``change``: its place in this machine's log of changes; 0 of another one's.
    """

    call: CallRow
    version: int
    change: int = 0


@dataclass(frozen=True)
class StreamProgress:
    """Of which ``stream`` this machine has read all up to the number ``received``.

    ``known``: the highest number that it is known to have had, and a digest of that message. ``sent``: the last call of
    the log of changes that the stream has, by its change and id. ``round``: how often all was begun anew.
    """

    stream: str
    received: int = 0
    known: tuple[int, str] = (0, "")
    sent: tuple[int, str] = NOTHING_SENT
    round: int = 0


@dataclass(frozen=True)
class SharedCallRepository:
    """Everything that is awaited raises StoreUnavailable."""

    store: Store

    async def progress(self, name: str) -> StreamProgress | None:
        """How far this machine is with a stream; None where it has never seen it."""

        def read(db: Database) -> StreamProgress | None:
            for row in db.table("cluster_streams").rows_where("name = ?", [name]):
                sent = row["sent_change"], row["sent_call"]
                known = row["known"], row["known_digest"]
                return StreamProgress(row["stream"], row["received"], known, sent, row["round"])
            return None

        return await self.store.run(read)

    async def save_progress(self, name: str, progress: StreamProgress) -> None:
        """Keep it."""
        await self.store.run(lambda db: _save_progress(db, name, progress))

    async def receive(self, name: str, calls: Sequence[SharedCall], progress: StreamProgress) -> None:
        """Keep what is newer than what is known of these calls, and how far that is, as one.

        Of a call of which something newer is known, that is sent anew.
        """

        def write(db: Database) -> None:
            for each in calls:
                _keep(db, each)
            _save_progress(db, name, progress)

        await self.store.run(write)

    async def to_send(self, after: tuple[int, str], most: int) -> list[SharedCall]:
        """The next of the log of changes, in its order."""
        sql = (
            f"SELECT {COLUMNS}, version, change FROM calls WHERE change IS NOT NULL AND (change, id) > (?, ?) "  # noqa: S608
            "AND status IS NOT NULL ORDER BY change, id LIMIT ?"
        )

        def read(db: Database) -> list[SharedCall]:
            rows = db.execute(sql, [*after, most]).fetchall()
            return [SharedCall(call_of_row(row), row[-2], row[-1]) for row in rows]

        return await self.store.run(read)


def _save_progress(db: Database, name: str, progress: StreamProgress) -> None:
    (change, call), (known, digest) = progress.sent, progress.known
    row = {"name": name, "stream": progress.stream, "round": progress.round, "received": progress.received}
    row |= {"known": known, "known_digest": digest, "sent_change": change, "sent_call": call}
    db.table("cluster_streams").upsert(row, pk="name")


def _keep(db: Database, shared: SharedCall) -> None:
    row = asdict(shared.call)
    # One of this machine's own that it does not know any more may have to be told again; nobody else's is.
    row |= {"search": searched(row), "version": shared.version, "change": None if shared.call.machine else 0}
    names = [name for name in row if name not in ("id", "machine", "change")]
    sql = (
        f"INSERT INTO calls ({', '.join(row)}) VALUES ({', '.join('?' * len(row))}) "  # noqa: S608
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)} "
        "WHERE calls.machine = excluded.machine AND excluded.version > calls.version"
    )
    if db.execute(sql, list(row.values())).rowcount:
        details = {"id": shared.call.id, **asdict(Details())}
        db.table("call_details").insert(details, ignore=True)  # those of a call stay where it was
        if shared.version & ERASED:
            db.execute("UPDATE call_details SET events = '[]' WHERE id = ?", [shared.call.id])
        return
    # What arrives late may have taken the place of a newer state in the stream, which has to be told once more.
    sql = "UPDATE calls SET change = ? WHERE id = ? AND machine = ? AND version > ? AND status IS NOT NULL"
    db.execute(sql, [next_change(db), shared.call.id, shared.call.machine, shared.version])
