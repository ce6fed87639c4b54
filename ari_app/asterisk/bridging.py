"""Bridges, and what is left of channels and bridges that nobody owns any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.asterisk.ari import FAR_SUFFIX, AriClient
from ari_app.asterisk.errors import AriError, AriNotFound, AriTimeout, AriUnreachable
from ari_app.asterisk.events import Event
from ari_app.asterisk.legs import Leg
from ari_app.asterisk.resources import Bridge, Channel

logger = logging.getLogger(__name__)

ENTER_TIMEOUT_S = 5.0
"""How long a leg may take to enter Stasis once it is to be bridged; all the waiting for people is over by then."""
TEMPORARY_FAILURE = 41
"""Q.850 cause for a channel whose call this program has lost."""


@asynccontextmanager
async def bridged(client: AriClient, *legs: Leg) -> AsyncIterator[Bridge]:
    """Join legs in a mixing bridge; leaving destroys the bridge, not the legs.

    Waits for legs that are still on their way into Stasis. Raises LegEnded if one is gone, AriTimeout if one does not
    come, AriError.
    """
    bridge_id = client.new_id()
    with client.events.attached(bridge_id, _ignore):  # for ``strays``: somebody knows it
        outcome = client.start(client.bridges.create(type="mixing", bridgeId=bridge_id, name=bridge_id))
        try:
            bridge = await asyncio.shield(outcome)
            for leg in legs:
                await _entered(leg)
                await leg.noticing_the_end(bridge.addChannel(channel=leg.id))
            yield bridge
        finally:
            await client.run_to_end(_close_after(client, bridge_id, outcome))


def _ignore(event: Event) -> None:
    """A bridge's events tell nothing that its legs' do not."""


async def _entered(leg: Leg) -> None:
    try:
        async with asyncio.timeout(ENTER_TIMEOUT_S):
            await leg.entered()
    except TimeoutError:
        raise AriTimeout(f"{leg!r} cannot be bridged: it did not enter Stasis within {ENTER_TIMEOUT_S:g} s") from None


async def _close_after(client: AriClient, bridge_id: str, outcome: asyncio.Future[Bridge]) -> None:
    await asyncio.wait([outcome])
    error = outcome.exception()
    if error is not None and not isinstance(error, (AriTimeout, AriUnreachable)):
        return  # refused: there is none
    try:
        await client.bridge(bridge_id).destroy()
    except AriNotFound:
        logger.debug("Bridge %s was gone already", bridge_id)
    except AriError as error:
        logger.warning("Bridge %s could not be destroyed, reconciling will do it: %s", bridge_id, error)


@dataclass(frozen=True)
class Strays:
    """Channels and bridges of this application that no leg or subscription of this program knows."""

    channels: list[Channel]
    bridges: list[Bridge]

    def __bool__(self) -> bool:
        return bool(self.channels or self.bridges)


async def strays(client: AriClient, keep: Collection[str] = ()) -> Strays:
    """List what was left behind: by a crash, by requests without an answer, by events that were missed.

    That is each channel or bridge with an id of this application's making, and each channel in its Stasis; not those in
    ``keep`` and those somebody is attached to.
    """
    before = client.events.known
    channels, bridges, in_stasis = await asyncio.gather(
        client.channels.list(), client.bridges.list(), _channels_in_stasis(client)
    )
    # What was opened or closed during the listing is not stray either.
    known = before | client.events.known | set(keep)
    known |= {f"{near}{FAR_SUFFIX}" for near in known}
    return Strays(
        [found for found in channels if found.id not in known and (client.owns(found.id) or found.id in in_stasis)],
        [found for found in bridges if found.id not in known and client.owns(found.id)],
    )


async def reconcile(client: AriClient, keep: Collection[str] = ()) -> Strays:
    """Remove the strays, at start and after each reconnect. Returns what was removed. Raises AriError."""
    found = await strays(client, keep)
    for channel in found.channels:
        try:
            await channel.hangup(reason_code=TEMPORARY_FAILURE)
        except AriNotFound:
            logger.debug("Stray channel %s went by itself", channel.id)
    for bridge in found.bridges:
        try:
            await bridge.destroy()
        except AriNotFound:
            logger.debug("Stray bridge %s went by itself", bridge.id)
    if found:
        logger.warning("Removed %d channels and %d bridges left behind", len(found.channels), len(found.bridges))
    return found


async def _channels_in_stasis(client: AriClient) -> frozenset[str]:
    try:
        application = await client.applications.get(applicationName=client.app)
    except AriNotFound:  # the WebSocket has not connected yet
        return frozenset()
    return frozenset(application.get("channel_ids", []))
