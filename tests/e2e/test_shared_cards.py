"""A card's button is pressed when the machine that sent it is dead: another one calls the agent and the person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.config import load
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, stage
from ari_app.sandbox.tones import measure, write_tone
from ari_app.telegram.buttons import LATE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.test_callback import TEXTS, says
from tests.e2e.test_two_machines import DEMO_S, LEASE_S, SECRET, Machine, fetches, has_a_call, takes

ANNA_HZ, AGENT_HZ, HZ_TOLERANCE = 700.0, 440.0, 15.0
TALK_S = 2.0
DIALPLAN = """\
[phones](+)
exten => _8X.,1,Stasis(telegram,+${EXTEN:1})
 same => n,Hangup()
"""
SETTINGS = {"number": LINE, "texts": {"en": TEXTS, "ru": TEXTS}, "card": {"callback": "101@phones"}}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Any]:
    """A stage, its second Asterisk, and both machines."""
    async with (
        asyncio.timeout(DEMO_S),
        stage(tmp_path, dialplan=DIALPLAN) as set_stage,
        PrivateNats(tmp_path / "nats", servers=1) as nats,
        PrivateAsterisk(tmp_path / "asterisk-b", dialplan=DIALPLAN) as second,
    ):
        machines = []
        for name, asterisk in (("a", set_stage.asterisk), ("b", second)):
            configuration = await set_stage.configuration(
                [SETTINGS],
                name=f"astergram-{name}",
                bot=set_stage.bot(),
                asterisk={"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password},
                cluster={"servers": nats.urls, "machine": name, "lease_s": LEASE_S, "secret": SECRET},
            )
            await set_stage.sign_in_lines(load(configuration))
            machines.append(Machine(name, configuration, tmp_path))
        a, b = machines
        await a.start(leads=True)
        await b.start()
        try:
            yield set_stage, second, a, b
        finally:
            await a.stop()
            await b.stop()


@pytest.mark.timeout(DEMO_S + 30)
async def test_the_button_of_a_dead_machine_works(scene: Any, tmp_path: Path) -> None:
    set_stage, second, a, b = scene
    tone, spoken, heard = (tmp_path / f"{name}.wav" for name in ("anna", "agent", "heard"))
    write_tone(tone, ANNA_HZ, 30.0)
    write_tone(spoken, AGENT_HZ, 30.0)
    await takes(a, b)
    async with set_stage.person(ANNA) as anna:
        async with SipPhone(set_stage.asterisk, "101") as caller:
            await caller.dial(f"8{ANNA.removeprefix('+')}")
            unanswered = await anna.incoming()
            await unanswered.ring()
            await has_a_call(a, "ringing")
            await unanswered.hang_up(DiscardReason.BUSY)
            await caller.closed()
            card = await anna.keypad(LINE)
        await a.kill()
        assert await fetches(b) is b

        async with SipPhone(second, "101", play=spoken) as agent:
            while (told := (await card.click()).message) == LATE:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            assert told == "waiting"
            await agent.incoming()
            await agent.answer()
            call = await anna.incoming()
            await call.ring()
            await call.accept(tone, heard)
            await agent.established()
            await has_a_call(b, "talking")
            await asyncio.sleep(TALK_S)
            await call.hang_up()
            await call.close_audio()
            await agent.closed()
            assert abs(measure(heard, start_s=1.0).hz - AGENT_HZ) < HZ_TOLERANCE
            assert abs(measure(agent.recordings[-1], start_s=1.0).hz - ANNA_HZ) < HZ_TOLERANCE
        assert not (await anna.sees(LINE, says("reached"))).buttons

        # Who comes back knows that the button has done its work.
        await a.start()
        assert (await card.click()).message != "waiting"
