"""Brings the events that wait to AMI, one after the other: each again until Asterisk has said that it has it."""

import logging

from ari_app.asterisk.ami_link import AmiLink
from ari_app.asterisk.errors import AriError, AriRefused, AriTimeout, AriUnreachable
from ari_app.pbx.ami_spool import Spool
from ari_app.store.ami_spool import SpooledEvent

TRIES = 5
"""An event that Asterisk leaves without an answer this often, though it answers others, is not tried again."""

log = logging.getLogger(__name__)


class AmiDelivery:
    """Sends what is in the spool for as long as `run` goes on."""

    def __init__(self, spool: Spool, link: AmiLink) -> None:
        self.sent = 0
        self.given_up = 0
        """Events that Asterisk does not take, since the start."""
        self._spool = spool
        self._link = link

    async def run(self) -> None:
        """Send until cancelled."""
        tries = 0
        while True:
            event = await self._spool.first()
            await self._link.connected()
            try:
                await self._send(event)
            except (AriRefused, AriUnreachable):
                continue  # it waits for the next connection
            except AriTimeout as error:
                tries += 1
                if tries < TRIES:
                    continue
                self._give_up(event, error)
            except AriError as error:
                self._give_up(event, error)
            else:
                self.sent += 1
            tries = 0
            self._spool.taken()

    async def _send(self, event: SpooledEvent) -> None:
        action_id = event.headers.get("ActionID") or str(event.id)
        await self._link.user_event(event.name, {**event.headers, "EventID": str(event.id)}, action_id)

    def _give_up(self, event: SpooledEvent, error: AriError) -> None:
        self.given_up += 1
        log.error("AMI does not take the event %s %d, it is given up: %s", event.name, event.id, error)
