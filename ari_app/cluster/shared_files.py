"""Files of the lines' cards, the same on all machines of a cluster: NATS has them, encrypted.

Which files a line has is kept as settings are: a change counts once NATS has it, and what NATS has counts more than
what a machine has. A file's content is there before anybody is told of the file, under a name that is used once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ari_app.store.card_files import AboutCardFile, CardFileRow


class SharedFiles(Protocol):
    """Where files are kept for all machines."""

    async def keep(self, file: CardFileRow) -> None:
        """Before it counts on this machine. Raises NotShared."""

    async def remove(self, line: str, kind: str) -> None:
        """Before it is removed on this machine. Raises NotShared."""

    async def forget(self, line: str) -> None:
        """Remove all of a line that is no more, or not yet. Raises NotShared."""

    def lacks(self, line: str, kind: str) -> bool:
        """Whether this machine does not have a file (yet) that another one has set."""

    async def run(self, files: MachineFiles) -> None:
        """Follow the other machines, without an end."""

    async def fetch(self, files: MachineFiles) -> None:
        """Fetch what this machine lacks, without an end."""


class MachineFiles(Protocol):
    """Those of this machine. Everything raises StoreUnavailable."""

    async def all(self) -> Sequence[tuple[str, AboutCardFile]]:
        """Every one, with its line."""

    async def content(self, line: str, kind: str) -> bytes | None:
        """What is in a file; None where there is none."""

    async def has_line(self, line: str) -> bool:
        """Whether there is this line."""

    async def is_here(self, line: str, about: AboutCardFile) -> bool:
        """Whether this machine has this very file: it was put at this very moment, to the microsecond, by this name."""

    async def follow(self, file: CardFileRow, is_wanted: Callable[[], bool]) -> bool:
        """Take over what another machine has set; False where there is no such line (yet).

        ``is_wanted`` is asked just before: something else may have been set here meanwhile.
        """

    async def follow_removal(self, line: str, kind: str) -> None:
        """Take over that another machine has removed a file."""


class OwnFiles:
    """Where there is no other machine to be told."""

    async def keep(self, file: CardFileRow) -> None:
        """It counts here."""

    async def remove(self, line: str, kind: str) -> None:
        """It is removed here."""

    async def forget(self, line: str) -> None:
        """They go with their line."""

    def lacks(self, line: str, kind: str) -> bool:
        """Nobody else sets any."""
        return False

    async def run(self, files: MachineFiles) -> None:
        """There is nobody to follow."""

    async def fetch(self, files: MachineFiles) -> None:
        """There is nothing to fetch."""
