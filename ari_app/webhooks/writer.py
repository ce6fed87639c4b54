"""Has the database follow what becomes of deliveries."""

from collections.abc import Callable

from ari_app.store.webhooks import DeliveryRow, WebhookRepository

MOST_UNWRITTEN = 20_000
"""Deliveries whose state is not written yet, some 20 MB; of more than that, the oldest that are over are not kept."""


class DeliveryWriter:
    """One write at a time: however long the database is in trouble, another event costs it no more."""

    def __init__(self, repository: WebhookRepository) -> None:
        self._repository = repository
        self._unwritten: dict[int, DeliveryRow] = {}
        self._writing = False

    def save(self, row: DeliveryRow) -> None:
        """Keep a delivery as it is now; never waits."""
        self._unwritten[row.id] = row
        if len(self._unwritten) > MOST_UNWRITTEN:
            over = (id for id, each in self._unwritten.items() if each.state != "waiting")
            self._unwritten.pop(next(over, row.id))
        if not self._writing:
            self._write()

    def forget(self, which: Callable[[DeliveryRow], bool]) -> None:
        """Write none of these any more; what is being written is not touched."""
        self._unwritten = {id: row for id, row in self._unwritten.items() if not which(row)}

    def _write(self) -> None:
        self._writing = True
        rows, self._unwritten = list(self._unwritten.values()), {}

        def done(kept: bool) -> None:  # what could not be kept at all is sent all the same
            self._writing = False
            if self._unwritten:
                self._write()

        self._repository.keep(rows, done)
