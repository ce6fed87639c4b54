"""Which languages people speak, for all machines of a cluster: each is told to one machine only, where the bot is.

NATS has a key for each person, which says nothing of them, and encrypted under it their id, their language and when it
was learnt. The newest one stays. Of a person who is erased it has only when that was, so that no machine which was away
brings an older one back. It forgets all that after the same time as the machines. Times are Unix times: the machines'
clocks have to agree.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ari_app.cluster.bucket import AGAIN_S, AT_ONCE, QUIET_S, Bucket, Conflict, EngineAway, KeyEntry
from ari_app.cluster.sealed import SealedEntries
from ari_app.cluster.shared_limits import CLOCKS_APART_S
from ari_app.cluster.shared_settings import Cipher
from ari_app.store.languages import LanguageRow

PURPOSE = b"astergram: languages of a cluster"
WHAT = "languages of the cluster"
NOBODY, ERASED = None, ""
"""In the place of somebody's id, and of their language, once they are erased."""

log = logging.getLogger(__name__)


class SharedLanguages(Protocol):
    """Tells other machines of languages. Nothing here waits for them."""

    def learnt(self, person_id: int, language: LanguageRow) -> None:
        """This machine has learnt somebody's."""

    def forgotten(self, person_id: int) -> None:
        """Somebody is erased."""


class OwnLanguages:
    """Where there is no other machine."""

    def learnt(self, person_id: int, language: LanguageRow) -> None:
        """Nobody else is told."""

    def forgotten(self, person_id: int) -> None:
        """Nobody else is told."""


class MachineLanguages(Protocol):
    """Those that this machine knows."""

    def all(self) -> Mapping[int, LanguageRow]:
        """By Telegram id."""

    async def follow(self, person_id: int, language: LanguageRow) -> None:
        """Take over what another machine has learnt, if it is newer."""


@dataclass
class EngineLanguages:
    """Those of a cluster, as one of its machines sees them; `watch` and `send` have to run.

    ``kept_s``: for how long one is known, as it is set now. What is to be sent is one language a person, of those whom
    the machine knows.
    """

    bucket: Bucket
    cipher: Cipher
    kept_s: Callable[[], float]
    clock: Callable[[], float] = time.time
    _unsent: dict[int, LanguageRow] = field(default_factory=dict)
    _has_unsent: asyncio.Event = field(default_factory=asyncio.Event)
    _erased_at: dict[str, float] = field(default_factory=dict)  # by key, here; what is on its way yet is older
    _read_to: KeyEntry | None = None  # a watch that begins anew tells all again
    _sealed: SealedEntries = field(init=False)

    def __post_init__(self) -> None:
        self._sealed = SealedEntries(self.cipher, WHAT)

    def learnt(self, person_id: int, language: LanguageRow) -> None:
        """Tell the others; the last one first, as an earlier run's may be many."""
        self._unsent.pop(person_id, None)
        self._unsent[person_id] = language
        self._has_unsent.set()

    def forgotten(self, person_id: int) -> None:
        """Have NATS forget it; the others are ordered to (`Erasures`)."""
        now = self.clock()
        self._erased_at[self._key(person_id)] = now
        self.learnt(person_id, LanguageRow(ERASED, now))

    async def watch(self, languages: MachineLanguages) -> None:
        """Take note of what other machines have learnt, without an end; tell them what NATS does not have."""
        self._offer(languages)  # an earlier run may not have come to it
        while True:
            try:
                is_there = await self._read(languages)
            except EngineAway as error:
                log.debug("%s: %s", WHAT, error)
                await asyncio.sleep(AGAIN_S)
                continue
            if not is_there:  # the servers have lost what they had
                self._read_to = None
                self._offer(languages)

    def _offer(self, languages: MachineLanguages) -> None:
        for person_id, language in languages.all().items():
            self._unsent.setdefault(person_id, language)
        if self._unsent:
            self._has_unsent.set()

    async def _read(self, languages: MachineLanguages) -> bool:
        """All that there is, and what comes, until it is quiet; whether that was read before is there, or newer."""
        known, last, count = self._read_to, 0, 0
        is_there = known is None
        async for entry in self.bucket.watch(QUIET_S):
            if entry.revision <= last:
                return False
            last = entry.revision
            if known and entry.key == known.key:
                is_there = entry == known or entry.revision > known.revision
            if self._read_to is None or entry.revision > self._read_to.revision:
                await self._take(entry, languages)
                self._read_to = entry
            count += 1
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        return is_there

    async def _take(self, entry: KeyEntry, languages: MachineLanguages) -> None:
        if (said := self._opened(entry)) is None:
            return
        person_id, its = said
        if person_id is NOBODY or self._is_over(its) or self._is_to_come(its):
            return
        if (waits := self._unsent.get(person_id)) and waits.learnt_at <= its.learnt_at:
            del self._unsent[person_id]
        if self._erased_at.get(entry.key, 0.0) < its.learnt_at:
            await languages.follow(person_id, its)

    def _is_over(self, language: LanguageRow) -> bool:
        return language.learnt_at < self.clock() - self.kept_s()

    def _is_to_come(self, language: LanguageRow) -> bool:
        """Whether the clock was wrong by which it was learnt: nobody takes it over."""
        return language.learnt_at > self.clock() + CLOCKS_APART_S

    async def send(self) -> None:
        """Write what is to be told, without an end."""
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            while self._unsent:
                person_id, language = next(reversed(self._unsent.items()))
                try:
                    await self._write(person_id, language)
                except EngineAway as error:
                    log.debug("%s: %s", WHAT, error)
                    await asyncio.sleep(AGAIN_S)
                except Conflict:
                    continue  # another machine has learnt it just now, too
                else:
                    if self._unsent.get(person_id) is language:
                        del self._unsent[person_id]

    async def _write(self, person_id: int, language: LanguageRow) -> None:
        """Unless a newer one is there."""
        key = self._key(person_id)
        known = await self.bucket.read(key)
        said = self._opened(known) if known else None
        if self._is_over(language) or self._is_to_come(language) or (said and self._stays(said[1], language)):
            return
        whose: int | None = person_id
        at = language.learnt_at
        if language.language == ERASED:
            whose = NOBODY
            if said and not self._is_to_come(said[1]):
                at = max(at, said[1].learnt_at)  # which its machine is not to bring back
        value = {"person": whose, "language": language.language, "learnt_at": at}
        await self.bucket.write(key, self._sealed.seal(key, value), known.revision if known else 0)

    def _stays(self, its: LanguageRow, language: LanguageRow) -> bool:
        """Whether a language is not to be written over what NATS has."""
        if self._is_to_come(its):
            return False
        apart_s = CLOCKS_APART_S if language.language == ERASED != its.language else 0.0
        return its.learnt_at - apart_s >= language.learnt_at

    def _opened(self, entry: KeyEntry) -> tuple[int | None, LanguageRow] | None:
        """Whose it is, and what; None where it can't be read, which the log says once."""

        def parse(its: dict[str, Any]) -> tuple[int | None, LanguageRow]:
            person_id = NOBODY if its["person"] is NOBODY else int(its["person"])
            return person_id, LanguageRow(str(its["language"]), float(its["learnt_at"]))

        return self._sealed.opened(entry, parse)

    def _key(self, person_id: int) -> str:
        return self.cipher.hidden(str(person_id))
