"""The event WebSocket: connects, and connects again.

Protocol: ``GET /ari/events?app=APP``, https://docs.asterisk.org/Configuration/Interfaces/Asterisk-REST-Interface-ARI/
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

import aiohttp
from yarl import URL

from ari_app.asterisk.errors import (
    AriConflict,
    AriError,
    AriNotFound,
    AriTimeout,
    AriUnreachable,
    error_from_answer,
)
from ari_app.asterisk.events import Event, parse_event
from ari_app.asterisk.reconnecting import ConnectionState, Reconnecting
from ari_app.backoff import Backoff
from ari_app.os_words import in_words
from ari_app.tasks import guarded_tasks

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
HEARTBEAT_S = 10.0
"""A ping this often; without a pong in half that time the connection counts as broken. Not shorter: a program that is
halted for so long, as on a busy machine, learns that time is up before it reads the pong that came meanwhile."""
PROBE = "AstergramProbe"
"""A user event of the application's, asked for several times a ping: a WebSocket answers pings, and may be told
nothing. Asterisk takes the application from a new WebSocket where the one before it ends just as the new one comes."""
PROBES_A_PING = 4
PROBE_TIMEOUT_S = 2.0
PROBES_UNTOLD = 2
"""So many in a row prove it: one alone may have been read too late."""
RECONNECT = Backoff(first_s=0.2, last_s=3.0, jitter=0.5)

_EVENTS = "GET /events"


class EventSocket(Reconnecting):
    """Keeps one application connected, and reports each event and each change of state to plain functions.

    ``ask_for_event`` has Asterisk tell the application a user event by that name; it raises AriError.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: URL,
        user: str,
        app: str,
        *,
        on_event: Callable[[Event], None],
        on_state: Callable[[ConnectionState], None],
        ask_for_event: Callable[[str], Awaitable[None]],
        backoff: Backoff,
        heartbeat_s: float,
    ) -> None:
        super().__init__(backoff)
        self._session = session
        self._url = URL(f"{base}/events").with_query(app=app, subscribeAll="false")
        self._user = user
        self._app = app
        self._on_event = on_event
        self._on_state = on_state
        self._ask_for_event = ask_for_event
        self._heartbeat_s = heartbeat_s
        self._change = asyncio.Event()
        self._probed = asyncio.Event()
        self._untold = False
        self._said: set[str] = set()  # since it was connected

    async def changed(self) -> None:
        """Wait for the next change of state."""
        await self._change.wait()

    def _pause_s(self, error: AriError, failures: int) -> float:
        # Taking the application back at once would only make the two fight.
        return self._backoff.last_s if isinstance(error, AriConflict) else super()._pause_s(error, failures)

    def _say(self, error: AriError, pause_s: float) -> None:
        if str(error) not in self._said:  # not the same lines for as long as a machine is gone
            self._said.add(str(error))
            logger.warning("%s. It is tried again until it is connected", error)

    async def _hold(self) -> AriError:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await self._session.ws_connect(
                    self._url,
                    heartbeat=self._heartbeat_s,
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
        except TimeoutError:
            return AriTimeout(f"{_EVENTS}: no WebSocket within {CONNECT_TIMEOUT_S:g} s")
        except aiohttp.WSServerHandshakeError as error:
            # The handshake's body is not kept by aiohttp; an ARI that does not exist answers 404 as well.
            return error_from_answer(_EVENTS, error.status, None, self._user)
        except (aiohttp.ClientError, OSError) as error:
            return AriUnreachable(f"{_EVENTS}: no connection to Asterisk at {self._url.origin()}: {in_words(error)}")
        async with socket, guarded_tasks() as tasks:
            self._untold = False
            self._said.clear()
            self._set(ConnectionState.CONNECTED, None)
            tasks.supervise(partial(self._probe, socket), f"ARI probe of {self._app}")
            return await self._read(socket)

    async def _probe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Close the WebSocket once Asterisk tells it nothing."""
        untold = 0
        while untold < PROBES_UNTOLD:
            self._probed.clear()
            try:
                await self._ask_for_event(PROBE)
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await self._probed.wait()
            except TimeoutError:
                untold += 1
                continue
            except AriNotFound:
                break
            except AriError as error:
                logger.debug("%s", error)  # whether Asterisk is there at all, the pings tell
            untold = 0
            await asyncio.sleep(self._heartbeat_s / PROBES_A_PING)
        self._untold = True
        await socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> AriError:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                event = parse_event(message.data)
            except ValueError as error:
                logger.warning("%s: skipped a message: %s", _EVENTS, error)
                continue
            if event.type == "ChannelUserevent" and event.raw.get("eventname") == PROBE:
                self._probed.set()
                continue
            self._on_event(event)
            if event.type == "ApplicationReplaced":  # Asterisk leaves this WebSocket open, and silent
                return AriConflict(
                    f"{_EVENTS}: another program connected as the Stasis application {self._app!r}."
                    " Only one may: stop it, or give this one another application name",
                    status=HTTPStatus.CONFLICT,
                )
        if self._untold:
            return AriUnreachable(
                f"{_EVENTS}: Asterisk tells the Stasis application {self._app!r} nothing, though its WebSocket is open"
            )
        reason = socket.exception() or f"code {socket.close_code}"
        return AriUnreachable(f"{_EVENTS}: the WebSocket to Asterisk closed ({reason})")

    def _changed(self) -> None:
        self._on_state(self.state)
        self._change.set()
        self._change = asyncio.Event()
