"""What nobody is told of for a time: all alerts, or one condition."""

import uuid

from ari_app.alerts.book import Key
from ari_app.store.alerts import AlertRepository, MuteRow

EVERYTHING = ("", "")


class Mutes:
    """What is muted now; times are Unix times. All that is awaited raises StoreUnavailable."""

    def __init__(self, repository: AlertRepository) -> None:
        self._repository = repository
        self._rows: list[MuteRow] = []

    async def load(self) -> None:
        """Read what was muted before."""
        self._rows = await self._repository.mutes()

    def now(self, now: float) -> list[MuteRow]:
        """Those that are not over."""
        return [each for each in self._rows if each.until is None or each.until > now]

    def muted(self, key: Key, now: float) -> bool:
        """Whether nobody is told of a condition."""
        kind, subject = key
        return any((each.kind, each.subject) in (EVERYTHING, (kind.value, subject)) for each in self.now(now))

    async def add(self, key: Key | None, until: float | None, who: str, now: float) -> MuteRow:
        """Mute one condition, or, None, all of them; in place of what was muted of the same."""
        kind, subject = (key[0].value, key[1]) if key else EVERYTHING
        row = MuteRow(uuid.uuid4().hex[:12], kind, subject, until, who, now)
        await self._repository.unmute([each.id for each in self._rows if each not in self.now(now)])
        await self._repository.mute(row)
        self._rows = [each for each in self.now(now) if (each.kind, each.subject) != (kind, subject)] + [row]
        return row

    async def remove(self, id: str) -> bool:
        """End one; whether there was one."""
        found = [each for each in self._rows if each.id == id]
        if found:
            await self._repository.unmute([id])
            self._rows = [each for each in self._rows if each.id != id]
        return bool(found)
