"""Calls whose line is behind a proxy."""

import asyncio

from ari_app.sandbox.stage import ANNA, LINE
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, PlayMaker, heard
from tests.proxies import proxy_server


async def test_a_call_goes_on_when_the_proxy_is_changed(play: PlayMaker) -> None:
    async with (
        proxy_server("socks5") as proxy,
        proxy_server("http") as other,
        play(telegram={"proxy": proxy.url}) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        recording = stage.recording("anna")
        await call.confirm(stage.tone("anna", PERSON_HZ), recording)
        await phone.established()
        await stage.app.services.installation.change({"proxy": other.url})
        line = stage.app.lines.line(LINE)
        async with asyncio.timeout(20):
            await line.until_ready(1)
        assert other.used
        await proxy.stop()
        await asyncio.sleep(TALK_S)
        await call.hang_up()  # which the line hears of by the other one
        await phone.closed()
        await call.close_audio()
        heard(recording, PHONE_HZ)
        heard(phone.recordings[-1], PERSON_HZ)
        assert await stage.outcome() == "ANSWER"
