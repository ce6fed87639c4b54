"""A connection to Asterisk that stays: made again, after a pause, for as long as it is wanted."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from enum import Enum, auto

from ari_app.asterisk.errors import AriError
from ari_app.backoff import Backoff

STEADY_AFTER_S = 5.0
"""A connection that lasted this long was a good one: the next attempt comes soon again."""


class ConnectionState(Enum):
    """Where a connection is."""

    CONNECTING = auto()
    CONNECTED = auto()
    WAITING = auto()
    """Not connected; the next attempt comes after a pause."""
    CLOSED = auto()


class Reconnecting(ABC):
    """What its subclass connects, for as long as `run` goes on."""

    def __init__(self, backoff: Backoff) -> None:
        self.state = ConnectionState.CONNECTING
        self.last_error: AriError | None = None
        """Why it is not connected; None while it is."""
        self.connects = 0
        """How often it was connected."""
        self._backoff = backoff

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        clock = asyncio.get_running_loop().time
        try:
            while True:
                started = clock()
                self._set(ConnectionState.CONNECTING, self.last_error)
                error = await self._hold()
                failures = 1 if clock() - started > STEADY_AFTER_S else failures + 1
                pause_s = self._pause_s(error, failures)
                self._say(error, pause_s)
                self._set(ConnectionState.WAITING, error)
                await asyncio.sleep(pause_s)
        finally:
            self._set(ConnectionState.CLOSED, self.last_error)

    @abstractmethod
    async def _hold(self) -> AriError:
        """Connect, `_set` CONNECTED, and stay so until that ends; why it did, or why it could not."""

    def _pause_s(self, error: AriError, failures: int) -> float:
        """Until the next attempt, after so many failures in a row."""
        return self._backoff.pause_s(failures)

    @abstractmethod
    def _say(self, error: AriError, pause_s: float) -> None:
        """Log why it is not connected."""

    @abstractmethod
    def _changed(self) -> None:
        """Its state may be another one; must not wait."""

    def _set(self, state: ConnectionState, error: AriError | None) -> None:
        self.connects += state is ConnectionState.CONNECTED
        self.state = state
        self.last_error = error
        self._changed()
