"""Which machines a cluster has, and how each is: each says so now and then, and the others take note."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from ari_app.cluster.bucket import WRONG, Bucket, Conflict, EngineAway, KeyEntry, key_of
from ari_app.cluster.engine_leases import boottime

WORD_S = 2.0  # between two words of a machine
SILENT_S = 4 * WORD_S
"""A machine that has said nothing for so long is away, or cut off."""
FRESH_S = 1.5 * WORD_S
"""What a machine has said of its calls holds for so long: after it has died, its line's next caller is not refused."""
MACHINE, MOVE = "machine", "move"
"""How keys begin: of a machine, and of a line that somebody has asked to be moved."""
FORGOTTEN = b""
"""In the place of what a machine has said that is gone for good."""

ADDRESS_BYTES = 6

log = logging.getLogger(__name__)


def address_of(machine: str) -> str:
    """How a machine is called where there is little room: a button's data has 64 bytes (core.telegram.org/bots/api)."""
    digest = hashlib.sha256(machine.encode()).digest()[:ADDRESS_BYTES]
    return base64.urlsafe_b64encode(digest).decode()


def _machine_key(machine: str) -> str:
    return f"{MACHINE}.{machine}"


@dataclass(frozen=True)
class Member:
    """What a machine says of itself; ``lines``: the numbers of those whose leases it holds; ``bot``: whether it fetches
    what is meant for the bot; ``takes``: to which lines it could take a call now, whoever holds them; ``on_lines``: the
    calls that it has on each, by Telegram's ids of them, 0 for one whose id is not known (yet); ``reaches``: the
    machines whose Asterisk it is connected to; ``devices``: a word of `ari_app.cluster.devices` for each of its lines,
    None where an earlier version does not say.
    """

    machine: str
    version: str = ""
    lines: tuple[str, ...] = ()
    calls: int = 0
    draining: bool = False
    bot: bool = False
    takes: tuple[str, ...] = ()
    on_lines: dict[str, tuple[int, ...]] = field(default_factory=dict)
    reaches: tuple[str, ...] = ()
    devices: dict[str, str] | None = None


@dataclass(frozen=True)
class HeardOf:
    """A machine, when (by our clock) it has last said something, and as which revision."""

    member: Member
    at: float
    revision: int


@dataclass
class Members:
    """All of them, as this one knows; `watch` has to run, and `announce` once there is something to tell.

    ``hand_over`` gives a line to another machine, if this one has it.
    """

    bucket: Bucket
    hand_over: Callable[[str, str], bool]
    clock: Callable[[], float] = boottime
    _heard: dict[str, HeardOf] = field(default_factory=dict)

    def all(self) -> list[tuple[Member, float]]:
        """Each machine that was ever there, by name, and for how many seconds it has been silent."""
        now = self.clock()
        return [(each.member, now - each.at) for _, each in sorted(self._heard.items())]

    def others(self, own: str) -> list[Member]:
        """The machines that are there, but for the one of the name ``own``."""
        return self._others(own, SILENT_S)

    def _others(self, own: str, within_s: float) -> list[Member]:
        return [member for member, silent_s in self.all() if silent_s < within_s and member.machine != own]

    def silent_s(self, machine: str) -> float | None:
        """For how many seconds a machine has said nothing; None where nothing is known of it."""
        heard = self._heard.get(machine)
        return None if heard is None else self.clock() - heard.at

    def has_calls(self, machine: str, line: str) -> bool:
        """Whether a machine has last said that it has calls to a line."""
        heard = self._heard.get(machine)
        return heard is not None and bool(heard.member.on_lines.get(line))

    def others_take(self, own: str, line: str) -> bool:
        """Whether one of them could take a call to a line now."""
        return any(line in each.takes for each in self._others(own, FRESH_S))

    def that_place(self, own: str, line: str | None) -> list[str]:
        """Those that could place a call now for a phone of the machine ``own``, the one with the fewest calls first.

        ``line``: through which; None: whichever.
        """
        able = [each for each in self._others(own, FRESH_S) if own in each.reaches]
        found = [each for each in able if (each.takes if line is None else line in each.takes)]
        return [each.machine for each in sorted(found, key=lambda each: each.calls)]

    def calls_elsewhere(self, own: str) -> dict[str, list[int]]:
        """The calls that they have on each line, as `Member.on_lines`."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for each in self._others(own, FRESH_S):
            for line, calls in each.on_lines.items():
                found[line] += calls
        return found

    async def forget(self, machine: str) -> None:
        """Have all know a machine no more, until it says something. Raises Conflict where it just has, EngineAway."""
        key, heard = _machine_key(machine), self._heard.get(machine)
        known = await self.bucket.read(key)
        if known and known.value and (heard is None or known.revision != heard.revision):
            raise Conflict(f"{machine} is back")
        await self.bucket.write(key, FORGOTTEN, known.revision if known else 0)
        self._heard.pop(machine, None)

    async def announce(self, own: Callable[[], Member], changed: asyncio.Event) -> None:
        """Say how this machine is, without an end; at once where its calls are others, once it is ``changed``."""
        while True:
            member = own()
            try:
                await self._put(_machine_key(member.machine), asdict(member))
            except EngineAway as error:
                log.debug("machines of the cluster: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(WORD_S):
                    while own().on_lines == member.on_lines:
                        changed.clear()
                        await changed.wait()

    async def move(self, line: str, machine: str) -> None:
        """Ask whoever holds a line to give it to a machine. Raises EngineAway."""
        await self._put(f"{MOVE}.{key_of(line)}", {"line": line, "to": machine})

    async def watch(self) -> None:
        """Take note of what the others say, without an end."""
        while True:
            try:
                async for entry in self.bucket.watch(SILENT_S):
                    await self._take(entry)
            except EngineAway as error:
                log.debug("machines of the cluster: %s", error)
                await asyncio.sleep(WORD_S)

    async def _take(self, entry: KeyEntry) -> None:
        try:
            said: dict[str, Any] = json.loads(entry.value or b"{}")
            if entry.key.startswith(_machine_key("")) and not said:
                self._heard.pop(entry.key.removeprefix(_machine_key("")), None)
            elif entry.key.startswith(_machine_key("")):
                member = Member(
                    str(said["machine"]),
                    str(said["version"]),
                    tuple(map(str, said["lines"])),
                    int(said["calls"]),
                    bool(said["draining"]),
                    bool(said.get("bot")),  # which an earlier version does not say, nor what follows
                    tuple(map(str, said.get("takes", ()))),
                    {str(line): tuple(map(int, calls)) for line, calls in said.get("on_lines", {}).items()},
                    tuple(map(str, said.get("reaches", ()))),
                    None if (its := said.get("devices")) is None else {str(line): str(its[line]) for line in its},
                )
                known = self._heard.get(member.machine)
                if known is None or known.revision != entry.revision:  # else a watch has begun anew
                    self._heard[member.machine] = HeardOf(member, self.clock(), entry.revision)
            elif said and self.hand_over(str(said["line"]), str(said["to"])):
                await self.bucket.write(entry.key, b"{}", entry.revision)  # a watch that begins anew tells it again
        except WRONG:
            log.warning("machines of the cluster: %s is not understood: another version may have written it", entry.key)
        except Conflict:
            return  # it has been asked for once more

    async def _put(self, key: str, value: dict[str, Any]) -> None:
        while True:
            known = await self.bucket.read(key)
            try:
                await self.bucket.write(key, json.dumps(value).encode(), known.revision if known else 0)
            except Conflict:
                continue
            return
