"""Whether one more call is taken on: the machine is read once a second, and what there is too little of is told."""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

from ari_app.bus import EventBus
from ari_app.calls.call import Call
from ari_app.calls.capacity import AdmissionLimits, Capacity, Load, MachineReading, MediaReading
from ari_app.calls.machine import read_machine
from ari_app.calls.reasons import Shortage

EVERY_S = 1.0
"""Between two readings of the machine."""

log = logging.getLogger(__name__)


class ReadMachine(Protocol):
    """Reads the machine, as `read_machine` does; called in a thread, because the kernel may take its time."""

    def __call__(self, media: Mapping[int, MediaReading], weighed: int | None = None) -> MachineReading:
        """Raises OSError, ValueError."""


class Admission:
    """Takes calls on while there is room for them. ``live``, each time, are the calls that have not ended.

    ``rtp_calls`` tells for how many Asterisk has RTP ports, or None. It publishes "admission" when one more call would
    be refused, for another reason than before, or not any more.
    """

    def __init__(
        self,
        limits: AdmissionLimits | None = None,
        bus: EventBus | None = None,
        rtp_calls: Callable[[], int | None] = lambda: None,
        read: ReadMachine = read_machine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.capacity = Capacity(limits or AdmissionLimits())
        self._bus = bus or EventBus()
        self._rtp_calls = rtp_calls
        self.read = read
        self._clock = clock
        self._refuses = False
        self._published: type[Shortage] | None = None
        self._unreadable = False

    async def run(self, live: Callable[[], Collection[Call]]) -> None:
        """Read the machine each second, until cancelled."""
        for turn in itertools.count():
            self.capacity.rtp_calls = self._rtp_calls()
            await self._take(live(), turn)
            self._tell(self.shortage(live()))
            await asyncio.sleep(EVERY_S)

    def refusal(self, live: Collection[Call]) -> Shortage | None:
        """Why a new call is refused; logs the first one that is."""
        shortage = self.shortage(live)
        self._tell(shortage)
        if shortage and not self._refuses:
            self._refuses = True
            log.warning("calls are refused: %s %s", shortage, shortage.remedy)
        return shortage

    def shortage(self, live: Collection[Call]) -> Shortage | None:
        """What there is too little of for one more call."""
        return self.capacity.shortage([*_pids(live)], self._clock())

    def room(self, live: Collection[Call]) -> int | None:
        """For how many more calls; None where that is not known."""
        return self.capacity.room([*_pids(live)], self._clock())

    def load(self, live: Collection[Call]) -> Load | None:
        """What is used of the machine; None where that is not known."""
        return self.capacity.load([*_pids(live)], self._clock())

    async def _take(self, live: Collection[Call], turn: int) -> None:
        media = {
            call.audio.pid: MediaReading(0.0, call.talking, call.stats.ticks_late if call.stats else None)
            for call in live
            if call.audio is not None
        }
        talking = [pid for pid, its in media.items() if its.talking]
        weighed = talking[turn % len(talking)] if talking else None
        try:
            # Not bounded in time: a thread can't be stopped, and there is to be no second one beside it. Meanwhile
            # the readings become stale, and calls are taken on.
            reading = await asyncio.to_thread(self.read, media, weighed)
        except (OSError, ValueError) as error:
            if not self._unreadable:
                log.warning("this machine can't be read (%s): calls are taken on whatever else it does", error)
            self._unreadable = True
        else:
            self.capacity.take(reading)

    def _tell(self, shortage: Shortage | None) -> None:
        if self._refuses and shortage is None:
            self._refuses = False
            log.info("calls are taken on again")
        kind = type(shortage) if shortage else None
        if kind is not self._published:
            self._published = kind
            self._bus.publish("admission")


def _pids(live: Collection[Call]) -> Iterator[int | None]:
    return (call.audio.pid if call.audio else None for call in live)
