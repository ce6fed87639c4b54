"""Events from Asterisk, and how each finds those who wait for it.

Nothing here awaits: Asterisk drops a WebSocket that is not read for 100 ms (ari.conf: websocket_write_timeout), so an
event is parsed and handed on at once, to plain functions or to unbounded queues.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ari_app.tasks import FAILURES

logger = logging.getLogger(__name__)

# Made by this client, not by Asterisk.
CONNECTED = "AriConnected"
"""To everyone, after each connect: there is no replay of events, so reconcile."""
DISCONNECTED = "AriDisconnected"
"""To everyone: events are being missed from now on."""
CHANNEL_PRESENT = "AriChannelPresent"
"""After a reconnect, to a channel's subscribers: it is still there, with this snapshot."""
CHANNEL_GONE = "AriChannelGone"
"""After a reconnect, to a channel's subscribers: it vanished meanwhile."""
CHANNEL_REPLACED = "AriChannelReplaced"
"""To a channel's subscribers: it was transferred, and this other channel is in its place, and in its bridge. From now
on they get the events of the other one."""
REFUSAL_CHANGED = "AriRefusalChanged"
"""To everyone: Asterisk refuses requests from now on, or takes them again."""

STASIS_START = "StasisStart"
LAST_EVENTS = frozenset({"StasisEnd", "ChannelDestroyed"})


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its type, and the whole of it as Asterisk sent it."""

    type: str
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def channel(self) -> Mapping[str, Any]:
        """The channel's snapshot, empty if the event has none."""
        return self.raw.get("channel") or {}

    @property
    def channel_id(self) -> str:
        """The channel's id, empty if the event has none."""
        return str(self.channel.get("id", ""))

    @property
    def bridge_id(self) -> str:
        """The bridge's id, empty if the event has none."""
        return str((self.raw.get("bridge") or {}).get("id", ""))


@dataclass(frozen=True, slots=True)
class StasisStart(Event):
    """A StasisStart that nobody had announced: a channel that the dialplan sends to this application.

    ``since`` collects what happens to the channel until ``incoming_leg`` takes it over, so that a caller who gives up
    in between is noticed.
    """

    since: list[Event] = field(default_factory=list, repr=False)

    @property
    def args(self) -> list[str]:
        """The arguments of ``Stasis(app,...)``."""
        return list(self.raw.get("args", []))

    @property
    def replaces(self) -> str:
        """The id of the channel whose place it takes, by a transfer; empty for a channel of its own."""
        return str((self.raw.get("replace_channel") or {}).get("id", ""))


def parse_event(text: str) -> Event:
    """Parse a WebSocket message. Raises ValueError if it is no event."""
    raw = json.loads(text)
    try:
        return Event(raw["type"], raw)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an ARI event: {text[:200]}") from error


Sink = Callable[[Event], None]
_APPLICATION = ""


@dataclass(eq=False)
class _Attachment:
    target_id: str
    sink: Sink


class EventRouter:
    """Hands each event to those attached to its channel, its bridge, or the application.

    ``abandoned`` is told the id of a channel of ours that enters Stasis although nobody waits for it any more.
    """

    def __init__(self, is_ours: Callable[[str], bool], abandoned: Callable[[str], None]) -> None:
        self._is_ours = is_ours
        self._abandoned = abandoned
        self._sinks: dict[str, list[_Attachment]] = {}
        self._unclaimed: dict[str, list[Event]] = {}
        self._seen: set[str] = set()

    @property
    def known(self) -> frozenset[str]:
        """Ids of the channels and bridges that somebody is attached to, or that have arrived and wait to be taken."""
        return (frozenset(self._sinks) | frozenset(self._unclaimed)) - {_APPLICATION}

    @property
    def seen(self) -> frozenset[str]:
        """Ids of the attached channels that are known to have existed."""
        return frozenset(self._seen & self._sinks.keys())

    def saw(self, channel_id: str) -> None:
        """Note that a channel exists, so that after a reconnect its absence means that it is gone."""
        self._seen.add(channel_id)

    @contextmanager
    def attached(self, target_id: str, sink: Sink) -> Iterator[None]:
        """Call ``sink``, which must not block, with a channel's or bridge's events ("": the application's).

        It follows a channel that is transferred (see CHANNEL_REPLACED).
        """
        attachment = _Attachment(target_id, sink)
        self._sinks.setdefault(target_id, []).append(attachment)
        try:
            yield
        finally:
            target_id = attachment.target_id
            self._sinks[target_id].remove(attachment)
            if not self._sinks[target_id]:
                del self._sinks[target_id]
                self._seen.discard(target_id)

    def claim(self, start: StasisStart, sink: Sink) -> None:
        """Replay to ``sink`` what happened to an arrived channel so far, and stop collecting it."""
        for event in start.since:
            sink(event)
        self._unclaimed.pop(start.channel_id, None)
        self.saw(start.channel_id)

    def dispatch(self, event: Event) -> None:
        """Hand on an event from Asterisk."""
        targets = {target for target in (event.channel_id, event.bridge_id) if target and target in self._sinks}
        for target in targets:
            self._deliver(target, event)
        if event.channel_id in targets:
            self.saw(event.channel_id)
        elif event.type == STASIS_START:
            self._stasis_start(event)
        elif (collected := self._unclaimed.get(event.channel_id)) is not None:
            collected.append(event)
            if event.type in LAST_EVENTS:
                del self._unclaimed[event.channel_id]
        elif not event.channel_id and not event.bridge_id:
            self._deliver(_APPLICATION, event)

    def deliver_to_channel(self, channel_id: str, event: Event) -> None:
        """Hand an event of this client's making to a channel's subscribers."""
        self._deliver(channel_id, event)

    def broadcast(self, event: Event) -> None:
        """Hand an event of this client's making to everyone."""
        for target in list(self._sinks):
            self._deliver(target, event)

    def _stasis_start(self, event: Event) -> None:
        if self._is_ours(event.channel_id):
            self._abandoned(event.channel_id)
            return
        start = StasisStart(event.type, event.raw)
        if start.replaces and start.replaces in self._sinks:
            self._replace(start)
            return
        if _APPLICATION not in self._sinks:
            logger.warning("Channel %s entered Stasis, but nobody takes arrivals yet", event.channel_id)
            return
        self._unclaimed[start.channel_id] = start.since
        self._deliver(_APPLICATION, start)

    def _replace(self, start: StasisStart) -> None:
        """Let those attached to a transferred channel follow the one in its place."""
        followers = self._sinks.pop(start.replaces)
        for attachment in followers:
            attachment.target_id = start.channel_id
        self._sinks.setdefault(start.channel_id, []).extend(followers)
        self._seen.discard(start.replaces)
        self.saw(start.channel_id)
        self._deliver(start.channel_id, Event(CHANNEL_REPLACED, start.raw))

    def _deliver(self, target: str, event: Event) -> None:
        for attachment in list(self._sinks.get(target, ())):
            try:
                attachment.sink(event)
            except Exception as error:  # noqa: BLE001 - recorded; it must not keep the event from the others
                FAILURES.add(f"event {event.type} of {target or 'the application'}", error)


class Subscription:
    """The events of a channel, a bridge or the application, in order, from the moment of ``async with``."""

    def __init__(self, router: EventRouter, target_id: str) -> None:
        self._router = router
        self._target_id = target_id
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._attachment = router.attached(target_id, self._queue.put_nowait)

    async def __aenter__(self) -> Subscription:
        self._attachment.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._attachment.__exit__(None, None, None)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            yield await self._queue.get()

    async def next(self, *types: str) -> Event:
        """Wait for the next event of these types (or any), skipping the others."""
        while True:
            event = await self._queue.get()
            if not types or event.type in types:
                return event
