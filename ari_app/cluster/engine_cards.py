"""The business cards of a cluster, by its engine, which has each of them encrypted.

A card is never in the way of a call: what is told waits until NATS answers. Only a request is asked about, so that of
two machines with the same press one serves it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, field

from ari_app.cluster.bucket import AGAIN_S, AT_ONCE, QUIET_S, Bucket, Conflict, EngineAway, KeyEntry
from ari_app.cluster.engine_leases import boottime
from ari_app.cluster.members import SILENT_S, address_of
from ari_app.cluster.sealed import SealedEntries
from ari_app.cluster.shared_cards import IsLeft, MachineCards
from ari_app.cluster.shared_settings import NONCE_BYTES, Cipher
from ari_app.store.cards import CardRow

KEPT_S = 30 * 86400.0
"""After its last change, until NATS forgets a card; where buttons live longer, it is told again."""
PURPOSE = b"astergram: cards of a cluster"
MARK = "mark."
"""How the key of a machine's begins that it writes before it reads all others, and while it has nothing to tell."""
MARK_EVERY_S = QUIET_S / 3
"""A watch that tells of one's own marks lives: there may be many cards, and it need not be begun anew."""
ANEW_S = 3600.0  # until it is all the same
CLAIMS = 3
"""How often a request is asked for while others change the card."""
LOOK_S = 5.0  # between two looks for requests that dead machines have left
WHAT = "cards of the cluster"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GoneCard:
    """One that is known no more; of one that has ``expired`` NATS is told only if it has it."""

    id: str
    expired: bool = False


CardState = CardRow | GoneCard


@dataclass(frozen=True)
class ReadCard:
    """What NATS has of one, None where that can't be read, and when (by our clock) that was heard of; by the ``nonce``
    it is known again.
    """

    nonce: bytes
    state: CardState | None
    at: float


@dataclass
class EngineCards:
    """Those of a cluster, as one of its machines has them; `run` and `send` have to run.

    ``holds``: whether this machine acts for a line; ``silent_s``: for how long another one has said nothing, None where
    nothing is known of it; ``carried_s``: for how long the calls of a dead one may be carried (`EngineKeypads`).
    ``has_calls``: whether a machine has last said that it has calls to a line.
    """

    bucket: Bucket
    cipher: Cipher
    machine: str
    holds: Callable[[str], bool]
    silent_s: Callable[[str], float | None]
    carried_s: Callable[[], float]
    has_calls: Callable[[str, str], bool]
    clock: Callable[[], float] = boottime
    _unsent: dict[str, CardState] = field(default_factory=dict)
    _has_unsent: asyncio.Event = field(default_factory=asyncio.Event)
    _read: dict[str, ReadCard] = field(default_factory=dict)
    """What NATS has, by key."""
    _marked: int = 0  # the revision of our mark
    _is_doubted: bool = False
    """Whether something may have been missed, as NATS was away, or has lost its data."""
    _began: float = field(init=False)
    _sealed: SealedEntries = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._sealed = SealedEntries(self.cipher, WHAT)

    def changed(self, card: CardRow) -> None:
        """As soon as NATS answers."""
        self._put(card)

    def forgotten(self, card_id: str) -> None:
        """As soon as NATS answers."""
        self._put(GoneCard(card_id))

    def expired(self, card_id: str) -> None:
        """As soon as NATS answers."""
        self._put(GoneCard(card_id, expired=True))

    def _put(self, state: CardState) -> None:
        self._unsent[state.id] = state
        self._has_unsent.set()

    def is_served(self, card: CardRow) -> bool:
        """Where that machine is silent, who presses is not to wait for it. One that was stopped itself, or is cut from
        NATS, does not hear itself either, and takes nobody for silent yet."""
        if not card.tells_in or card.machine == self.machine:
            return False
        silent_s, own_s = self.silent_s(card.machine), self.silent_s(self.machine) or 0.0
        is_there = silent_s is not None and silent_s - own_s < SILENT_S and silent_s < self.carried_s()
        return is_there and (self.has_calls(card.machine, card.line) or self._is_news(card))

    def _is_news(self, card: CardRow) -> bool:
        """Whether its machine may not have said yet that it calls. One that was started again does so no more, and
        can't put the card right before it has the line."""
        read = self._read.get(self._key(card.id))
        return read is None or read.state != card or self.clock() - read.at < SILENT_S

    async def claimed(self, card: CardRow, message_id: str) -> CardRow | None:
        """While NATS is away each machine serves what it is asked for."""
        try:
            for _ in range(CLAIMS):
                entry = await self.bucket.read(self._key(card.id))
                known = self._opened(entry) if entry else None
                if isinstance(known, CardRow):
                    card = card.joined(known)
                if isinstance(known, GoneCard) or not card.secret or self.is_served(card):
                    return None
                wanted = card.changed(self.machine, tells_in=message_id)
                try:
                    await self._write(wanted, entry)
                except Conflict:
                    continue
                return wanted
        except EngineAway as error:
            log.debug("%s: %s", WHAT, error)
            return card.changed(self.machine, tells_in=message_id)
        return None

    async def repair_left(self, line: str, repair: Callable[[IsLeft], Awaitable[None]]) -> None:
        """Look for them now and then, without an end."""
        while True:
            if self.holds(line):
                await repair(self._is_left)
            await asyncio.sleep(LOOK_S)

    def _is_left(self, card: CardRow) -> bool:
        if not card.tells_in or card.machine == self.machine:
            return False
        silent_s = self.silent_s(card.machine)
        return (self.clock() - self._began if silent_s is None else silent_s) >= self.carried_s()

    # --- what NATS has

    async def run(self, cards: MachineCards) -> None:
        """Follow the others, and tell NATS what it lacks, as where it has lost its data; without an end."""
        while True:
            try:
                await self._watch(cards)
            except EngineAway as error:
                log.debug("%s: %s", WHAT, error)
                await asyncio.sleep(AGAIN_S)

    async def _watch(self, cards: MachineCards) -> None:
        """A watch tells in the order of revisions: where a mark is read, so is all that was there when it was made."""
        there: set[str] | None = set()
        mark, began_at = await self._mark(), self.clock()
        self._is_doubted = False
        async with aclosing(self.bucket.watch(QUIET_S)) as entries:
            count = 0
            async for entry in entries:
                if self._is_doubted or self.clock() - began_at > ANEW_S:
                    return
                if not entry.key.startswith(MARK):
                    self._take(cards, entry)
                    if there is not None:
                        there.add(entry.key)
                elif there is not None and entry.key == mark.key and entry.revision >= mark.revision:
                    self._tell_what_is_missing(cards, there)
                    there = None
                count += 1
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def _mark(self) -> KeyEntry:
        """Write one. Raises EngineAway."""
        key = f"{MARK}{address_of(self.machine)}"
        known = await self.bucket.read(key)
        revision = known.revision if known else 0
        if revision != self._marked:  # the servers have lost it, and whatever else; or it is of an earlier run
            self._is_doubted = True
        try:
            self._marked = await self.bucket.write(key, b"", revision)
        except Conflict as error:
            raise EngineAway("two programs have one name, or an earlier mark has arrived after all") from error
        return KeyEntry(key, b"", self._marked)

    def _take(self, cards: MachineCards, entry: KeyEntry) -> None:
        nonce = (entry.value or b"")[:NONCE_BYTES]
        if entry.key in self._read and self._read[entry.key].nonce == nonce:
            return  # a watch has begun anew
        state = self._opened(entry)
        self._read[entry.key] = ReadCard(nonce, state, self.clock())
        if isinstance(state, GoneCard):
            cards.follow_forgotten(state.id)
        elif state and not isinstance(self._unsent.get(state.id), GoneCard):
            joined = cards.follow(state)
            if joined is None:
                self.expired(state.id)
            elif joined != state:
                self._unsent.setdefault(joined.id, joined)
                self._has_unsent.set()

    def _tell_what_is_missing(self, cards: MachineCards, there: set[str]) -> None:
        self._read = {key: self._read[key] for key in there}
        for card in cards.all():
            key = self._key(card.id)
            if key not in there or self._read[key].state != card:
                self._unsent.setdefault(card.id, card)
        self._has_unsent.set()

    # --- what it is told

    async def send(self) -> None:
        """Write what is to be told, without an end."""
        while True:
            try:
                async with asyncio.timeout(MARK_EVERY_S):
                    await self._has_unsent.wait()
            except TimeoutError:
                await self._tell_of_nothing()
            self._has_unsent.clear()
            while self._unsent:
                card_id, state = next(iter(self._unsent.items()))
                try:
                    await self._tell(state)
                except EngineAway as error:
                    log.debug("%s: %s", WHAT, error)
                    self._is_doubted = True
                    await asyncio.sleep(AGAIN_S)
                except Conflict:
                    continue  # another machine has told of it just now, too
                else:
                    if self._unsent.get(card_id) == state:
                        del self._unsent[card_id]

    async def _tell_of_nothing(self) -> None:
        try:
            await self._mark()
        except EngineAway as error:
            log.debug("%s: %s", WHAT, error)
            self._is_doubted = True

    async def _tell(self, state: CardState) -> None:
        entry = await self.bucket.read(self._key(state.id))
        known = self._opened(entry) if entry else None
        if isinstance(known, GoneCard) or (entry is None and isinstance(state, GoneCard) and state.expired):
            return
        if isinstance(known, CardRow) and isinstance(state, CardRow):
            state = state.joined(known)
        if state != known:
            await self._write(state, entry)

    async def _write(self, state: CardState, over: KeyEntry | None) -> None:
        key = self._key(state.id)
        its = asdict(state) if isinstance(state, CardRow) else {"gone": state.id}
        await self.bucket.write(key, self._sealed.seal(key, its), over.revision if over else 0)

    def _key(self, card_id: str) -> str:
        return self.cipher.hidden(card_id)

    def _opened(self, entry: KeyEntry) -> CardState | None:
        return self._sealed.opened(entry, lambda its: GoneCard(str(its["gone"])) if "gone" in its else _card(its))


def _card(its: dict[str, object]) -> CardRow:
    """Also a later version's. Raises KeyError, TypeError, ValueError."""
    texts = ("id", "line", "person", "text", "button", "secret", "tells_in", "machine")
    return CardRow(
        **{name: str(its[name]) for name in texts},
        person_id=int(str(its["person_id"])),
        sent_at=float(str(its["sent_at"])),
        changes=int(str(its["changes"])),
    )
