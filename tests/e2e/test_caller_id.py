"""Who is who on the phones of a PBX: also once the dialplan has answered, and for whoever called out."""

import asyncio
import re
from contextlib import suppress

import pytest

from ari_app.sandbox.stage import ANNA, LINE
from tests.e2e.conftest import WEBSOCKET, Play, PlayMaker

pytestmark = pytest.mark.asterisk_16

ANSWERS = """
[from-telegram]
exten => _X.,1,Answer()
 same => n,Dial(PJSIP/101,20)
"""
PATIENCE_S = 10.0


async def of_phone(stage: Play, word: str) -> str:
    """What Asterisk has of a phone's channel, by the names of `core show channel`."""
    [phone] = [each for each in await stage.app.ari.channels.list() if each.name.startswith("PJSIP/101-")]
    shown = await stage.asterisk.cli(f"core show channel {phone.name}")
    found = re.search(rf"^\s*{word}: (.*)$", shown, re.MULTILINE)
    assert found, shown
    return found[1].strip()


async def becomes(stage: Play, word: str, text: str) -> None:
    """Bridging and its connected line take a moment."""
    seen = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while seen != text:
                seen = await of_phone(stage, word)
                await asyncio.sleep(0.1)
    assert seen == text


async def sees_anna(stage: Play) -> None:
    """On the phone's display."""
    await becomes(stage, "Connected Line ID Name", "Анна")
    await becomes(stage, "Connected Line ID", str(stage.telegram.user(ANNA).id))


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_a_phone_behind_an_answer_sees_who_calls(play: PlayMaker, transport: str) -> None:
    async with (
        play(dialplan=ANSWERS, asterisk={"transport": transport}) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        await sees_anna(stage)
        await call.hang_up()


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_a_phone_sees_whom_it_has_reached(play: PlayMaker, transport: str) -> None:
    async with play(asterisk={"transport": transport}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await stage.talking()
        await sees_anna(stage)
        await call.hang_up()
