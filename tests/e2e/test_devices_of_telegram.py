"""Two machines are two devices of one account: whatever Telegram makes of that, calls are answered and people told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.api_client import program
from ari_app.lines.line_devices import CHECK_S
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import BORIS, LINE, stage
from ari_app.sandbox.telegram import LocalTelegram, device
from ari_app.sandbox.telegram.login_notices import TELEGRAM_ID
from ari_app.telegram.phone import DiscardReason
from tests.e2e.test_two_machines import (
    DEMO_S,
    LEASE_S,
    SECRET,
    Machine,
    account_of,
    answered,
    has_a_call,
    signed_in,
    takes,
)
from tests.integration.ari_helpers import global_variable

RECEIVE_S = 4.0
"""For a device to say that it rings; a machine that is not the holder waits for 1.5 s before it does."""
LET_IN = "another machine of the cluster was signed in by this one"
CONFIRMED = "is confirmed"
DIALPLAN = """\
[soon]
exten => _X.,1,Answer()
 same => n,Echo()
[phones](+)
exten => _8X.,1,Stasis(telegram,+${EXTEN:1})
 same => n,Set(GLOBAL(SEEN)=${TELEGRAM_STATUS}/${TELEGRAM_CAUSE})
 same => n,Hangup()
"""


@pytest.fixture
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """A stage and both machines, a holds the line; the parameter says on which the line is signed in before."""
    async with (
        asyncio.timeout(DEMO_S),
        stage(tmp_path, dialplan=DIALPLAN) as set_stage,
        PrivateNats(tmp_path / "nats", servers=1) as nats,
        PrivateAsterisk(tmp_path / "asterisk-b", dialplan=DIALPLAN) as second,
    ):
        machines = []
        for name, asterisk in (("a", set_stage.asterisk), ("b", second)):
            configuration = await set_stage.configuration(
                [{"number": LINE, "context": "soon", "max_calls": 2}],
                name=f"astergram-{name}",
                log_level="DEBUG",
                asterisk={"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password},
                cluster={"servers": nats.urls, "machine": name, "lease_s": LEASE_S, "secret": SECRET},
            )
            machines.append(Machine(name, configuration, tmp_path))
            if name in request.param:
                await set_stage.sign_in_lines(machines[-1].settings)
        a, b = machines
        await a.start(leads=True)
        yield set_stage, a, b
        for each in machines:
            await each.stop()
            assert "Traceback" not in each.program.log.read_text()


def device_of(telegram: LocalTelegram, machine: Machine) -> int:
    """Its hash."""
    (its,) = (each for each in telegram.devices(LINE) if each.device_model == f"Astergram on {machine.name}")
    return int(its.hash)


async def is_answered_by(set_stage: Any, tmp_path: Path, machine: Machine, *others: Machine) -> None:
    """Anna calls the line."""
    async with answered(set_stage, tmp_path) as call:
        await call.confirm(tmp_path / "tone.wav", None)
        await has_a_call(machine, "talking")
        assert not any([await each.live() for each in others])


@pytest.mark.parametrize("scene", ["ab"], indirect=True)
async def test_only_the_device_that_was_active_last_rings(scene: Any, tmp_path: Path) -> None:
    set_stage, a, b = scene
    telegram: LocalTelegram = set_stage.telegram
    await b.start()
    await takes(a, b)
    telegram.device_rules.only_last_active_rings = True
    telegram.timers.receive_s = RECEIVE_S
    telegram.use_device(device_of(telegram, a))
    await is_answered_by(set_stage, tmp_path, a, b)
    telegram.use_device(device_of(telegram, b))
    await is_answered_by(set_stage, tmp_path, b, a)

    # That of a machine which is dead does for nobody; once it is the other one's, all is well.
    telegram.use_device(device_of(telegram, a))
    await a.kill()
    async with answered(set_stage, tmp_path) as call:
        assert isinstance((await call.ended()).reason, DiscardReason.MISSED.value)
    await b.program.acts_for_a_line()
    async with answered(set_stage, tmp_path) as call:
        assert isinstance((await call.ended()).reason, DiscardReason.MISSED.value)
    assert not await b.live()
    telegram.use_device(device_of(telegram, b))
    await is_answered_by(set_stage, tmp_path, b)


@pytest.mark.parametrize("scene", ["a"], indirect=True)
async def test_a_new_device_is_told_of_confirmed_and_signed_out_when_nobody_has_used_it(
    scene: Any, tmp_path: Path
) -> None:
    set_stage, a, b = scene
    telegram: LocalTelegram = set_stage.telegram
    telegram.device_rules.login_notices = telegram.device_rules.unconfirmed = True
    await b.start()
    while await signed_in(b, LINE) != ["a", "b"]:  # noqa: ASYNC110 - no event is at hand
        await asyncio.sleep(0.1)
    while any(each.unconfirmed for each in telegram.devices(LINE)):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    assert CONFIRMED in a.program.log.read_text()

    # A person's own one is theirs to confirm; what Telegram writes of it is read by nobody here.
    async with device(telegram, LINE, device_model="Phone") as phone:
        await is_answered_by(set_stage, tmp_path, a, b)
        assert [each.device_model for each in telegram.devices(LINE) if each.unconfirmed] == ["Phone"]
        written = await phone.client.get_messages(TELEGRAM_ID, limit=10)
        assert len(written) == 3 and not any(each.out for each in written)
    code = telegram.login_code(LINE)
    assert all(code not in each.program.log.read_text() for each in (a, b))

    # Nobody has used b for months.
    await b.stop()
    telegram.expire_idle_devices(LINE)
    assert [each.device_model for each in telegram.devices(LINE)] == ["Astergram on a"]
    await b.start()
    while "sign this line in again" not in await account_of(b, LINE):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await is_answered_by(set_stage, tmp_path, a, b)
    await asyncio.sleep(3 * CHECK_S)  # it would have been signed in by itself by now
    assert a.program.log.read_text().count(LET_IN) == 1
    assert await signed_in(b, LINE) == ["a"]
    async with program(b.settings) as api:
        (its,) = (each for each in (await api.ask("GET", "/cluster"))["machines"] if LINE in each["lines"])
    assert its["machine"] == "a"


@pytest.mark.parametrize("scene", ["ab"], indirect=True)
async def test_an_account_that_may_have_one_call_only(scene: Any, tmp_path: Path) -> None:
    set_stage, a, b = scene
    await b.start()
    await takes(a, b)
    async with (
        answered(set_stage, tmp_path) as call,
        SipPhone(set_stage.asterisk, "101") as phone,
        set_stage.person(BORIS) as boris,
    ):
        await call.confirm(tmp_path / "tone.wav", None)
        await has_a_call(a, "talking")
        set_stage.telegram.device_rules.one_call = True
        await phone.dial(f"8{BORIS.removeprefix('+')}")
        await phone.closed()
        assert await global_variable(set_stage.asterisk, "SEEN") == "BUSY/17"
        async with answered(set_stage, tmp_path, BORIS) as second:
            assert isinstance((await second.ended()).reason, DiscardReason.BUSY.value)

        set_stage.telegram.device_rules.one_call = False
        await phone.dial(f"8{BORIS.removeprefix('+')}")
        placed = await boris.incoming()
        await placed.hang_up(DiscardReason.BUSY)
        await phone.closed()
        await has_a_call(a, "talking")
