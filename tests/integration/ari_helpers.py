"""What the ARI tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.resources import Channel
from ari_app.asterisk.websocket import HEARTBEAT_S, Backoff
from ari_app.sandbox.asterisk import PrivateAsterisk

APP = "telegram"
WAIT_S = 20.0
"""Longer than anything takes on a busy machine; reached only by a test that fails."""

DIALPLAN = """
[ari-test]
exten => echo,1,Answer()
 same => n,Echo()
exten => tone,1,Answer()
 same => n,Playtones(1004/1000)
 same => n,Wait(60)
exten => ring,1,Ringing()
 same => n,Wait(60)
exten => when-told,1,GotoIf($["${ANSWER}" = "yes"]?echo,1)
 same => n,Wait(0.05)
 same => n,Goto(1)
exten => busy,1,Hangup(17)
exten => rejects,1,Answer()
 same => n,Wait(0.2)
 same => n,Hangup(21)
exten => read,1,Answer()
 same => n,Read(DIGITS,,3,,1,10)
 same => n,Set(GLOBAL(SEEN)=${DIGITS})
 same => n,Hangup(31)
exten => vars,1,Set(GLOBAL(SEEN)=${CALLERID(name)}|${CALLERID(num)}|${X-TG-Phone}|${TELEGRAM_CITY}|${INHERITED})
 same => n,Answer()
 same => n,Wait(60)
exten => out,1,Stasis(telegram,+79990000001,second argument)
 same => n,Set(GLOBAL(SEEN)=${TELEGRAM_STATUS})
 same => n,Hangup(${TELEGRAM_CAUSE})
"""


@asynccontextmanager
async def connected(
    asterisk: PrivateAsterisk, url: str = "", app: str = APP, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[AriClient]:
    """A connected client; with ``url``, by way of a proxy."""
    client = AriClient(
        url or asterisk.ari_url,
        asterisk.ari_user,
        asterisk.ari_password,
        app,
        heartbeat_s=heartbeat_s,
        backoff=Backoff(first_s=0.02, last_s=0.1),
    )
    async with client:
        await client.wait_connected(WAIT_S)
        yield client


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that has no event."""

    async def checked() -> bool:
        return condition()

    await _eventually(checked)


async def nothing_is_left(client: AriClient) -> None:
    """Wait until Asterisk has neither channels nor bridges."""

    async def empty() -> bool:
        return not await client.channels.list() and not await client.bridges.list()

    await _eventually(empty)


async def channels_are(client: AriClient, ids: set[str]) -> None:
    """Wait until Asterisk has these channels and no others."""

    async def same() -> bool:
        return {channel.id for channel in await client.channels.list()} == ids

    await _eventually(same)


async def reaches_state(client: AriClient, channel_id: str, state: str) -> None:
    """Wait for a channel's state."""

    async def reached() -> bool:
        return (await client.channels.get(channelId=channel_id)).state == state

    await _eventually(reached)


async def _eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await condition():  # noqa: ASYNC110 - what another program does has no asyncio.Event
            await asyncio.sleep(0.01)


async def global_variable(asterisk: PrivateAsterisk, name: str) -> str:
    """Read a global variable of the dialplan, once it is set."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for line in (await asterisk.cli("dialplan show globals")).splitlines():
                if line.strip().startswith(f"{name}="):
                    return line.strip().removeprefix(f"{name}=")
            await asyncio.sleep(0.02)


async def calls_telegram(client: AriClient, name: str = "caller", **more: str) -> Channel:
    """A caller on the PBX dials Telegram. Its own half is the channel returned; ``NAME-far`` arrives in Stasis."""
    return await client.channels.originate(
        endpoint="Local/out@ari-test/n",
        context="ari-test",
        extension="echo",
        priority=1,
        callerId='"Anna" <101>',
        channelId=name,
        otherChannelId=f"{name}-far",
        **more,  # type: ignore[arg-type]
    )


class Proxy:
    """A TCP proxy whose connections can be cut, and whose target can change: what a network does to a client."""

    def __init__(self, port: int) -> None:
        self.target_port = port
        self.port = 0
        self.refusing = False
        self.silent = False
        """Swallow what the server sends, and hide from it that a client went away: a network that lost its way."""
        self._closing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def ari_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ari"

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self._closing.set()
        self.cut()
        await self._server.wait_closed()
        await eventually(lambda: not self._writers)

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(reader, there_writer))
                tasks.create_task(self._copy(there_reader, writer))
        finally:
            for each in both:
                each.close()
                with suppress(OSError):
                    await each.wait_closed()
            self._writers -= both

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
        if self.silent:
            await self._closing.wait()
        writer.close()
