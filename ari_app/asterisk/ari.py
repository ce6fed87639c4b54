"""The ARI client: REST in ari-py's resource style, events, and the tasks that both need.

By hand: ari-py is Python 2 only; asyncari waits for its slowest listener and does not connect again.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack, ExitStack
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from ari_app.asterisk import events, resources
from ari_app.asterisk.errors import AriError, AriNotFound, AriRefused, AriTimeout
from ari_app.asterisk.hangup import NORMAL_CLEARING
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.asterisk.rest import REQUEST_TIMEOUT_S, Rest
from ari_app.asterisk.websocket import HEARTBEAT_S, RECONNECT, EventSocket
from ari_app.backoff import Backoff
from ari_app.tasks import FAILURES, guarded_tasks

logger = logging.getLogger(__name__)

CONNECTED_TIMEOUT_S = 10.0
CLOSE_WAIT_S = 0.5
"""How long a call waits for each thing of its to be closed. That takes milliseconds, unless Asterisk stalls; a call has
some of them, and five seconds for all."""
TRANSFERRER_LEAVES_S = 2.0
"""For the channel of a phone that has transferred its call to leave by itself, as it does after a SIP REFER."""
ID_PREFIX = "astergram"
FAR_SUFFIX = "-far"
"""Ends the id of the dialplan's half of a Local channel."""

T = TypeVar("T")


class AriClient:
    """One Stasis application at one Asterisk; an async context manager, which keeps its event WebSocket connected.

    ``url`` is the base, such as ``http://127.0.0.1:8088/ari``. Entering does not wait for the connection:
    ``wait_connected`` does. ``timeout_s`` bounds each request. ``moved_from``: the application whose channels are moved
    to this one; in Asterisk's snapshots they stay there. ``machine``: of a cluster, whose Asterisk it is; empty: ours.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        app: str,
        *,
        moved_from: str = "",
        machine: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
        backoff: Backoff | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self.base = ari_base(url)
        self.user = user
        self.app = app
        self.apps = (app, moved_from) if moved_from else (app,)
        self.machine = machine
        self._authorization = aiohttp.encode_basic_auth(user, password)
        self._timeout_s = timeout_s
        self._backoff = backoff or RECONNECT
        self._heartbeat_s = heartbeat_s
        self._own_id = re.compile(rf"{re.escape(f'{ID_PREFIX}-{app}')}-[0-9a-f]{{32}}(?P<far>{FAR_SUFFIX})?")
        self._pending: set[asyncio.Task[None]] = set()
        self._to_look = asyncio.Event()
        self.to_reconcile = asyncio.Event()
        """Set when something may be left behind: after a connect, after a closing that failed."""
        self.left: dict[str, int | None] = {}
        """The channels, with their Q.850 causes, and the bridges that could not be closed."""
        self.events = events.EventRouter(self._is_own_half, self._hang_up_orphan)

    def __repr__(self) -> str:
        return f"AriClient({str(self.base)!r}, user={self.user!r}, app={self.app!r})"

    async def __aenter__(self) -> AriClient:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    headers={"Authorization": self._authorization},
                    # A connection for each request: Asterisk may close one kept alive just as a POST is sent on it.
                    connector=aiohttp.TCPConnector(force_close=True),
                    timeout=aiohttp.ClientTimeout(total=None),
                )
            )
            rest = Rest(session, self.base, self.user, self._timeout_s, self._refusal_changed)
            self._rest = rest
            self.channels = resources.Channels(rest)
            self.bridges = resources.Bridges(rest)
            self.asterisk = resources.Asterisk(rest)
            self.applications = resources.Applications(rest)
            self.userEvents = resources.UserEvents(rest)
            self.endpoints = resources.Endpoints(rest)
            self.apiDocs = resources.ApiDocs(rest)
            self._socket = EventSocket(
                session,
                self.base,
                self.user,
                self.app,
                on_event=self.events.dispatch,
                on_state=self._state_changed,
                ask_for_event=self._ask_for_event,
                backoff=self._backoff,
                heartbeat_s=self._heartbeat_s,
            )
            self._tasks = await stack.enter_async_context(guarded_tasks())
            self._tasks.supervise(self._socket.run, f"ARI events of {self.app}")
            self._tasks.supervise(self._keep_looking, f"ARI channels of {self.app}")
            stack.push_async_callback(self._finish_pending)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: Any) -> bool | None:
        return await self._stack.__aexit__(*exc_info)

    # --- connection

    @property
    def state(self) -> ConnectionState:
        """Where the event WebSocket is."""
        return self._socket.state

    @property
    def last_error(self) -> AriError | None:
        """Why the event WebSocket is not connected; None while it is."""
        return self._socket.last_error

    @property
    def connects(self) -> int:
        """How often the event WebSocket was connected."""
        return self._socket.connects

    @property
    def refusal(self) -> AriRefused | None:
        """Why Asterisk refuses requests, where it does: its password may be changed while the WebSocket stays up."""
        return self._rest.refusal

    async def wait_state(self, *states: ConnectionState) -> ConnectionState:
        """Wait until the event WebSocket is in one of these states."""
        while self.state not in states:
            await self._socket.changed()
        return self.state

    async def wait_connected(self, timeout_s: float = CONNECTED_TIMEOUT_S) -> None:
        """Wait for the event WebSocket. Raises AriRefused at once, and after ``timeout_s`` what stands in the way."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.state is not ConnectionState.CONNECTED:
                    if isinstance(self.last_error, AriRefused):
                        raise self.last_error
                    await self._socket.changed()
        except TimeoutError:
            raise self.last_error or AriTimeout(f"no event WebSocket to {self.base} within {timeout_s:g} s") from None

    async def away(self, seconds: float) -> None:
        """Return when the event WebSocket has not been there for so long, without a break; it may be away already."""
        while True:
            while self.state is ConnectionState.CONNECTED:
                await self._socket.changed()
            try:
                async with asyncio.timeout(seconds):
                    await self.wait_state(ConnectionState.CONNECTED)
            except TimeoutError:
                return

    def subscribe(self, *, channel_id: str = "", bridge_id: str = "") -> events.Subscription:
        """Events of a channel or bridge, which need not exist yet; with neither, those of the application.

        The application's are: Arrivals, events about no channel or bridge, CONNECTED and DISCONNECTED.
        """
        return events.Subscription(self.events, channel_id or bridge_id)

    # --- ids: chosen here, so that one can subscribe before the channel exists, and recognise what was left behind

    def new_id(self) -> str:
        """An id for a channel or bridge."""
        return f"{ID_PREFIX}-{self.app}-{uuid.uuid4().hex}"

    def owns(self, any_id: str) -> bool:
        """Whether ``new_id`` of this application made this id (or it is the far half of such a channel)."""
        return self._own_id.fullmatch(any_id) is not None

    def owns_far(self, any_id: str) -> bool:
        """Whether it is the dialplan's half of a Local channel of this application's making."""
        match = self._own_id.fullmatch(any_id)
        return match is not None and match["far"] is not None

    def channel(self, channel_id: str, json: resources.Json | None = None) -> resources.Channel:
        """A channel by its id (and a snapshot, if there is one), without asking Asterisk for it."""
        return resources.Channel(self._rest, channel_id, json)

    def bridge(self, bridge_id: str) -> resources.Bridge:
        """A bridge by its id, without asking Asterisk for it."""
        return resources.Bridge(self._rest, bridge_id)

    # --- work that must not be cut short

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run ``work`` to its end, whatever becomes of the caller; leaving the client waits for it."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                result = await work
            except asyncio.CancelledError:
                outcome.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - the outcome's reader gets it
                if not outcome.cancelled():
                    outcome.set_exception(error)
            else:
                if not outcome.cancelled():
                    outcome.set_result(result)

        task = self._tasks.spawn(run(), f"ARI work of {self.app}")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return outcome

    async def close(self, closing: Coroutine[Any, Any, None], what: str) -> None:
        """Run a closing to its end, and wait for it, ``CLOSE_WAIT_S`` at most. Its errors are logged, not raised."""
        outcome = self.start(closing)
        try:
            await asyncio.wait([outcome], timeout=CLOSE_WAIT_S)
        finally:
            if outcome.done():
                self._closed(outcome)  # not earlier: what somebody is attached to is not taken for left behind
            else:
                outcome.add_done_callback(self._closed)
                logger.warning("%s is not closed after %g s; nobody waits for it any longer", what, CLOSE_WAIT_S)

    def _closed(self, outcome: asyncio.Future[None]) -> None:
        _report(outcome)
        if outcome.cancelled() or outcome.exception():
            self.to_reconcile.set()

    def not_closed(self, any_id: str, cause: int | None = None) -> None:
        """Leave a channel (with its Q.850 cause) or a bridge that could not be closed to ``bridging.reconciling``."""
        self.left[any_id] = cause
        self.to_reconcile.set()

    def let_go(self, channel_id: str) -> None:
        """Hang up a channel that has been transferred away, unless it leaves by itself."""
        left, attached = asyncio.Event(), ExitStack()

        def learn(event: events.Event) -> None:
            if event.type in events.LAST_EVENTS:
                left.set()

        attached.enter_context(self.events.attached(channel_id, learn))  # at once: its end may be the next event
        self.start(self._let_go(channel_id, left, attached)).add_done_callback(self._closed)

    async def _finish_pending(self) -> None:
        if self._pending:
            # Each is a few requests, and so bounded by their timeouts.
            await asyncio.wait(set(self._pending))

    # --- after a reconnect, and for what nobody waits for any more

    def _state_changed(self, state: ConnectionState) -> None:
        if state is ConnectionState.CONNECTED:
            logger.info("Connected to Asterisk at %s as application %s", self.base, self.app)
            self.events.broadcast(events.Event(events.CONNECTED, {}))
            self._to_look.set()
            self.to_reconcile.set()
        elif state is ConnectionState.WAITING:
            self.events.broadcast(events.Event(events.DISCONNECTED, {}))

    async def _ask_for_event(self, name: str) -> None:
        await self.userEvents.generate(eventName=name, application=self.app)

    def _refusal_changed(self) -> None:
        self.events.broadcast(events.Event(events.REFUSAL_CHANGED, {}))

    async def _keep_looking(self) -> None:
        """After each connect, look for the channels that were there before, again and again until it is done."""
        failures = 0
        while True:
            await self._to_look.wait()
            self._to_look.clear()
            if not (seen := self.events.seen):
                continue
            try:
                await self._look_for(seen)
            except AriError as error:
                failures += 1
                pause_s = self._backoff.pause_s(failures)
                logger.warning("What became of %d channels is not known yet: %s", len(seen), error)
                self._to_look.set()
                await asyncio.sleep(pause_s)
            except BaseException:
                self._to_look.set()  # for when it is begun again
                raise
            else:
                failures = 0

    async def _look_for(self, channel_ids: frozenset[str]) -> None:
        """Tell each channel's subscribers whether it outlived the disconnection, and where."""
        present = {channel.id: channel.json for channel in await self.channels.list()}
        for channel_id in channel_ids & self.events.seen:
            found = present.get(channel_id)
            event = (
                events.Event(events.CHANNEL_GONE, {"channel": {"id": channel_id}})
                if found is None
                else events.Event(events.CHANNEL_PRESENT, {"channel": found})
            )
            self.events.deliver_to_channel(channel_id, event)

    async def subscribed(self) -> frozenset[str]:
        """The ids of the channels that this application is told of. Raises AriError.

        Those that entered Stasis, and those that it has originated, both halves, until they leave Stasis.
        """
        try:
            application = await self.applications.get(applicationName=self.app)
        except AriNotFound:  # the WebSocket has not connected yet
            return frozenset()
        return frozenset(application.get("channel_ids", []))

    def _is_own_half(self, channel_id: str) -> bool:
        match = self._own_id.fullmatch(channel_id)
        return match is not None and match["far"] is None

    def _hang_up_orphan(self, channel_id: str) -> None:
        logger.warning("Hanging up channel %s: its request was given up before Asterisk carried it out", channel_id)
        self.start(self._hang_up_if_there(channel_id)).add_done_callback(self._closed)

    async def _hang_up_if_there(self, channel_id: str) -> None:
        try:
            await self.channel(channel_id).hangup()
        except AriNotFound:
            logger.debug("Channel %s went by itself", channel_id)
        except AriError as error:
            logger.warning("Channel %s could not be hung up; it is tried again: %s", channel_id, error)
            self.not_closed(channel_id, NORMAL_CLEARING)
        except BaseException:
            self.not_closed(channel_id, NORMAL_CLEARING)
            raise

    async def _let_go(self, channel_id: str, left: asyncio.Event, attached: ExitStack) -> None:
        with attached:
            try:
                async with asyncio.timeout(TRANSFERRER_LEAVES_S):
                    await left.wait()
            except TimeoutError:
                await self._hang_up_if_there(channel_id)


def ari_base(url: str) -> URL:
    """ARI's own address, which ends in ``/ari``, of that of Asterisk's HTTP server."""
    base = URL(url.rstrip("/"))
    return base if base.path.endswith("/ari") else base / "ari"


def _report(outcome: asyncio.Future[None]) -> None:
    if outcome.cancelled() or not (error := outcome.exception()):
        return
    if isinstance(error, AriError):
        logger.error("%s", error)
    else:
        FAILURES.add("ARI work", error)
