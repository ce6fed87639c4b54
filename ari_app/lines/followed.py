"""This machine's lines and installation, as they follow what other machines of a cluster have set."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from ari_app.lines.installation import SHARED_NAME, Installation
from ari_app.lines.manager import LineManager
from ari_app.lines.settings import LineError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FollowedSettings:
    """By a line's number, or `SHARED_NAME`."""

    lines: LineManager
    installation: Installation
    left_out: dict[str, str] = field(default_factory=dict)
    """Why something stays as it is here, by its name; the log has it."""

    async def all(self) -> Mapping[str, str]:
        """Every one that is set here."""
        settings = {each.number: each.stored() for each in self.lines.all_settings()}
        installation = await self.installation.stored()
        return settings if installation is None else {SHARED_NAME: installation, **settings}

    async def follow(self, name: str, value: str | None) -> None:
        """Take it over; None: the line is removed. What can't be used here is left out, and the log says so."""
        try:
            if name == SHARED_NAME:
                await self.installation.follow(value or "{}")
            else:
                await self.lines.follow(name, value)
        except (LineError, ValueError) as error:
            if self.left_out.get(name) == str(error):  # it is told again with each watch
                return
            self.left_out[name] = str(error)
            said = "settings of the cluster: %s stays as it is here, what another machine has set can't be used: %s"
            log.error(said, name, error)  # noqa: TRY400 - the administrator needs the sentence
