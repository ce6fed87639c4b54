"""Asterisk's RTP ports, as far as they can be known: those of rtp.conf, where AMI's user may read it.

Asterisk has crashed for want of them (its issue 1757).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriError, AriFailed
from ari_app.asterisk.media_codecs import Transport
from ari_app.asterisk.reconnecting import ConnectionState

DEFAULT_RTP_PORTS = (5000, 31000)
"""Asterisk's own, where rtp.conf has none."""
PORTS_OF_A_STREAM = 2
EVERY_S = 600.0
"""Between two looks at rtp.conf while connected: it is seldom changed."""

log = logging.getLogger(__name__)


async def rtp_port_count(ami: Ami) -> int | None:
    """How many there are, for all calls of Asterisk's. Raises AriError.

    None if the user may not read configuration files: that right is more than Astergram needs.
    """
    if "GetConfig" not in await ami.allowed_actions():
        return None
    try:
        fields = (await ami.action("GetConfig", Filename="rtp.conf")).fields
    except AriFailed:  # there is no such file
        fields = {}
    lines = (str(text).partition("=") for name, text in fields.items() if name.startswith("Line-"))
    values = {name.strip(): value.strip() for name, _, value in lines}
    first, last = DEFAULT_RTP_PORTS
    if values.get("rtpstart", "").isdecimal():
        first = int(values["rtpstart"])
    if values.get("rtpend", "").isdecimal():
        last = int(values["rtpend"])
    return last - first + 1


def ports_of_call(transport: Transport) -> int:
    """How many one call takes: the phone's stream, and over RTP the one to the media process."""
    return PORTS_OF_A_STREAM * (2 if transport == "rtp" else 1)


class RtpPorts:
    """For how many calls Asterisk has ports; ``calls`` is None as long as that is not known."""

    def __init__(self, client: AriClient, connect: Callable[[], Ami], transport: Transport) -> None:
        self.calls: int | None = None
        self._client = client
        self._connect = connect
        self._transport: Transport = transport

    async def run(self) -> None:
        """Look after each connect of ARI's, and then again and again, until cancelled."""
        while True:
            await self._client.wait_state(ConnectionState.CONNECTED)
            try:
                async with self._connect() as ami:
                    count = await rtp_port_count(ami)
            except AriError as error:  # the doctor, and whatever else needs AMI, tells what to do
                log.debug("RTP ports of Asterisk are not known: %s", error)
            else:
                self.calls = None if count is None else max(count, 0) // ports_of_call(self._transport)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._client.wait_state(ConnectionState.WAITING, ConnectionState.CONNECTING)
