"""What is set for a line, as the other machines of a cluster are told of it: the files of its card go with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ari_app.cluster.shared_files import SharedFiles
from ari_app.cluster.shared_settings import MachineSettings, NotShared, SharedSettings
from ari_app.logs import line_log

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinesWithFiles:
    """``has_line``: whether this machine has a line, by its number."""

    settings: SharedSettings
    files: SharedFiles
    has_line: Callable[[str], bool]

    def check(self, name: str) -> None:
        """As `SharedSettings`."""
        self.settings.check(name)

    async def keep(self, name: str, value: str | None) -> None:
        """As `SharedSettings`. A new line has no files, whatever an earlier one of its number has left."""
        if value is not None and not self.has_line(name):
            self.check(name)  # before the files go of one that this machine does not have
            await self.files.forget(name)
        await self.settings.keep(name, value)
        if value is None:
            try:
                await self.files.forget(name)
            except NotShared as error:
                line_log(log, name).warning("removed, and its card's files are in NATS yet: %s", error)

    async def run(self, settings: MachineSettings) -> None:
        """As `SharedSettings`."""
        await self.settings.run(settings)
