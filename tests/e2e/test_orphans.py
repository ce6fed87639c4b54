"""The controller is killed and no other one comes: each call ends by itself, on Telegram and in Asterisk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from ari_app.api_client import program as api
from ari_app.calls.events import Connected, Resumed
from ari_app.config import load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage, stage
from tests.e2e.conftest import GONE_S, WEBSOCKET, nothing_left_in
from tests.integration.command import Program, astergram

TRANSPORTS = ["rtp", WEBSOCKET]
DIALPLAN = f"""
[phones](+)
exten => 606,1,Stasis(telegram,{ANNA})
 same => n,Hangup()
"""
"""Without a Dial(): it is the phone's own channel that is in Stasis, and a transfer replaces it."""


@pytest.fixture
async def sandbox(tmp_path: Path, asterisk_tree: Tree) -> AsyncIterator[Stage]:
    async with stage(tmp_path, tree=asterisk_tree, dialplan=DIALPLAN) as made:
        yield made


@asynccontextmanager
async def at_work(sandbox: Stage, transport: str, orphan_s: float = 1.0) -> AsyncIterator[Program]:
    """The program with its line signed in."""
    await sandbox.sign_in_lines(load(await sandbox.configuration()))
    async with running(sandbox, transport, orphan_s) as program:
        yield program


@asynccontextmanager
async def running(sandbox: Stage, transport: str, orphan_s: float) -> AsyncIterator[Program]:
    """The program; its calls go on for so long without it."""
    config = await sandbox.configuration(media={"orphan_s": orphan_s}, asterisk={"transport": transport})
    async with astergram("run", "--config", config) as program:
        await program.until("ready: 1 of 1 lines")
        yield program


async def orphaned(program: Program) -> list[psutil.Process]:
    """End the program at once; the media processes that outlive it, those of calls."""
    zygote = psutil.Process(program.process.pid).children()
    media = zygote[0].children()
    program.process.kill()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, zygote, GONE_S)
    assert gone == zygote  # it ends after the program, and the spares with the program, too
    return [each for each in media if each.is_running()]


async def killed(sandbox: Stage, program: Program) -> None:
    """End the program at once, and wait for the end of its media processes, which hold its output open."""
    if program.process.returncode is None:
        program.process.kill()
    await program.ends()
    sockets = sandbox.folder / "astergram" / "media"
    async with asyncio.timeout(GONE_S):
        while any(sockets.iterdir()):  # noqa: ASYNC110 - another process's files
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_incoming_call(sandbox: Stage, transport: str) -> None:
    async with (
        at_work(sandbox, transport) as program,
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await program.until(str(Connected()))
        await killed(sandbox, program)
        await phone.closed()
        assert await nothing_left_in(sandbox.asterisk) == []


@pytest.mark.asterisk_16
async def test_an_incoming_call_that_rings(sandbox: Stage) -> None:
    """Who answered would hear nobody."""
    async with (
        at_work(sandbox, "rtp") as program,
        SipPhone(sandbox.asterisk, "101") as phone,
        sandbox.person(ANNA) as anna,
    ):
        await anna.call(LINE)
        await phone.incoming()
        await killed(sandbox, program)
        assert await nothing_left_in(sandbox.asterisk) == []
        await phone.closed()


@pytest.mark.parametrize("answers", [False, True])
async def test_a_call_back_that_rings(sandbox: Stage, answers: bool) -> None:
    """Telegram has not been asked for anything by then. Who answers is in Stasis, and hears nobody."""
    async with at_work(sandbox, "rtp", orphan_s=3.0) as program, SipPhone(sandbox.asterisk, "101") as phone:
        async with api(load(sandbox.folder / "astergram.toml")) as asked:
            await asked.ask("POST", f"/lines/{LINE}/test-call", {"destination": ANNA})
        await phone.incoming()
        program.process.kill()
        if answers:
            await phone.answer()
            await phone.established()
        await killed(sandbox, program)
        await phone.closed()
        assert await nothing_left_in(sandbox.asterisk) == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_outgoing_call(sandbox: Stage, transport: str) -> None:
    async with (
        at_work(sandbox, transport) as program,
        SipPhone(sandbox.asterisk, "101") as phone,
        sandbox.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        await program.until(str(Connected()))
        await killed(sandbox, program)
        await phone.closed()
        assert await nothing_left_in(sandbox.asterisk) == []


@pytest.mark.asterisk_16
async def test_an_outgoing_call_that_rings(sandbox: Stage) -> None:
    """The phone would hear it ring for as long as its user likes: Telegram's end of it is told to nobody."""
    async with (
        at_work(sandbox, "rtp") as program,
        SipPhone(sandbox.asterisk, "101") as phone,
        sandbox.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        await killed(sandbox, program)
        assert (await phone.closed()).startswith("5")  # by its dialplan, to which the channel has come back
        assert await nothing_left_in(sandbox.asterisk) == []


@pytest.mark.asterisk_16
async def test_a_call_that_was_transferred(sandbox: Stage) -> None:
    """The channel that is in its bridge by now is hung up, and not the one that it began with."""
    async with (
        at_work(sandbox, "rtp") as program,
        SipPhone(sandbox.asterisk, "101") as phone,
        SipPhone(sandbox.asterisk, "102", auto_answer=True) as other,
        sandbox.person(ANNA) as anna,
    ):
        await phone.dial("606")
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        await program.until(str(Connected()))
        await phone.transfer("102")
        await other.established()
        await phone.closed()
        await killed(sandbox, program)
        await other.closed()
        assert await nothing_left_in(sandbox.asterisk) == []


async def test_a_call_whose_second_controller_is_killed_too(sandbox: Stage) -> None:
    async with (
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
    ):
        async with at_work(sandbox, "rtp", orphan_s=60.0) as first:
            call = await anna.call(LINE)
            await call.confirm(None, None)
            await first.until(str(Connected()))
            assert len(await orphaned(first)) == 1
            async with running(sandbox, "rtp", orphan_s=1.0) as second:
                await second.until(str(Resumed()))
                await killed(sandbox, second)
        await phone.closed()
        assert await nothing_left_in(sandbox.asterisk) == []


async def test_an_orphan_is_told_to_end(sandbox: Stage) -> None:
    """As a service manager does with what is left of a service."""
    async with (
        at_work(sandbox, "rtp", orphan_s=60.0) as program,
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await program.until(str(Connected()))
        (media,) = await orphaned(program)
        media.terminate()
        await killed(sandbox, program)
        await phone.closed()
        assert await nothing_left_in(sandbox.asterisk) == []


async def test_the_password_of_asterisk_is_not_seen(sandbox: Stage) -> None:
    """Media processes hang calls up by it: it is no argument of theirs, nor in their environment, nor printed."""
    async with (
        at_work(sandbox, "rtp") as program,
        SipPhone(sandbox.asterisk, "101", auto_answer=True),
        sandbox.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await program.until(str(Connected()))
        processes = psutil.Process(program.process.pid).children(recursive=True)
        assert len(processes) > 1
        password = sandbox.asterisk.ari_password
        for process in processes:
            assert not any(password in each for each in (*process.cmdline(), *process.environ().values()))
        await killed(sandbox, program)
        assert password not in program.printed
