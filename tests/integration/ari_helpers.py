"""What the ARI tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.resources import Channel
from ari_app.asterisk.websocket import HEARTBEAT_S
from ari_app.backoff import Backoff
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.proxy import Proxy as TcpProxy

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
exten => other,1,Stasis(other,of another program)
exten => out,1,Stasis(telegram,+79990000001,second argument)
 same => n,Set(GLOBAL(SEEN)=${TELEGRAM_STATUS})
 same => n,Hangup(${TELEGRAM_CAUSE})
"""


@asynccontextmanager
async def connected(
    asterisk: PrivateAsterisk, url: str = "", app: str = APP, heartbeat_s: float = HEARTBEAT_S, moved_from: str = ""
) -> AsyncIterator[AriClient]:
    """A connected client; with ``url``, by way of a proxy."""
    client = AriClient(
        url or asterisk.ari_url,
        asterisk.ari_user,
        asterisk.ari_password,
        app,
        moved_from=moved_from,
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
        return not await client.channels.list()

    await _eventually(empty)
    await no_bridge_is_left(client)


async def no_bridge_is_left(client: AriClient) -> None:
    """Wait until Asterisk lists no bridge: a DELETE is answered before the channels of the bridge have left it."""

    async def empty() -> bool:
        return not await client.bridges.list()

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


class Proxy(TcpProxy):
    """A proxy that is asked for ARI."""

    @property
    def ari_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ari"
