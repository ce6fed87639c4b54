"""A cluster of two versions: machines are upgraded in turn, and each understands the other meanwhile."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ari_app.api_client import program
from ari_app.config import load
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.demo.program import OWN
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.stage import BORIS, LINE, stage
from tests.e2e.test_two_machines import (
    AUTO_ANSWER,
    DEMO_S,
    DIALPLAN,
    LEASE_S,
    SECRET,
    Machine,
    answered,
    answers,
    fetches,
    has_a_call,
    histories,
    takes,
)

ROOT = Path(__file__).parents[2]
EARLIER = "59e600b28895553a6c25b8148b8c993930fa737b"
"""The version that machines are upgraded from: the last release, once there is one."""
WHAT_RUNS = ("ari_app", "dialplan", "media", "scripts")


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The command of that version."""
    folder = tmp_path_factory.mktemp("earlier")
    packed = subprocess.run(
        ["git", "archive", EARLIER, *WHAT_RUNS],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if packed.returncode != 0:
        pytest.skip(f"this checkout has no version {EARLIER:.7} to upgrade from: {packed.stderr.decode().strip()}")
    subprocess.run(["tar", "-x"], cwd=folder, input=packed.stdout, check=True)
    command = ("env", "-C", str(folder), *OWN)
    found = subprocess.run(
        [*command[:3], sys.executable, "-c", "import ari_app; print(ari_app.__file__)"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert found.stdout.startswith(str(folder))
    return command


@pytest.fixture
async def scene(earlier: tuple[str, ...], tmp_path: Path) -> AsyncIterator[Any]:
    """A stage, and two machines of the earlier version that leave their calls to their next run."""
    async with (
        asyncio.timeout(DEMO_S),
        stage(tmp_path, dialplan=DIALPLAN) as set_stage,
        PrivateNats(tmp_path / "nats", servers=1) as nats,
        PrivateAsterisk(tmp_path / "asterisk-b", dialplan=DIALPLAN) as second,
    ):
        texts = {language: {"auto_answer": AUTO_ANSWER} for language in ("en", "ru")}
        machines = []
        for name, asterisk in (("a", set_stage.asterisk), ("b", second)):
            configuration = await set_stage.configuration(
                name=f"astergram-{name}",
                calls={"on_stop": "hand_over"},
                bot=set_stage.bot(),
                asterisk={"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password},
                cluster={"servers": nats.urls, "machine": name, "lease_s": LEASE_S, "secret": SECRET},
            )
            settings = load(configuration)
            await set_stage.sign_in_lines(settings)
            settings.database.unlink()  # of this version; the earlier one makes its own
            machines.append(Machine(name, configuration, tmp_path, earlier))
        a, b = machines
        await a.start()
        async with program(a.settings) as api:
            await api.ask("POST", "/lines", {"number": LINE})
            await api.ask("PATCH", f"/lines/{LINE}/settings", {"context": "soon", "max_calls": 4, "texts": texts})
        await a.program.acts_for_a_line()
        await b.start()
        try:
            yield set_stage, a, b
        finally:
            await a.stop()
            await b.stop()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that no event tells of."""
    while not await holds():  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def what_is_set_on_each_is_set_on_the_other(*machines: Machine) -> None:
    for one, other in (machines, machines[::-1]):
        async with program(one.settings) as here, program(other.settings) as there:
            await here.ask("PATCH", f"/lines/{LINE}/settings", {"name": f"of-{one.name}"})
            await here.ask("POST", "/users", {"name": f"of-{one.name}", "role": "viewer"})
            await until(partial(_has, there, f"of-{one.name}", user=True))
            await here.ask("DELETE", f"/users/of-{one.name}")
            await until(partial(_has, there, f"of-{one.name}", user=False))


async def _has(api: Any, name: str, *, user: bool) -> bool:
    """Whether a machine's line has a name, and whether that is a user's, too."""
    named = (await api.ask("GET", f"/lines/{LINE}/settings"))["name"]
    return named == name and user == (name in [each["name"] for each in await api.ask("GET", "/users")])


async def whoever_holds_the_line_answers(set_stage: Any, tone: Path, *machines: Machine) -> None:
    """Each in its turn; a key reaches it, whichever of them the bot works on."""
    for holder, other in (machines, machines[::-1]):
        before = await _calls(holder)
        async with program(other.settings) as api:
            await api.ask("POST", "/cluster/move", {"line": LINE, "machine": holder.name})
        await until(partial(_holds, other, holder.name))
        async with answered(set_stage, tone.parent, BORIS) as call:
            await call.confirm(tone, None)
            keypad = await call.person.keypad(LINE)
            while (await keypad.click(text="5")).message:  # noqa: ASYNC110 - as long as nobody fetches it
                await asyncio.sleep(0.1)
            await call.person.sees(LINE, lambda messages: any("5" in each.message for each in messages))
            assert len(await _calls(holder) - before) == 1


async def _calls(machine: Machine) -> set[str]:
    return {each["call"]["id"] for each in await machine.live()}


async def _holds(machine: Machine, holder: str) -> bool:
    """What a machine knows of who holds the line."""
    async with program(machine.settings) as api:
        machines = (await api.ask("GET", "/cluster"))["machines"]
    return any(LINE in each["lines"] for each in machines if each["machine"] == holder)


async def each_shows_the_call_flow_of_the_others_calls(*machines: Machine) -> None:
    for one, other in (machines, machines[::-1]):
        theirs = next(id for id, (machine, _, _) in (await one.history()).items() if machine == other.name)
        whole = json.loads(await one.cli("calls", "show", theirs, "--json"))
        assert whole["missing"] == ""
        assert whole["events"]


async def test_machines_are_upgraded_in_turn_while_somebody_talks(scene: Any, tmp_path: Path) -> None:
    set_stage, a, b = scene
    tone = tmp_path / "tone.wav"
    await fetches(a, b)
    async with answered(set_stage, tmp_path) as talk:
        await talk.confirm(tone, None)
        await has_a_call(a, "talking")

        # The first one is upgraded. Who rings there meanwhile is answered by the other one, who talks talks on.
        await takes(a, b)
        async with answered(set_stage, tmp_path, BORIS) as call:
            await call.rings()
            await a.stop()
            await call.confirm(tone, None)
            await has_a_call(b, "talking")
        a.command = OWN
        await a.start()
        await has_a_call(a, "talking")
        await takes(b, a)

        # Two versions side by side.
        await what_is_set_on_each_is_set_on_the_other(a, b)
        await whoever_holds_the_line_answers(set_stage, tone, a, b)
        assert await answers(set_stage, written=True) == [AUTO_ANSWER]

        # One of the earlier version that is started now copes with what the later one has left in NATS.
        await b.stop()
        await b.start()
        await takes(a, b)
        await what_is_set_on_each_is_set_on_the_other(b, a)
        await whoever_holds_the_line_answers(set_stage, tone, b, a)

        await b.stop()
        b.command = OWN
        await b.start()
        await has_a_call(a, "talking")
    await histories(a, b, calls=7)
    await each_shows_the_call_flow_of_the_others_calls(a, b)
    statuses = [status for _, status, _ in (await a.history()).values()]
    assert sorted(statuses) == ["ANSWER"] * 6 + ["CANCEL"]
