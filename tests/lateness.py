"""How late the machine wakes its programs up: what a test of sound may excuse a hole by."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LATE_MS = 10
"""A program that wakes up so much later than it wanted shows that the machine has no time for those that run."""
METRONOME = f"""
import sys, threading, time
threading.Thread(target=sys.stdin.read, daemon=True).start()
while threading.active_count() > 1:
    began = time.monotonic()
    time.sleep(0.01)
    late_ms = round((time.monotonic() - began - 0.01) * 1000)
    if late_ms > {LATE_MS}:
        print(late_ms, flush=True)
"""


class Lateness:
    """What a metronome of its own process has written so far, in ms."""

    def __init__(self, written: Path) -> None:
        self._written = written

    def worst_ms(self) -> int:
        """The longest that was more than LATE_MS, or 0."""
        return max((int(line) for line in self._written.read_text().split("\n")[:-1]), default=0)


@contextmanager
def lateness(written: Path) -> Iterator[Lateness]:
    """Measured while the block lasts, and written there."""
    with written.open("w") as output:
        metronome = subprocess.Popen([sys.executable, "-c", METRONOME], stdin=subprocess.PIPE, stdout=output)
    try:
        yield Lateness(written)
    finally:
        metronome.communicate()
