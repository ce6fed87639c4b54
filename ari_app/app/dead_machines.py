"""Channels of this machine's Asterisk that were moved to a machine which has died: they go back to their dialplan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ari_app.app.earlier_run import HOLD_S
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import StaleObjects, reconcile
from ari_app.asterisk.errors import AriError, AriNotFound
from ari_app.calls.moving import application
from ari_app.calls.outbound import return_lost
from ari_app.cluster.control import ClusterControl
from ari_app.cluster.members import Members
from ari_app.config import AsteriskSettings
from media.pool import MediaPool

LOOK_EVERY_S = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeadMachines:
    """``ari`` is this machine's, ``as_application`` makes another client of the same Asterisk.

    ``after_s``: a machine that has said nothing for so long is dead; until then it may go on with its calls.
    """

    ari: AriClient
    as_application: Callable[[str], AriClient]
    members: Members
    own: str
    after_s: Callable[[], float]

    async def run(self) -> None:
        """Look again and again, without an end."""
        while True:
            for member, silent_s in self.members.all():
                if silent_s > self.after_s() and member.machine != self.own:
                    try:
                        await self.give_back(member.machine)
                    except AriError as error:
                        log.warning(
                            "calls that machine %s has left in Asterisk: tried again: %s", member.machine, error
                        )
            await asyncio.sleep(LOOK_EVERY_S)

    async def give_back(self, machine: str) -> StaleObjects:
        """What it has left is hung up, and who dialled goes on in the dialplan, with ERROR. Raises AriError."""
        app = application(self.ari.app, machine)
        try:
            left = (await self.ari.applications.get(applicationName=app)).get("channel_ids", [])
        except AriNotFound:
            left = []
        if not left:
            return StaleObjects([], [])
        log.warning("machine %s has died with %d channels of this machine's Asterisk", machine, len(left))
        async with self.as_application(app) as client:
            await client.wait_connected()
            return await reconcile(client, give_back=return_lost)


def dead_machines(control: ClusterControl, ari: AriClient, its: AsteriskSettings, pool: MediaPool) -> DeadMachines:
    """Those of a cluster; their media processes may go on for as long as those of ``pool``."""

    def as_application(app: str) -> AriClient:
        return AriClient(its.url, its.user, its.password.get_secret_value(), app, moved_from=its.app)

    return DeadMachines(ari, as_application, control.members, control.machine, lambda: HOLD_S + pool.orphan_grace_s)
