"""The dialplan in dialplan/, loaded by a real Asterisk: what reaches Telegram, and what never does."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from pydantic import SecretStr

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriNotFound
from ari_app.asterisk.events import STASIS_START, Event, StasisStart
from ari_app.doctor.dialplan import Flavour, Wishes, extensions
from ari_app.doctor.surroundings import Surroundings
from ari_app.sandbox.asterisk import PrivateAsterisk
from tests.integration.ari_helpers import WAIT_S, connected, nothing_is_left

OFFICE = """
[office]
include => phones-to-telegram
include => office-trunk
exten => 205,1,Goto(answered,1)
exten => anna,1,Goto(@anna,1) ; no Local channel has a second @ in its name
exten => answered,1,Answer()
 same => n,Wait(30)
[office-trunk]
exten => 112,1,Hangup(31)
exten => _NXXXXXX.,1,Hangup(31)
[bare-office]
include => phones-to-telegram
[direct-office]
include => to-telegram
"""

DESTINATIONS = {
    "+79990000002": "+79990000002",
    "anna": "tg#anna",
    "tg#anna": "tg#anna",
    "tg#5000000002": "tg#5000000002",
}


@pytest.fixture
def extra_dialplan() -> str:
    return OFFICE


async def dial(client: AriClient, dialled: str, context: str = "office") -> str:
    """Dial as a phone there does; what Telegram was asked for, empty if the call was answered or refused elsewhere."""
    events: asyncio.Queue[Event] = asyncio.Queue()
    caller = client.new_id()
    with client.events.attached("", events.put_nowait), client.events.attached(caller, events.put_nowait):
        await client.channels.originate(
            endpoint=f"Local/{dialled}@{context}/n", app=client.app, channelId=caller, otherChannelId=f"{caller}-far"
        )
        async with asyncio.timeout(WAIT_S):
            while True:
                event = await events.get()
                if isinstance(event, StasisStart) and event.args:
                    found = event.args[0]
                    break
                if event.channel_id == caller and event.type in (STASIS_START, "ChannelDestroyed"):
                    found = ""
                    break
        with contextlib.suppress(AriNotFound):
            await client.channel(caller).hangup()
        await nothing_is_left(client)
    return found


async def test_a_prefix_and_digits_alone_where_they_are_wanted(asterisk: PrivateAsterisk) -> None:
    """Still no emergency number, and no internal one."""
    here = Surroundings(asterisk.ari_url, asterisk.ari_user, SecretStr(""), asterisk.run_dir)
    lines = extensions(Flavour.VANILLA, here, Wishes(prefix="8", only_digits=True))
    (asterisk.run_dir / "etc" / "extensions.conf").write_text(f"[general]\n{lines}{OFFICE}")
    await asterisk.cli("dialplan reload")
    async with connected(asterisk) as client:
        assert await dial(client, "879990000002") == "+79990000002"
        assert await dial(client, "5000000002") == "5000000002"
        for dialled in ("112", "911", "205", "8112", "811", "501234"):
            assert await dial(client, dialled, "bare-office") == ""


async def test_what_begins_like_a_destination_goes_to_telegram(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        for dialled, asked in DESTINATIONS.items():
            assert await dial(client, dialled) == asked


@pytest.mark.parametrize("context", ["office", "bare-office", "direct-office"])
async def test_other_numbers_never_go_to_telegram(asterisk: PrivateAsterisk, context: str) -> None:
    """Emergency numbers, internal ones and those of a trunk, whether the phones' context has them or not."""
    async with connected(asterisk) as client:
        for dialled in ("112", "911", "205", "79990000002", "t", "h", "tgt", "tg", "+"):
            assert await dial(client, dialled, context) == ""
