"""A phone calls through a line that only another machine has: that one places the call at the phone's Asterisk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.api_client import program
from ari_app.cli.installation import read_installation
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, stage
from ari_app.sandbox.tones import measure, write_tone
from ari_app.telegram.phone import DiscardReason
from tests.e2e.test_two_machines import DEMO_S, LEASE_S, SECRET, Machine, has_a_call
from tests.integration.ari_helpers import global_variable

ANNA_HZ, PHONE_HZ, HZ_TOLERANCE = 700.0, 440.0, 15.0
TALK_S = 2.0
DIALPLAN = """\
[phones](+)
exten => _8X.,1,Stasis(telegram,+${EXTEN:1})
 same => n,Set(GLOBAL(SEEN)=${TELEGRAM_STATUS}/${TELEGRAM_CAUSE})
 same => n,Hangup()
"""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Any]:
    """A stage, and both machines: the line is signed in on b only."""
    async with (
        asyncio.timeout(DEMO_S),
        stage(tmp_path, dialplan=DIALPLAN) as set_stage,
        PrivateNats(tmp_path / "nats", servers=1) as nats,
        PrivateAsterisk(tmp_path / "asterisk-b") as second,
    ):
        machines = []
        for name, asterisk in (("a", set_stage.asterisk), ("b", second)):
            url = asterisk.ari_url.removesuffix("/ari")
            configuration = await set_stage.configuration(
                name=f"astergram-{name}",
                calls={"on_stop": "hand_over"},
                asterisk={"url": url, "password": asterisk.ari_password},
                cluster={
                    "servers": nats.urls,
                    "machine": name,
                    "lease_s": LEASE_S,
                    "secret": SECRET,
                    "asterisk_url": url,
                    "devices": 1,
                },
            )
            machines.append(Machine(name, configuration, tmp_path))
        a, b = machines
        await set_stage.sign_in_lines(b.settings)
        await b.start(leads=True)
        await a.start()
        try:
            yield set_stage, a, b
        finally:
            await a.stop()
            await b.stop()


async def places_for(machine: Machine, other: Machine) -> None:
    """Wait until the first one knows that the other one could place its calls."""
    async with program(machine.settings) as api:
        while True:
            machines = (await api.ask("GET", "/cluster"))["machines"]
            if any(machine.name in each["places_for"] for each in machines if each["machine"] == other.name):
                return
            await asyncio.sleep(0.1)


async def test_the_phone_and_the_person_hear_each_other(scene: Any, tmp_path: Path) -> None:
    set_stage, a, b = scene
    await places_for(a, b)
    tone, spoken, heard = (tmp_path / f"{name}.wav" for name in ("anna", "phone", "heard"))
    write_tone(tone, ANNA_HZ, 30.0)
    write_tone(spoken, PHONE_HZ, 30.0)
    async with SipPhone(set_stage.asterisk, "101", play=spoken) as phone, set_stage.person(ANNA) as anna:
        await phone.dial(f"8{ANNA.removeprefix('+')}")
        call = await anna.incoming()
        await call.accept(tone, heard)
        await phone.established()
        await asyncio.sleep(TALK_S)
        await has_a_call(b, "talking")
        assert not await a.live()
        await call.hang_up()
        await phone.closed()
        await call.close_audio()
        for path, hz in ((heard, PHONE_HZ), (phone.recordings[-1], ANNA_HZ)):
            assert abs(measure(path, start_s=1.0).hz - hz) < HZ_TOLERANCE
    assert await global_variable(set_stage.asterisk, "SEEN") == "ANSWER/16"


async def test_the_call_goes_on_when_the_machine_that_places_it_is_killed(scene: Any, tmp_path: Path) -> None:
    set_stage, a, b = scene
    await places_for(a, b)
    tone, heard = tmp_path / "anna.wav", tmp_path / "heard.wav"
    write_tone(tone, ANNA_HZ, 60.0)
    async with SipPhone(set_stage.asterisk, "101") as phone, set_stage.person(ANNA) as anna:
        await phone.dial(f"8{ANNA.removeprefix('+')}")
        call = await anna.incoming()
        await call.accept(tone, heard, loop=True)
        await phone.established()
        await has_a_call(b, "talking")
        await b.kill()
        await b.start()
        await has_a_call(b, "talking")
        await asyncio.sleep(TALK_S)
        await phone.hangup()
        assert isinstance((await call.ended()).reason, DiscardReason.HANGUP.value)
        await call.close_audio()
        await phone.closed()
        recording = phone.recordings[-1]
        found = measure(recording, start_s=measure(recording).seconds - TALK_S)
        assert abs(found.hz - ANNA_HZ) < HZ_TOLERANCE, found
    while not (history := await b.history()):  # noqa: ASYNC110 - no event is at hand
        await asyncio.sleep(0.1)
    assert [status for _, status, _ in history.values()] == ["ANSWER"]


async def test_an_asterisk_is_examined_from_elsewhere_until_its_machine_is_forgotten(scene: Any) -> None:
    _, a, b = scene
    await places_for(a, b)
    async with program(b.settings) as api:

        async def said() -> list[str]:
            """What the running program's doctor says of it."""
            findings = (await api.ask("POST", "/doctor"))["findings"]
            return [each["sentence"] for each in findings if "machine a" in each["sentence"]]

        url = a.settings.asterisk.url
        assert await said() == [
            f"The Asterisk of machine a answers at {url}, and Astergram is connected to it as the Stasis application "
            "telegram@b."
        ]
        here = await read_installation(b.settings, with_others=True)
        assert [each.app for each in here.other_asterisks] == ["telegram@b"], "the command line knows of it, too"
        await a.kill()
        while all(each["there"] for each in (await api.ask("GET", "/cluster"))["machines"]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert "machine a is forgotten" in await b.cli("cluster", "forget", "a")
        assert [each["machine"] for each in (await api.ask("GET", "/cluster"))["machines"]] == ["b"]
        while await said():  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.1)
    await a.start()
    await places_for(a, b)
