"""What a person on Telegram hears when the phone presses keys: nothing, Telegram has no way for them."""

import asyncio

from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.pbx import DIALPLAN, LINES, LISTENS_S, PATIENCE_S, has_tones, talk_in, talk_out


def recognised(stage: Play) -> int:
    """How often Asterisk has had the 9."""
    return stage.asterisk.log.read_text().count("DTMF end passthrough '9'")


async def test_keys_of_a_phone_reach_nobody(play: PlayMaker) -> None:
    """Asterisk has recognised them (here as RFC 4733), and leaves no sound of them."""
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        stage.person(ANNA) as anna,
        SipPhone(stage.asterisk, "101") as agent,
    ):
        for begin in talk_in, talk_out:
            talk = await begin(stage, anna, agent)
            before = recognised(stage)
            await agent.send_dtmf("159")
            async with asyncio.timeout(PATIENCE_S):
                while recognised(stage) == before:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.1)
            await asyncio.sleep(LISTENS_S)
            await talk.ends()
            await agent.closed()
            has_tones(talk.recording)
