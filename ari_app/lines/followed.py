"""This machine's lines and installation, as they follow what other machines of a cluster have set."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from ari_app.cluster.shared_settings import LeftOut
from ari_app.i18n import Message, message
from ari_app.lines.installation import SHARED_NAME, Installation
from ari_app.lines.manager import LineManager
from ari_app.lines.settings import LineError
from ari_app.wrong import wrong_in

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
        """Take it over; None: the line is removed. What can't be used here is left out, and the log says so.

        Raises LeftOut.
        """
        try:
            if name == SHARED_NAME:
                await self.installation.follow(value or "{}")
            else:
                await self.lines.follow(name, value)
        except (LineError, ValueError) as error:
            wrong = wrong_in(error) if isinstance(error, ValidationError) else [error]
            self._leave_out(name, "; ".join(map(str, wrong)))
            raise LeftOut(_stays(name)) from error
        self.left_out.pop(name, None)

    def _leave_out(self, name: str, why: str) -> None:
        if self.left_out.get(name) == why:  # it is told again with each watch
            return
        self.left_out[name] = why
        log.error(
            "settings of the cluster: %s stays as it is here, and can't be changed here: what another machine has set "
            "can't be used. Upgrade Astergram on this machine, if it has an earlier version: %s",
            name,
            why,
        )


def _stays(name: str) -> Message:
    """For who wants to change it here: what this machine has not understood would be lost."""
    if name == SHARED_NAME:
        return message(
            "Another machine has set something for the installation that this one can't use (the log says what), so "
            "nothing was changed: upgrade Astergram on this machine, or make the change on the other one."
        )
    return message(
        "Another machine has set something for line {line} that this one can't use (the log says what), so nothing was "
        "changed: upgrade Astergram on this machine, or make the change on the other one.",
        line=name,
    )
