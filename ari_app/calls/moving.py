"""A channel for which this machine can place no call is moved to a machine of the cluster that can."""

import logging
from typing import Protocol

from ari_app.asterisk.errors import AriError, LegEnded
from ari_app.asterisk.legs import IncomingLeg

log = logging.getLogger(__name__)


def application(app: str, machine: str) -> str:
    """The Stasis application of a machine at another one's Asterisk, whose own is ``app``."""
    return f"{app}@{machine}"


class OtherPlacers(Protocol):
    """The machines that place calls for phones of this one's Asterisk."""

    def applications(self, line: str | None) -> list[str]:
        """Their Stasis applications there: of those that could place a call now, through this line, or through one."""


class NoOtherPlacer:
    """Where this is the only machine."""

    def applications(self, line: str | None) -> list[str]:
        """There is none."""
        return []


async def is_moved(leg: IncomingLeg, applications: list[str]) -> bool:
    """Move a channel to the first of these that takes it; False where none does."""
    for app in applications:
        try:
            await leg.move(app)
        except (AriError, LegEnded) as error:
            log.warning("channel %s was not moved to %s: %s", leg.id, app, error)
        else:
            log.info("this machine can place no call for channel %s: it was moved to %s", leg.id, app)
            return True
    return False
