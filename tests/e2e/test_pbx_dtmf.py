"""What a person on Telegram hears when the phone presses keys: nothing, Telegram has no way for them."""

from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA
from tests.e2e.conftest import PlayMaker
from tests.e2e.pbx import DIALPLAN, LINES, are_heard, talk_in, talk_out


async def test_keys_of_a_phone_reach_nobody(play: PlayMaker) -> None:
    """Asterisk has recognised them (here as RFC 4733), and leaves no sound of them."""
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        stage.person(ANNA) as anna,
        SipPhone(stage.asterisk, "101") as agent,
    ):
        for begin in talk_in, talk_out:
            talk = await begin(stage, anna, agent)
            await agent.send_dtmf("159")
            await talk.listens()
            await talk.ends()
            await agent.closed()
            are_heard(talk.recording)
        assert "DTMF end passthrough '9'" in stage.asterisk.log.read_text()
