"""Bridges, and what is left of channels and bridges that nobody owns any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriError, AriNotFound, AriTimeout, was_refused
from ari_app.asterisk.events import Event
from ari_app.asterisk.legs import Leg
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.asterisk.resources import Bridge, Channel
from ari_app.backoff import Backoff

logger = logging.getLogger(__name__)

ENTER_TIMEOUT_S = 5.0
"""How long a leg may take to enter Stasis once it is to be bridged; all the waiting for people is over by then."""
CONGESTION = 34
"""Q.850 cause for a channel whose call this program has lost: a phone gets 503; of 41 Asterisk makes 603, Decline."""
CONFIRM_S = 1.0
"""Between two looks at a channel in Stasis that nobody knows: the event of its arrival may be on its way."""
EVERY_S = 60.0
"""Between two looks at what is left behind, if nothing calls for an earlier one."""
RETRY = Backoff(first_s=0.2, last_s=5.0, jitter=0.5)
"""Pauses between attempts to remove what is left behind."""


@asynccontextmanager
async def bridged(client: AriClient, *legs: Leg) -> AsyncIterator[Bridge]:
    """Join legs in a mixing bridge; leaving destroys the bridge, not the legs.

    Waits for legs that are still on their way into Stasis. Raises LegEnded if one is gone, AriTimeout if one does not
    come, AriError.
    """
    bridge_id = client.new_id()
    with client.events.attached(bridge_id, _ignore):  # for `stale_objects`: somebody knows it
        outcome = client.start(client.bridges.create(type="mixing", bridgeId=bridge_id, name=bridge_id))
        try:
            bridge = await asyncio.shield(outcome)
            for leg in legs:
                await _entered(leg)
                await leg.noticing_the_end(lambda channel: bridge.addChannel(channel=channel.id))
            yield bridge
        finally:
            await client.close(_close_after(client, bridge_id, outcome), f"bridge {bridge_id}")


@asynccontextmanager
async def adopted_bridge(client: AriClient, bridge_id: str) -> AsyncIterator[Bridge]:
    """As `bridged`, for a bridge that an earlier run of this program made, with its legs in it.

    Raises AriNotFound where it is gone, AriError.
    """
    with client.events.attached(bridge_id, _ignore):
        bridge = await client.bridges.get(bridgeId=bridge_id)
        try:
            yield bridge
        finally:
            await client.close(_destroyed(client, bridge_id), f"bridge {bridge_id}")


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
    if not was_refused(outcome):
        await _destroyed(client, bridge_id)


async def _destroyed(client: AriClient, bridge_id: str) -> None:
    try:
        await client.bridge(bridge_id).destroy()
    except AriNotFound:
        logger.debug("Bridge %s was gone already", bridge_id)
    except AriError as error:
        logger.warning("Bridge %s could not be destroyed; it is tried again: %s", bridge_id, error)
        client.not_closed(bridge_id)


@dataclass(frozen=True)
class StaleObjects:
    """Channels and bridges of this application that no leg or subscription of this program knows."""

    channels: list[Channel]
    bridges: list[Bridge]

    def __bool__(self) -> bool:
        return bool(self.channels or self.bridges)


async def stale_objects(client: AriClient, keep: Collection[str] = ()) -> StaleObjects:
    """List what was left behind: by a crash, by requests without an answer, by events that were missed.

    That is each channel in its Stasis, and each channel or bridge with an id of this application's making; not those in
    ``keep``, with what is in the bridges of them, and those somebody is attached to, nor what is the dialplan's by now.
    """
    before = client.events.known
    channels, bridges, subscribed = await asyncio.gather(
        client.channels.list(), client.bridges.list(), client.subscribed()
    )
    # By a transfer that nobody was there to see, another channel may be in the place of one that is to be adopted.
    in_kept = {channel for bridge in bridges if bridge.id in keep for channel in bridge.channels}
    # What was opened or closed during the listing is not stale either.
    known = (before | client.events.known | set(keep) | in_kept) - client.left.keys()

    def is_stale(channel: Channel) -> bool:
        if channel.id in known:
            return False
        if _made_here(client, channel):
            return channel.stasis_app in (client.app, None) or channel.state != "Up"  # else it was redirected
        # The application is subscribed to the dialplan's halves of its channels, too: such a one ends with its other
        # half, and may be in its `h` extension for a while, or in another application.
        told_enough = client.apps if client.owns_far(channel.id) else (*client.apps, None)
        return channel.id in subscribed and channel.stasis_app in told_enough

    return StaleObjects(
        [found for found in channels if is_stale(found)],
        [found for found in bridges if found.id not in known and client.owns(found.id)],
    )


def _made_here(client: AriClient, channel: Channel) -> bool:
    return client.owns(channel.id) and not client.owns_far(channel.id)


GiveBack = Callable[[Channel], Awaitable[None]]
"""Gives a channel that the dialplan has sent back to it. Raises AriError."""


async def reconcile(
    client: AriClient, keep: Collection[str] = (), give_back: GiveBack = Channel.continueInDialplan
) -> StaleObjects:
    """Remove the stale objects. Returns what was removed. Raises the first error, after all the others were tried."""
    found = await stale_objects(client, keep)
    if not all(_made_here(client, channel) for channel in found.channels):
        await asyncio.sleep(CONFIRM_S)
        later = await stale_objects(client, keep)
        ids = {channel.id for channel in found.channels}
        found = StaleObjects([channel for channel in later.channels if channel.id in ids], later.bridges)
    errors: list[Exception] = []
    removed = StaleObjects([], [])
    for channel in found.channels:
        if channel.sent_by_dialplan and channel.id not in client.left:
            removing = give_back(channel)
        else:
            removing = channel.hangup(reason_code=client.left.get(channel.id) or CONGESTION)
        if await _removed(removing, errors):
            removed.channels.append(channel)
    for bridge in found.bridges:
        if await _removed(bridge.destroy(), errors):
            removed.bridges.append(bridge)
    if removed:
        logger.warning("Removed %d channels and %d bridges left behind", len(removed.channels), len(removed.bridges))
    if errors:
        raise errors[0]
    return removed


async def _removed(request: Awaitable[None], errors: list[Exception]) -> bool:
    try:
        await request
    except AriNotFound as error:
        logger.debug("A stale object went by itself: %s", error)
        return False
    except Exception as error:  # noqa: BLE001 - the first one is raised
        errors.append(error)
        return False
    return True


async def reconciling(
    client: AriClient,
    keep: Callable[[], Collection[str]] = tuple,
    give_back: GiveBack = Channel.continueInDialplan,
    on_done: Callable[[], None] = lambda: None,
) -> None:
    """Remove what is left behind after each connect, after each closing that failed, and every ``EVERY_S``.

    ``keep``: the ids of what somebody is about to adopt. ``give_back``: what is done with a phone's channel. What fails
    is tried again, with backoff, until it is done; ``on_done`` is called each time that it is.
    """
    failures, told = 0, ""
    while True:
        await client.wait_state(ConnectionState.CONNECTED)
        client.to_reconcile.clear()
        known = set(client.left)
        try:
            await reconcile(client, keep(), give_back)
        except AriError as error:
            failures += 1
            pause_s = RETRY.pause_s(failures)
            if str(error) != told:  # not the same line every few seconds for as long as Asterisk refuses
                told = str(error)
                logger.warning("What is left behind in Asterisk is not removed yet, and is tried again: %s", error)
            await asyncio.sleep(pause_s)
            continue
        failures, told = 0, ""
        for any_id in known:
            client.left.pop(any_id, None)
        on_done()
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await client.to_reconcile.wait()
