"""A connection to AMI that stays: connects, sees that Asterisk answers, and connects again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from ari_app.asterisk.ami import Ami, Fields
from ari_app.asterisk.errors import AriError, AriRefused, AriTimeout, AriUnreachable
from ari_app.asterisk.reconnecting import ConnectionState, Reconnecting
from ari_app.backoff import Backoff

PING_EVERY_S = 10.0
"""A connection over which nothing comes any more is noticed within this, and the time for an answer."""
RECONNECT = Backoff(first_s=0.5, last_s=10.0, jitter=0.5)
REFUSED_S = 60.0
"""After a login that Asterisk refuses: more of them would look like a search for the password (fail2ban). And after an
event that it refuses: somebody has to change manager.conf, whose rights count from the next login on (measured)."""

log = logging.getLogger(__name__)


class AmiLink(Reconnecting):
    """Keeps logged in for as long as `run` goes on. ``connect`` makes a connection; it is entered for each attempt.

    ``on_event``, which can be set later, is told each user event; ``on_change`` that the state may have changed.
    Neither may wait.
    """

    def __init__(
        self,
        connect: Callable[[], Ami],
        *,
        on_event: Callable[[Fields], None] = lambda event: None,
        on_change: Callable[[], None] = lambda: None,
        backoff: Backoff = RECONNECT,
        refused_s: float = REFUSED_S,
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        super().__init__(backoff)
        self._connect = connect
        self.on_event = on_event
        self._on_change = on_change
        self._refused_s = refused_s
        self._ping_every_s = ping_every_s
        self._ami: Ami | None = None
        self._said = ""
        self._connected = asyncio.Event()
        self._broken = asyncio.Event()
        self._refusal: AriRefused | None = None

    async def connected(self) -> None:
        """Wait until it is logged in."""
        await self._connected.wait()

    async def user_event(self, name: str, headers: Mapping[str, str], action_id: str) -> None:
        """Have Asterisk pass a user event on to every AMI user that may read them.

        Raises AriError; where Asterisk's answer was not seen it may have done so (AriTimeout, AriUnreachable). After
        these, and after AriRefused, the connection is made anew.
        """
        if self._ami is None:
            raise AriUnreachable("AMI: not connected")
        try:
            await self._ami.action("UserEvent", **{"UserEvent": name, **headers, "ActionID": action_id})
        except (AriRefused, AriTimeout, AriUnreachable) as error:
            self._refusal = error if isinstance(error, AriRefused) else None
            self._broken.set()
            self._connected.clear()
            raise
        self._said = ""

    def _pause_s(self, error: AriError, failures: int) -> float:
        return self._refused_s if isinstance(error, AriRefused) else super()._pause_s(error, failures)

    def _say(self, error: AriError, pause_s: float) -> None:
        if str(error) != self._said:  # not the same line every few seconds
            self._said = str(error)
            log.warning("%s. It is tried again and again; events for AMI wait", error)

    async def _hold(self) -> AriError:
        """Be connected until that ends; why it did."""
        self._broken = asyncio.Event()  # of this connection: the last one may still break
        self._refusal = None
        try:
            async with self._connect() as ami:
                ami.on_event("UserEvent", lambda event: self.on_event(event))
                self._ami = ami
                self._set(ConnectionState.CONNECTED, None)
                log.info("AMI: connected to %s:%d as %s", ami.host, ami.port, ami.user)
                await self._watch(ami)
        except AriError as error:
            return error
        finally:
            self._ami = None
            self._connected.clear()
        return self._refusal or AriUnreachable(f"AMI: the connection to {ami.host}:{ami.port} broke")

    async def _watch(self, ami: Ami) -> None:
        """Until it is broken. Raises AriError where there is no answer any more."""
        ami.on_lost(self._broken.set)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._ping_every_s):
                    await self._broken.wait()
                    return
            await ami.ping()
            self._said = ""

    def _changed(self) -> None:
        if self.state is ConnectionState.CONNECTED:
            self._connected.set()
        self._on_change()
