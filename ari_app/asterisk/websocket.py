"""The event WebSocket: connects, and connects again.

Protocol: ``GET /ari/events?app=APP``, https://docs.asterisk.org/Configuration/Interfaces/Asterisk-REST-Interface-ARI/
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus

import aiohttp
from yarl import URL

from ari_app.asterisk.errors import AriConflict, AriError, AriTimeout, AriUnreachable, error_from_answer
from ari_app.asterisk.events import Event, parse_event
from ari_app.backoff import Backoff
from ari_app.os_words import in_words

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
HEARTBEAT_S = 2.5
"""A ping this often; without a pong in half that time the connection counts as broken."""
RECONNECT = Backoff(first_s=0.2, last_s=3.0, jitter=0.5)
STEADY_AFTER_S = 5.0
"""A connection that lasted this long was a good one: the next retry is quick again."""

_EVENTS = "GET /events"


class ConnectionState(Enum):
    """Where the event WebSocket is."""

    CONNECTING = auto()
    CONNECTED = auto()
    WAITING = auto()
    """Not connected; the next attempt comes after a pause."""
    CLOSED = auto()


class EventSocket:
    """Keeps one application connected, and reports each event and each change of state to plain functions."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: URL,
        user: str,
        app: str,
        *,
        on_event: Callable[[Event], None],
        on_state: Callable[[ConnectionState], None],
        backoff: Backoff,
        heartbeat_s: float,
    ) -> None:
        self._session = session
        self._url = URL(f"{base}/events").with_query(app=app, subscribeAll="false")
        self._user = user
        self._app = app
        self._on_event = on_event
        self._on_state = on_state
        self._backoff = backoff
        self._heartbeat_s = heartbeat_s
        self._changed = asyncio.Event()
        self.state = ConnectionState.CONNECTING
        self.last_error: AriError | None = None
        """Why it is not connected; None while it is."""

    async def changed(self) -> None:
        """Wait for the next change of state."""
        await self._changed.wait()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        clock = asyncio.get_running_loop().time
        try:
            while True:
                started = clock()
                self._set(ConnectionState.CONNECTING, self.last_error)
                error = await self._connect_and_read()
                failures = 1 if clock() - started > STEADY_AFTER_S else failures + 1
                # Taking the application back at once would only make the two fight.
                pause_s = self._backoff.last_s if isinstance(error, AriConflict) else self._backoff.pause_s(failures)
                logger.warning("%s; the next attempt comes in %.1f s", error, pause_s)
                self._set(ConnectionState.WAITING, error)
                await asyncio.sleep(pause_s)
        finally:
            self._set(ConnectionState.CLOSED, self.last_error)

    async def _connect_and_read(self) -> AriError:
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
        async with socket:
            self._set(ConnectionState.CONNECTED, None)
            return await self._read(socket)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> AriError:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                event = parse_event(message.data)
            except ValueError as error:
                logger.warning("%s: skipped a message: %s", _EVENTS, error)
                continue
            self._on_event(event)
            if event.type == "ApplicationReplaced":  # Asterisk leaves this WebSocket open, and silent
                return AriConflict(
                    f"{_EVENTS}: another program connected as the Stasis application {self._app!r}."
                    " Only one may: stop it, or give this one another application name",
                    status=HTTPStatus.CONFLICT,
                )
        reason = socket.exception() or f"code {socket.close_code}"
        return AriUnreachable(f"{_EVENTS}: the WebSocket to Asterisk closed ({reason})")

    def _set(self, state: ConnectionState, error: AriError | None) -> None:
        self.state = state
        self.last_error = error
        self._on_state(state)
        self._changed.set()
        self._changed = asyncio.Event()
