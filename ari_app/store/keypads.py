"""Keypads that are shown, so that the next start removes what a killed program left."""

from dataclasses import asdict, dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class SendingKeypad:
    """A keypad that may be in a person's chat; ``random_id`` is what it was sent with, ``sent_at`` a Unix time."""

    random_id: int
    person_id: int
    call: str
    sent_at: float


@dataclass(frozen=True)
class KeypadRepository:
    """The messages of one line."""

    store: Store
    line: str

    def sending(self, keypad: SendingKeypad) -> None:
        """A keypad is about to be sent. Never waits."""
        row = {"line": self.line, **asdict(keypad)}
        self.store.later(
            ("keypad sent", self.line, keypad.random_id),
            lambda db: db.table("keypads_sending").upsert(row, pk=("line", "random_id")),
        )

    def sent(self, random_id: int, message_id: int | None) -> None:
        """What became of it, the message's id in the line's account; None: there is none (any more). Never waits."""

        def write(db: Database) -> None:
            db.table("keypads_sending").delete_where("line = ? AND random_id = ?", [self.line, random_id])
            if message_id is not None:
                row = {"line": self.line, "message_id": message_id}
                db.table("keypads").upsert(row, pk=("line", "message_id"))

        self.store.later(("keypad sent", self.line, random_id), write)

    async def unsure(self) -> list[SendingKeypad]:
        """What is, or may have been, sent. Raises StoreUnavailable."""

        def read(db: Database) -> list[SendingKeypad]:
            rows = db.table("keypads_sending").rows_where("line = ?", [self.line])
            return [SendingKeypad(row["random_id"], row["person_id"], row["call"], row["sent_at"]) for row in rows]

        return await self.store.run(read)

    async def all(self) -> list[int]:
        """What is, or was, shown. Raises StoreUnavailable."""

        def read(db: Database) -> list[int]:
            return [row["message_id"] for row in db.table("keypads").rows_where("line = ?", [self.line])]

        return await self.store.run(read)

    def remove(self, message_id: int) -> None:
        """It is deleted. Never waits."""
        where = "line = ? AND message_id = ?"
        self.store.later(
            ("keypad removed", self.line, message_id),
            lambda db: db.table("keypads").delete_where(where, [self.line, message_id]),
        )
