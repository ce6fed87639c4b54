"""Killed at random moments, of its start too, while ten people and phones call each other: each call has one right end.

SURVIVAL_KILLS=200 kills more often than by default, SURVIVAL_SEED repeats what was chosen in a run that has printed it,
SURVIVAL_TRANSPORTS="rtp websocket" has both transports.
"""

import asyncio
import math
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ari_app.api_client import Api, program
from ari_app.config import load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.demo.program import OWN, astergram
from ari_app.sandbox.processes import notification, said_ready
from ari_app.sandbox.stage import LINE
from tests.e2e.conftest import nothing_left_in
from tests.e2e.leftovers import left_in_asterisk
from tests.lateness import Lateness
from tests.survival.conftest import TRANSPORTS
from tests.survival.random_callers import ENDS_S, RINGS_S, SEED, Actors, Attempt, choosing
from tests.survival.test_ten_calls import CALLEES, CALLERS, DIALLING, ended_rows, ten

KILLS = int(os.environ.get("SURVIVAL_KILLS", "20"))
DURING_THE_START = 0.3
"""So many of the kills come before the program is ready, within `START_S`; the others within `AT_WORK_S` after."""
START_S, AT_WORK_S = 3.0, 6.0
READY_S = 90.0
KNOWN_S = 2.0
"""A kill so soon after both sides are connected, or before, and the program has perhaps not noted that they are."""
AT_ONCE = 500
"""Calls, the most that the API gives."""
CLOCKS_S = 2.0
"""Between what the test and what the program takes for a moment of a call."""
SLOW = 5
"""So many times as long takes all of that on a machine without time."""
DIALPLAN = """\
[ten]
exten => _X.,1,Ringing()
 same => n,Wait(${{RAND({},{})}})
 same => n,Answer()
 same => n,Echo()
""".format(*RINGS_S)
LINES = ({"number": LINE, "context": "ten", "max_calls": 10},)


@dataclass
class Run:
    """Of the program; Unix times."""

    killed_at: float = 0.0
    ready_at: float = math.inf

    def sees(self, at: float, slack_s: float) -> bool:
        """Whether it was there, and at work, when something happened."""
        return self.ready_at < at < self.killed_at - slack_s


async def killed_again_and_again(config: Path, log: Path, choice: random.Random) -> list[Run]:
    """Start it, and kill it at a random moment, so often."""
    runs = []
    for number in range(KILLS):
        with log.open("ab") as output, notification(config.parent / f"notify-{number}") as notified:
            process = await asyncio.create_subprocess_exec(
                *(*OWN, "run", "--config", str(config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "NOTIFY_SOCKET": notified.getsockname()},
                start_new_session=True,
            )
            runs.append(run := Run())
            try:
                if choice.random() < DURING_THE_START:
                    await asyncio.sleep(choice.uniform(0.0, START_S))
                else:
                    async with asyncio.timeout(READY_S):
                        await said_ready(notified)
                    run.ready_at = time.time()
                    await asyncio.sleep(choice.uniform(0.0, AT_WORK_S))
                assert process.returncode is None, f"it has ended by itself at kill {number}: {log}"
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                run.killed_at = time.time()
                await process.wait()
    return runs


async def what_is_wrong(api: Api, attempts: list[Attempt], runs: list[Run], slow: int) -> list[str]:
    """What the history has otherwise than those who took part saw it; all takes ``slow`` times as long."""
    clocks_s, known_s = CLOCKS_S * slow, KNOWN_S * slow
    rows = await ended_rows(api, limit=AT_ONCE)
    while more := (await api.ask("GET", f"/calls?limit={AT_ONCE}&offset={len(rows)}"))["calls"]:
        rows += more
    wrong = [f"not over: {row}" for row in rows if not row["status"]]
    crashed = [row for row in rows if row["detail"] == "The program stopped during the call."]
    wrong += [
        f"ended by a kill, and not so: {row}"
        for row in crashed
        if (row["status"], row["cause"], row["answered"]) != ("ERROR", 41, False)
    ]
    for row in rows:
        events = [each["type"] for each in (await api.ask("GET", f"/calls/{row['id']}"))["events"]]
        if events.count("CallEnded") != 1 or events.count("Resumed") > len(runs):
            wrong.append(f"told of otherwise than once: {row}: {events}")
    for person in CALLERS + CALLEES:
        known, made = sum(row["phone"] == person for row in rows), sum(each.person == person for each in attempts)
        if known > made:
            wrong.append(f"{person} has made {made} calls, and the history has {known}")
    for attempt in attempts:
        near = [run for run in runs if abs(run.killed_at - attempt.connected_at) < known_s]
        if not attempt.connected_at or near:
            continue
        its = [row for row in rows if row["answered"] and _is_of(row, attempt)]
        if not attempt.endings:
            wrong.append(f"cut off, though both talked: {attempt}: {its}")
        elif len(its) != 1:
            wrong.append(f"in the history {len(its)} times: {attempt}: {its}")
        elif its[0]["detail"] not in attempt.endings:
            wrong.append(f"ended otherwise: {attempt}: {its}")
        else:
            longer_s = its[0]["talked_s"] - (attempt.over_at - attempt.connected_at)
            seen = any(run.sees(attempt.over_at, known_s) for run in runs)  # else it is found by the next start
            if longer_s < -clocks_s or (seen and longer_s > clocks_s):
                wrong.append(f"talked for another time: {attempt}: {its}")
    return wrong


def _is_of(row: dict[str, Any], attempt: Attempt) -> bool:
    began_at: float = row["began_at"]
    return row["phone"] == attempt.person and attempt.began_at <= began_at <= attempt.over_at


@pytest.mark.alone
@pytest.mark.timeout(300 + 40 * KILLS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_ten_calls_at_any_moment(tmp_path: Path, asterisk_tree: Tree, machine: Lateness, transport: str) -> None:
    print(f"SURVIVAL_KILLS={KILLS} SURVIVAL_SEED={SEED} SURVIVAL_TRANSPORTS={transport}")
    (tmp_path / "stage").mkdir()
    log = tmp_path / "astergram.log"
    async with ten(tmp_path, asterisk_tree, DIALPLAN, phones=DIALLING) as them:
        asterisk = them.stage.asterisk
        path = await them.stage.configuration(LINES, asterisk={"transport": transport}, media={"orphan_s": 60.0})
        settings = load(path)
        await them.stage.sign_in_lines(settings)
        actors = Actors(them)
        async with asyncio.TaskGroup() as tasks:
            acting = [tasks.create_task(actors.calls_in(them.people[caller], choosing(caller))) for caller in CALLERS]
            for user, callee in zip(DIALLING, CALLEES, strict=True):
                choice = choosing(callee)
                acting.append(tasks.create_task(actors.calls_out(them.phones[user], them.people[callee], choice)))
            runs = await killed_again_and_again(path, log, choosing())
            actors.enough.set()
            async with astergram(path, log, READY_S), program(settings) as api:
                async with asyncio.timeout(3 * ENDS_S):
                    await asyncio.wait(acting)
                wrong = await what_is_wrong(api, actors.attempts, runs, SLOW if machine.worst_ms() else 1)
                wrong += await nothing_left_in(asterisk)
        wrong += await left_in_asterisk(asterisk)
        talked = [each for each in actors.attempts if each.connected_at]
        print(f"{len(runs)} kills, {len(actors.attempts)} calls, {len(talked)} of them connected")
        assert not wrong, "\n".join([f"SURVIVAL_SEED={SEED}: {runs}", *wrong])
        assert list((settings.state_dir / "media").rglob("*")) == []
        assert talked
