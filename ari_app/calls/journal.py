"""The journal: what the next run of the program has to know of each live call, whatever becomes of this one.

A file of slots, one for each call. A slot has two places that are written by turns, each with a number, a length and a
checksum, so that whoever is killed while writing leaves the one before whole. Writing takes microseconds: it goes into
the kernel's cache (pwrite(2), to blocks that are allocated already), where it outlives the process. A thread has it put
on the disk a moment later, for the case that the machine does not.
"""

import asyncio
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ari_app.state_folder import PRIVATE, give_to_owner

JOURNAL = "calls.journal"
"""Its name in the state directory."""
MAGIC = b"Astergram calls, layout 1\n"
START = 4096  # bytes before the first slot
PLACE = 16 * 1024
"""Bytes of a place: a call has some 2,000 to 6,000, and events are left out of one with more (`journalled`)."""
SLOT = 2 * PLACE
AT_ONCE = 32
"""Slots that the file grows by: one megabyte."""
HEAD = struct.Struct("<QII")
"""Number (0: never written), bytes that follow (0: no call), CRC-32 of the two and of the bytes."""
MOST_BYTES = PLACE - HEAD.size
"""Of one record."""
TO_DISK_EVERY_S = 1.0
"""What a crash of the machine may cost: Telegram then ends such a call when its media is gone."""
FOREIGN = ".foreign"
"""Ends the name of a journal that is none of ours, once it is put aside."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Slot:
    """Where one call is kept. ``number``: of the newest place, which is the one by its last bit."""

    offset: int
    number: int = 0


@dataclass(frozen=True)
class Left:
    """What an earlier run has left in a slot; ``record`` is None where neither place is whole.

    ``damaged`` is what is in the places then, the newer first if that can be told.
    """

    slot: Slot
    record: bytes | None
    damaged: tuple[bytes, ...] = ()


class Journal:
    """The records of the live calls, by the calls' ids; made by `open_journal(...)`.

    What can't be written is said in the log, and the call goes on: only the next run does not know of it.
    """

    def __init__(self, file: int | None) -> None:
        self._file = file
        self._slots: dict[str, Slot] = {}
        self._free: list[Slot] = []
        self._size = 0
        self._refused = False
        self._changed = False
        self.written_until = os.fstat(file).st_mtime if file is not None else 0.0
        """Until when an earlier run was there, to a second or so (Unix time)."""
        self.left = self._read() if file is not None else []
        """What it has left, each to be `hold` or `drop`ped."""

    def hold(self, call_id: str, left: Left) -> None:
        """What was left is this call's, and stays until something newer is written, or it is forgotten."""
        self._slots[call_id] = left.slot

    def drop(self, left: Left) -> None:
        """What was left is of no use."""
        self._empty(left.slot, "a record that is of no use")

    def write(self, call_id: str, record: bytes) -> None:
        """Have a call's record, in place of the one before: it outlives this process from now on.

        Never waits, never raises.
        """
        if self._file is None:
            return
        try:
            slot = self._slots.get(call_id)
            if slot is None:
                slot = self._slots[call_id] = self._next_free()
            self._put(slot, record)
        except (OSError, ValueError) as error:
            if not self._refused:
                log.error("calls are not journalled, and end with this program: %s", error)  # noqa: TRY400
            self._refused = True
        else:
            self._refused = False

    def forget(self, call_id: str) -> None:
        """A call is over, and kept elsewhere."""
        if slot := self._slots.pop(call_id, None):
            self._empty(slot, f"call {call_id}")

    async def run(self) -> None:
        """Have what is written put on the disk, and the time written, until cancelled; nobody waits for that."""
        while self._file is not None:
            changed, self._changed = self._changed, False
            try:
                await asyncio.to_thread(_look_after, self._file, changed)
            except OSError as error:
                log.warning("the journal of calls would not outlive a crash of this machine: %s", error)
            await asyncio.sleep(TO_DISK_EVERY_S)

    def close(self) -> None:
        """Write nothing any more: the number of its file may be another's by then."""
        self._file = None

    def _empty(self, slot: Slot, what: str) -> None:
        if self._file is None:
            return
        try:
            self._put(slot, b"")
            self._wipe(slot)
        except OSError as error:
            log.error("%s stays in the journal of calls: %s", what, error)  # noqa: TRY400
        else:
            self._free.append(slot)

    def _put(self, slot: Slot, record: bytes) -> None:
        """Raises OSError, ValueError."""
        assert self._file is not None
        if len(record) > MOST_BYTES:
            raise ValueError(f"a record of {len(record)} bytes, where {MOST_BYTES} are the most")
        number = slot.number + 1
        whole = HEAD.pack(number, len(record), _checksum(number, record)) + record
        written = os.pwrite(self._file, whole, slot.offset + number % 2 * PLACE)
        if written != len(whole):
            raise OSError(f"only {written} of {len(whole)} bytes were written")
        slot.number = number
        self._changed = True

    def _wipe(self, slot: Slot) -> None:
        """Leave nothing of a call in either place: it has names and numbers. Raises OSError."""
        assert self._file is not None
        newest, other = (slot.offset + number % 2 * PLACE for number in (slot.number, slot.number + 1))
        os.pwrite(self._file, bytes(PLACE - HEAD.size), newest + HEAD.size)
        os.pwrite(self._file, bytes(PLACE), other)

    def _next_free(self) -> Slot:
        """Raises OSError where the disk is full."""
        assert self._file is not None
        if not self._free:
            os.posix_fallocate(self._file, self._size, AT_ONCE * SLOT)
            self._free = [Slot(self._size + index * SLOT) for index in reversed(range(AT_ONCE))]
            self._size += AT_ONCE * SLOT
        return self._free.pop()

    def _read(self) -> list[Left]:
        """What every slot has; those that are empty are free. Raises OSError."""
        assert self._file is not None
        found = []
        end = os.fstat(self._file).st_size
        self._size = START + max(end - START, 0) // SLOT * SLOT
        for offset in range(START, self._size, SLOT):
            raw = os.pread(self._file, SLOT, offset)
            places = [_whole(raw[at : at + PLACE]) for at in (0, PLACE)]
            number, record = max((each for each in places if each), default=(0, b""))
            slot = Slot(offset, number)
            if record:
                found.append(Left(slot, record))
            elif number == 0 and any(raw):
                found.append(Left(slot, None, _damaged(raw)))
            else:
                self._free.append(slot)
        return found


def _look_after(file: int, changed: bool) -> None:
    """Raises OSError."""
    os.utime(file)
    if changed:
        os.fdatasync(file)


def _checksum(number: int, record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(HEAD.pack(number, len(record), 0)))


def _whole(place: bytes) -> tuple[int, bytes] | None:
    """The number and the record of a place; None where it is not whole."""
    number, length, checksum = HEAD.unpack_from(place)
    record = place[HEAD.size : HEAD.size + length]
    return (number, record) if number and checksum == _checksum(number, record) else None


def _damaged(slot: bytes) -> tuple[bytes, ...]:
    """What is in the places of a slot, whose checksums are wrong; the newer place first."""
    places = sorted((slot[at : at + PLACE] for at in (0, PLACE)), key=lambda each: -HEAD.unpack_from(each)[0])
    return tuple(found for place in places if (found := place[HEAD.size :].partition(b"\0")[0]))


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal of a state directory, which nobody else uses. Where it can't be used, the log says so."""
    with ExitStack() as stack:
        try:
            file = _opened(path)
            stack.callback(os.close, file)
            journal = Journal(file)
            stack.callback(journal.close)
        except OSError as error:
            log.error("calls are not journalled, and end with this program: %s", error)  # noqa: TRY400
            journal = Journal(None)
        yield journal


def _opened(path: Path) -> int:
    """Raises OSError."""
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE)
        try:
            beginning = os.pread(file, START, 0)
            if not beginning:
                os.pwrite(file, MAGIC.ljust(START, b"\0"), 0)
                give_to_owner(path)
                return file
            if beginning.startswith(MAGIC):
                return file
            aside = path.with_name(path.name + FOREIGN)
            path.replace(aside)
            log.error("%s is no journal that this version can read: put aside as %s; its calls end", path, aside)
        except BaseException:
            os.close(file)
            raise
        os.close(file)
