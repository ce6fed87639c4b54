"""The calls that other machines of the cluster carry now: each is asked for its own, and hangs one up itself."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.messenger import Messenger

LIVE, HANG_UP = "live-calls", "hang-up"
"""What a machine is asked."""
YES, NO = b"yes", b"no"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MachineCall:
    """A call now: ``state`` is a `CallState`'s value, ``direction`` a `Direction`'s, ``began_at`` a Unix time."""

    id: str
    began_at: FiniteFloat
    direction: str
    line: str
    who: str
    pbx_party: str
    state: str


_calls = TypeAdapter(tuple[MachineCall, ...])


@dataclass(frozen=True)
class MachineCalls:
    """Those of a machine; None where it does not answer."""

    machine: str
    calls: tuple[MachineCall, ...] | None


@dataclass(frozen=True)
class LiveCalls:
    """``others``: the address of each machine that is there, by its name; ``own``: the calls of this one."""

    messenger: Messenger
    others: Callable[[], dict[str, str]]
    own: Callable[[], Sequence[MachineCall]]
    hang_up_here: Callable[[str], bool]

    def serve(self) -> None:
        """Answer the other machines from now on."""
        self.messenger.serve(LIVE, lambda _: json.dumps([asdict(each) for each in self.own()]).encode())
        self.messenger.serve(HANG_UP, lambda call_id: YES if self.hang_up_here(call_id.decode()) else NO)

    async def elsewhere(self) -> list[MachineCalls]:
        """Those of all other machines, by the machine's name."""
        others = sorted(self.others().items())
        found = await asyncio.gather(*(self._of(address) for _, address in others))
        return [MachineCalls(machine, calls) for (machine, _), calls in zip(others, found, strict=True)]

    async def hang_up(self, machine: str, call_id: str) -> bool:
        """End another machine's call, for an administrator; False where it is over. Raises EngineAway."""
        if (address := self.others().get(machine)) is None:
            raise EngineAway("it is not in the cluster now")
        return await self.messenger.ask(address, HANG_UP, call_id.encode()) == YES

    async def _of(self, address: str) -> tuple[MachineCall, ...] | None:
        try:
            return _calls.validate_json(await self.messenger.ask(address, LIVE, b""))
        except EngineAway as error:
            log.debug("calls of other machines: %s", error)
        except ValidationError as error:
            log.warning("calls of machine %s: not understood (%d errors)", address, error.error_count())
        return None
