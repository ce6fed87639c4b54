"""Transfers by the PBX's own means, features.conf and AMI: the person and the new phone hear each other."""

from collections.abc import Awaitable, Callable

import pytest

from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    PEOPLE_HZ,
    PHONES_HZ,
    QUEUED,
    Talk,
    ami,
    channel,
    connected_line,
    hears,
    phone,
    talk_in,
    talk_out,
)


async def blind(stage: Play, agent: SipPhone, other: SipPhone) -> None:
    """##, and the extension after Asterisk's "transfer"."""
    await agent.send_dtmf("##")
    await agent.send_dtmf("102")
    await other.established()


async def attended(stage: Play, agent: SipPhone, other: SipPhone) -> None:
    """*2 and the extension; then they talk, and the first one hangs up."""
    await agent.send_dtmf("*2")
    await agent.send_dtmf("102")
    await _leaves_them(agent, other)


async def by_redirect(stage: Play, agent: SipPhone, other: SipPhone) -> None:
    """AMI Redirect of the channel that is bridged with the agent's."""
    async with ami(stage) as manager:
        peer = await (await channel(stage, "PJSIP/101-")).getChannelVar(variable="BRIDGEPEER")
        await manager.action("Redirect", Channel=peer, Exten="102", Context="phones", Priority="1")
    await other.established()


async def by_atxfer(stage: Play, agent: SipPhone, other: SipPhone) -> None:
    """AMI Atxfer, and the first one hangs up."""
    async with ami(stage) as manager:
        own = await channel(stage, "PJSIP/101-")
        await manager.action("Atxfer", Channel=own.name, Exten="102", Context="phones", **QUEUED)
    await _leaves_them(agent, other)


async def _leaves_them(agent: SipPhone, other: SipPhone) -> None:
    """Hang up once both talk: an answer that Asterisk has yet to take note of then crashes it (22.10)."""
    await other.established()
    await hears(other, PHONES_HZ["101"])
    await agent.hangup()


WAYS: dict[str, Callable[[Play, SipPhone, SipPhone], Awaitable[None]]] = {
    "blind": blind,
    "attended": attended,
    "redirect": by_redirect,
    "atxfer": by_atxfer,
}


OUTGOING = "redirect", "atxfer"
"""The keys are in test_transfer.py."""


@pytest.mark.parametrize(("begin", "ways"), [(talk_in, tuple(WAYS)), (talk_out, OUTGOING)])
async def test_a_call_goes_on_with_the_other_phone(
    play: PlayMaker, begin: Callable[..., Awaitable[Talk]], ways: tuple[str, ...]
) -> None:
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        phone(stage) as agent,
        phone(stage, "102", auto_answer=True) as other,
        stage.person(ANNA) as anna,
    ):
        for way in ways:
            talk = await begin(stage, anna, agent)
            await hears(talk, PHONES_HZ["101"])
            await WAYS[way](stage, agent, other)
            await agent.closed()
            await hears(talk, PHONES_HZ["102"])
            await hears(other, PEOPLE_HZ[ANNA])
            assert await connected_line(stage, "102") == ("Анна", str(stage.telegram.user(ANNA).id)), way
            await talk.ends()
            await other.closed()
            assert await stage.outcome() == "ANSWER", way


@pytest.mark.parametrize(("begin", "half"), [(talk_in, ";1"), (talk_out, ";2")])
async def test_who_redirects_the_half_that_has_the_audio_ends_the_call(
    play: PlayMaker, begin: Callable[..., Awaitable[Talk]], half: str
) -> None:
    """Nobody is left in silence: the two phones have each other, and the person has hung up."""
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        phone(stage) as agent,
        phone(stage, "102", auto_answer=True) as other,
        stage.person(ANNA) as anna,
        ami(stage) as manager,
    ):
        talk = await begin(stage, anna, agent)
        name = (await channel(stage, "Local/", half)).name
        await manager.action("Redirect", Channel=name, Exten="102", Context="phones", Priority="1")
        await other.established()
        await talk.ends(hang_up=False)
        await hears(agent, PHONES_HZ["102"])
        await hears(other, PHONES_HZ["101"])
        await other.hangup()
        await agent.closed()
        await other.closed()
        assert await stage.outcome() == "ANSWER"
