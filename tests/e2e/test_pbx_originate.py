"""Calls that neither a person nor a phone begins: AMI, a call file, and a click in a CRM."""

import os

from ari_app.sandbox.stage import ANNA, LINE
from tests.e2e.conftest import PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    PEOPLE_HZ,
    PHONES_HZ,
    accepted,
    channel,
    connected_line,
    hears,
    originated,
    phone,
)

TONE_HZ = 1004.0
"""Of extension 601 of the sandbox."""
CALL_FILE = """\
Channel: Local/{number}@to-telegram/n
CallerID: "Campaign" <600>
Context: phones
Extension: 601
Priority: 1
"""


async def test_a_person_is_called_by_a_program(play: PlayMaker) -> None:
    """By AMI's Originate, which an administrator's `channel request hangup` ends, and by a call file."""
    async with play(dialplan=DIALPLAN, lines=LINES) as stage, stage.person(ANNA) as anna:
        async with originated(
            stage, Channel=f"Local/{ANNA}@to-telegram/n", Context="phones", Exten="601", Priority="1"
        ):
            talk = await accepted(stage, anna)
        await hears(talk, TONE_HZ)
        await stage.asterisk.cli(f"channel request hangup {(await channel(stage, 'Local/', ';1')).name}")
        await talk.ends(hang_up=False)

        file = stage.asterisk.run_dir / "spool/tmp/campaign.call"
        file.write_text(CALL_FILE.format(number=ANNA))
        os.rename(file, stage.asterisk.run_dir / "spool/outgoing/campaign.call")  # noqa: PTH104 - Asterisk wants it whole
        talk = await accepted(stage, anna)
        await hears(talk, TONE_HZ)
        await talk.ends()
        await stage.call_over()
        assert stage.outcomes() == ["ANSWER"] * 2


async def test_click_to_call(play: PlayMaker) -> None:
    """The agent's phone rings, and when they answer, the person is called: by Stasis() itself, and by the dialplan."""
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        phone(stage) as agent,
        stage.person(ANNA) as anna,
    ):
        for target in (
            {"Application": "Stasis", "Data": f"telegram,{ANNA},line={LINE.removeprefix('+')}"},
            {"Context": "phones", "Exten": ANNA, "Priority": "1"},
        ):
            async with originated(stage, Channel="PJSIP/101", CallerID=f"Anna <{ANNA}>", **target):
                await agent.incoming()
                await agent.answer()
            talk = await accepted(stage, anna)
            await stage.talking()
            await hears(talk, PHONES_HZ["101"])
            await hears(agent, PEOPLE_HZ[ANNA])
            shown, _ = await connected_line(stage, "101")
            await talk.ends()
            await agent.closed()
            assert shown == "Анна"
