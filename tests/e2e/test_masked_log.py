"""The log of a whole life at level DEBUG, masked: nobody who called, was called or was refused is named in it."""

from typing import Any

import psutil
import pytest

from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE, Stage
from ari_app.sandbox.telegram import Audience
from ari_app.telegram.phone import DiscardReason
from tests.e2e.whole_program import WholeProgram, whole_program

VERA, NOBODY = "+79990000004", "+79990000555"
NAMES = ("Анна", "Boris", "Вера", "Громова")
USERNAME = "vera_gromova"
DENYING: dict[str, Any] = {"number": LINE, "name": "Sales", "max_calls": 2, "deny": [BORIS]}


async def seen(program: WholeProgram, pattern: str) -> None:
    """Wait until the log tells of something; from its beginning."""
    await program.until(pattern)


@pytest.mark.parametrize("style", ["plain", "json"])
@pytest.mark.timeout(180)
async def test_nobody_is_named(sandbox: Stage, style: str) -> None:
    telegram = sandbox.telegram
    for number, name in ((ANNA, "Анна"), (BORIS, "Boris")):
        telegram.add_user(number, name, privacy={"phone_number": Audience.EVERYBODY})
    telegram.add_user(VERA, "Вера", "Громова", USERNAME, privacy={"phone_number": Audience.NOBODY})
    config = await sandbox.configuration(
        lines=[DENYING], log_level="DEBUG", log={"format": style, "mask": True}, bot=sandbox.bot()
    )
    await sandbox.sign_in_lines(load(config))
    async with whole_program(config) as program:
        await program.until("1 of 1 lines")
        masked = [each.cmdline() for each in psutil.Process(program.process.pid).children(recursive=True)]
        assert all(each[-2:] == [style, "mask"] for each in masked if "media.zygote" in each)
        assert masked, "media processes write as the controller does"
        async with SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone:
            for number, name in ((ANNA, r"\+7\*\*\*02 calls"), (VERA, r"@v\*\*\* calls")):
                async with sandbox.person(number) as caller:
                    call = await caller.call(LINE)
                    await call.confirm(None, None)
                    await phone.established()
                    await call.hang_up()
                    await phone.closed()
                    await seen(program, name)
            async with sandbox.person(BORIS) as boris:
                await (await boris.call(LINE)).ended()
                await seen(program, r"call from \+7\*\*\*03 to line \+79990000001 refused")
        async with SipPhone(sandbox.asterisk, "101") as phone:
            await phone.dial(NOBODY)
            await phone.closed()
            await seen(program, r"dials \+7\*\*\*55")
            async with sandbox.person(ANNA) as anna:
                await phone.dial(ANNA)
                call = await anna.incoming()
                await call.ring()
                await phone.wait_for("CALL_RINGING")
                await call.hang_up(DiscardReason.BUSY)
                await phone.closed()
                await seen(program, r"card for \+7\*\*\*02 \(declined\)")
        await program.stop()
    digits = [number.removeprefix("+7") for number in (ANNA, BORIS, VERA, NOBODY)]
    ids = [str(telegram.user(number).id) for number in (ANNA, BORIS, VERA)]
    named = [
        line for line in program.printed.splitlines() if any(it in line for it in (*digits, *ids, *NAMES, USERNAME))
    ]
    assert named == []
    assert LINE in program.printed
