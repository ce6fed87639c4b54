"""What an administrator sees of a cluster, and does with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ari_app.bus import EventBus
from ari_app.cluster.bucket import Conflict, EngineAway
from ari_app.cluster.devices import SIGNED_IN
from ari_app.cluster.duty import ByLease
from ari_app.cluster.engine_leases import EngineLeases
from ari_app.cluster.members import SILENT_S, WORD_S, Member, Members, address_of
from ari_app.cluster.shared_settings import NotShared, OwnSettings, SharedSettings
from ari_app.i18n import Message, message

if TYPE_CHECKING:
    from ari_app.cluster.engine import NatsEngine  # of an optional package

MOVE_S = 10.0
"""For a line to be at another machine: to let go and to take takes a fraction of a second."""
MOVE_AGAIN_S = 2.0
"""After which its holder is asked again: the other machine may not have been ready for it yet, as after its start."""


class ClusterRefused(Exception):
    """What an administrator wants is not done; ``sentence`` says why, and what to do."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class MoveRefused(ClusterRefused):
    """A line is not moved."""


class ForgetRefused(ClusterRefused):
    """A machine is not forgotten."""


@dataclass(frozen=True)
class ClusterControl:
    """Of the cluster that ``machine``, this one, belongs to; ``asterisks``: how each machine's is reached."""

    machine: str
    engine: NatsEngine
    members: Members
    leases: EngineLeases
    duty: ByLease
    asterisks: SharedSettings = field(default_factory=OwnSettings)

    @property
    def trouble(self) -> str | None:
        """Why the engine does not answer; None where it does."""
        return self.engine.trouble

    def machines(self) -> list[tuple[Member, float, bool]]:
        """Each machine, for how many seconds it has been silent, and whether it is there.

        This one is, also while NATS is away, and nothing comes back of what it says, or nothing has yet.
        """
        found = self.members.all()
        if all(member.machine != self.machine for member, _ in found):
            found = sorted([*found, (Member(self.machine), 0.0)], key=lambda each: each[0].machine)
        return [
            (replace(member, lines=self.duty.lines), silent_s, True)
            if member.machine == self.machine
            else (member, silent_s, silent_s < SILENT_S)
            for member, silent_s in found
        ]

    def signed_in(self, line: str) -> list[str]:
        """The machines that are there and have a device of a line, by name."""
        words = ((member, (member.devices or {}).get(line)) for member, _, is_there in self.machines() if is_there)
        return [member.machine for member, word in words if word == SIGNED_IN]

    def others(self) -> dict[str, str]:
        """The address of each machine that is there, but for this one, by its name."""
        return {each.machine: address_of(each.machine) for each in self.members.others(self.machine)}

    async def tell(self, bus: EventBus) -> None:
        """Publish "cluster" whenever what the machines say, or the trouble with NATS, has changed, without an end."""
        told: object = None
        while True:
            seen = [(member, is_there) for member, _, is_there in self.machines()], self.trouble
            if seen != told:
                bus.publish("cluster")
                told = seen
            await asyncio.sleep(WORD_S)

    async def move(self, line: str, machine: str) -> None:
        """Have another machine hold a line. Raises MoveRefused."""
        if self.trouble is not None:  # which is why none is there
            raise MoveRefused(servers_away(self.trouble))
        there = {member.machine for member, _, is_there in self.machines() if is_there}
        if machine not in there:
            raise MoveRefused(
                message(
                    "There is no machine {machine} in the cluster now; there are: {there}.",
                    machine=machine,
                    there=", ".join(sorted(there)) or "-",
                )
            )
        try:
            async with asyncio.timeout(MOVE_S):
                while self.leases.holder(line) != machine:
                    if self._may_hold(machine, line):  # else a third one would take what its holder lets go of
                        await self.members.move(line, machine)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(MOVE_AGAIN_S):
                            await self.leases.held_by(line, machine)
        except TimeoutError:
            holder = self.leases.holder(line) or "-"
            raise MoveRefused(
                message(
                    "Line {line} is still held by {holder}: see whether it is set up and signed in on {machine}, too.",
                    line=line,
                    holder=holder,
                    machine=machine,
                )
            ) from None
        except EngineAway as error:
            raise MoveRefused(servers_away(str(error))) from error

    def _may_hold(self, machine: str, line: str) -> bool:
        """Whether a machine has a device of a line, as far as it says: an earlier version does not."""
        words = [member.devices for member, _, _ in self.machines() if member.machine == machine]
        return any(its is None or its.get(line) == SIGNED_IN for its in words)

    async def forget(self, machine: str) -> None:
        """Have all machines know one no more that is gone for good, until it is back. Raises ForgetRefused."""
        silent = {member.machine for member, _, is_there in self.machines() if not is_there}
        if self.members.silent_s(machine) is None:
            raise ForgetRefused(
                message(
                    "The cluster knows of no machine {machine}; silent are: {silent}.",
                    machine=machine,
                    silent=", ".join(sorted(silent)) or "-",
                )
            )
        at_work = message(
            "Machine {machine} is at work, so it is not forgotten: stop it for good first, and wait until it is shown "
            "as silent.",
            machine=machine,
        )
        if machine not in silent:
            raise ForgetRefused(at_work)
        try:
            await self.asterisks.keep(machine, None)  # first: while it is known, this can be asked for once more
            await self.members.forget(machine)
        except Conflict as error:
            raise ForgetRefused(at_work) from error
        except NotShared as error:
            raise ForgetRefused(error.sentence) from error
        except EngineAway as error:
            raise ForgetRefused(servers_away(str(error))) from error


def servers_away(error: str) -> Message:
    """NATS does not answer, and why."""
    return message("The cluster's NATS servers do not answer: {error}.", error=error)
