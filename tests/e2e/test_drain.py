"""`astergram drain`, as whoever stops or updates Astergram uses it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ari_app.calls.events import Connected
from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE, Stage
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import Play, PlayMaker
from tests.integration.command import Program, astergram, done

LINES = ({"number": LINE, "max_calls": 3},)


@asynccontextmanager
async def at_work(sandbox: Stage, **sections: Any) -> AsyncIterator[tuple[Path, Program]]:
    config = await sandbox.configuration(lines=LINES, **sections)
    await sandbox.sign_in_lines(load(config))
    async with astergram("run", "--config", config) as program:
        await program.until("ready: 1 of 1 lines")
        yield config, program
        program.process.send_signal(signal.SIGTERM)  # killed, it would leave a call that is just being closed
        assert await program.ends() == 0


async def test_no_new_calls_until_the_last_one_is_over(sandbox: Stage) -> None:
    async with (
        at_work(sandbox) as (config, program),
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        SipPhone(sandbox.asterisk, "102") as other,
        sandbox.person(ANNA) as anna,
        sandbox.person(BORIS) as boris,
    ):
        talking = await anna.call(LINE)
        await talking.confirm(None, None)
        await program.until(str(Connected()))
        async with astergram("drain", "--config", config) as draining:
            await draining.until("1 call is left.")
            await other.dial(BORIS)
            assert (await other.closed()).startswith("503")
            offered = await boris.call(LINE)
            assert isinstance((await offered.ended()).reason, DiscardReason.BUSY.value)
            assert "takes no new calls" in await done("status", "--config", config)
            assert "takes no new calls" in await done("line", "list", "--config", config)
            assert [each.type for each in phone.events if each.type == "CALL_CLOSED"] == []
            await talking.hang_up()
            assert await draining.ends() == 0
            assert "No call is left" in draining.printed
        await done("drain", "--config", config)  # at once
        assert "taken again" in await done("drain", "--cancel", "--config", config)
        again = await boris.call(LINE)
        await again.confirm(None, None)
        await again.hang_up()


async def test_calls_are_left_at_the_limit(sandbox: Stage) -> None:
    async with (
        at_work(sandbox) as (config, program),
        SipPhone(sandbox.asterisk, "101", auto_answer=True),
        sandbox.person(ANNA) as anna,
    ):
        talking = await anna.call(LINE)
        await talking.confirm(None, None)
        await program.until(str(Connected()))
        async with astergram("drain", "--limit", "1", "--config", config) as draining:
            assert await draining.ends() == 3
            assert "1 call is left after 1 s:" in draining.printed
            assert "Анна" in draining.printed
        async with astergram("drain", "--limit", "1", "--json", "--config", config) as draining:
            assert await draining.ends() == 3
            said = json.loads(draining.printed)
            assert (said["draining"], said["calls"]) == (True, 1)
            assert said["live"][0]["call"]["name"] == "Анна"
        async with astergram("drain", "--config", config) as draining:
            await draining.until("1 call is left.")
            await done("drain", "--cancel", "--config", config)
            assert await draining.ends() == 3
            assert "Somebody has cancelled it" in draining.printed
        await talking.hang_up()


async def test_nothing_runs(sandbox: Stage) -> None:
    config = await sandbox.configuration()
    async with astergram("drain", "--config", config) as command:
        assert await command.ends() == 1
        assert "Astergram does not run here" in command.printed


async def test_calls_are_left_to_the_accounts_other_devices(play: PlayMaker) -> None:
    async with (
        play(calls={"drain_offers": "leave"}) as stage,
        stage.person(ANNA) as anna,
        stage.person(LINE) as elsewhere,
    ):
        stage.app.registry.begin_drain()
        call = await anna.call(LINE)
        other = await elsewhere.incoming()
        await refused(stage)
        accepting = asyncio.create_task(other.accept(None, None))
        await call.confirm(None, None)
        await accepting
        await call.hang_up()
        await other.ended()


async def refused(stage: Play) -> None:
    """Wait until Astergram has left a call to others."""
    async with asyncio.timeout(10):
        while not stage.app.registry.counted["refused"]:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.05)
