"""Killed at random moments, of its start too, while ten people and phones call each other: each call has one right end.

SURVIVAL_KILLS=200 kills more often than by default, SURVIVAL_SEED repeats what was chosen in a run that has printed it.
"""

import asyncio
import math
import os
import random
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from telethon import errors

from ari_app.api_client import Api, program
from ari_app.config import load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.demo.program import OWN, astergram
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.processes import notification, said_ready
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import nothing_left_in
from tests.e2e.leftovers import left_in_asterisk
from tests.lateness import Lateness
from tests.survival.test_ten_calls import CALLEES, CALLERS, DIALLING, Ten, ended_rows, ten

KILLS = int(os.environ.get("SURVIVAL_KILLS", "20"))
SEED = os.environ.get("SURVIVAL_SEED") or f"{time.time_ns()}"
DURING_THE_START = 0.3
"""So many of the kills come before the program is ready, within `START_S`; the others within `AT_WORK_S` after."""
START_S, AT_WORK_S = 3.0, 6.0
READY_S = 90.0
RINGS_S = (0, 2)
"""Before the dialplan answers a caller, whole seconds."""
PATIENT_S = (0.5, 8.0)
"""How long somebody waits for the other side, and then gives up."""
TALKS_S = (0.5, 8.0)
ENDS_S = 60.0
"""Until the end of a call is everywhere: the program is started several times meanwhile, on a machine without time."""
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
BY_PERSON = ("Ended on Telegram: hung up.",)
BY_PHONE = ("Ended by the PBX (cause 16).", "The PBX hung up while Astergram was not running.")
LINES = ({"number": LINE, "context": "ten", "max_calls": 10},)


def choosing(for_whom: str = "") -> random.Random:
    """The same choices for the same seed."""
    return random.Random(f"{SEED} {for_whom}")  # noqa: S311 - no secret


@dataclass
class Attempt:
    """A call, as those who take part in it saw it; Unix times."""

    person: str
    began_at: float = field(default_factory=time.time)
    connected_at: float = 0.0
    over_at: float = 0.0
    endings: tuple[str, ...] = ()
    """What the history may call its end; empty where neither side has ended it."""

    def __str__(self) -> str:
        talked = f"connected at {self.connected_at:.1f}" if self.connected_at else "not connected"
        return f"{self.person} from {self.began_at:.1f} to {self.over_at:.1f}, {talked}, {self.endings or 'cut'}"


class Actors:
    """What each of the ten does, one call after the other, until it is enough."""

    def __init__(self, them: Ten) -> None:
        self.attempts: list[Attempt] = []
        self.enough = asyncio.Event()
        self._them = them

    async def calls_in(self, person: Person, choice: random.Random) -> None:
        """A person calls the line."""
        while not self.enough.is_set():
            self.attempts.append(attempt := Attempt(person.phone))
            call = await person.call(LINE)
            talking = call.confirm(self._them.tone, None, loop=True)
            if await _done(talking, call.ended(), choice.uniform(*PATIENT_S)):
                attempt.connected_at = time.time()
                if await _over(call.ended(), choice.uniform(*TALKS_S)):
                    await self._over(attempt, call)
                    continue
                attempt.endings = BY_PERSON
            await self._hung_up(attempt, call)
            await asyncio.sleep(choice.uniform(0.0, 1.0))

    async def calls_out(self, phone: SipPhone, person: Person, choice: random.Random) -> None:
        """A phone calls a person."""
        while not self.enough.is_set():
            person.forget_offers()
            self.attempts.append(attempt := Attempt(person.phone))
            await phone.dial(person.phone)
            closed = asyncio.ensure_future(phone.closed(ENDS_S))
            incoming = asyncio.ensure_future(person.incoming(ENDS_S))
            try:
                await asyncio.wait({closed, incoming}, return_when=asyncio.FIRST_COMPLETED)
                call = incoming.result() if incoming.done() else None
                if call and await self._talks(call, choice):
                    attempt.connected_at = time.time()
                    if not await _over(_either(call.ended(), closed), choice.uniform(*TALKS_S)):
                        attempt.endings = choice.choice((BY_PERSON, BY_PHONE))
                if attempt.endings == BY_PHONE:
                    await phone.hangup()
                elif call:
                    await self._hung_up(attempt, call)
                await closed
                if call and not attempt.over_at:
                    await self._over(attempt, call)
            finally:
                closed.cancel()
                incoming.cancel()
                await asyncio.gather(closed, incoming, return_exceptions=True)
            attempt.over_at = attempt.over_at or time.time()
            await asyncio.sleep(choice.uniform(0.0, 1.0))

    async def _talks(self, call: PersonCall, choice: random.Random) -> bool:
        async def taken() -> None:
            await call.ring()
            await asyncio.sleep(choice.uniform(*RINGS_S))
            await call.accept(self._them.tone, None, loop=True)

        return await _done(taken(), call.ended(), RINGS_S[1] + choice.uniform(*PATIENT_S))

    async def _hung_up(self, attempt: Attempt, call: PersonCall) -> None:
        """The person hangs up, or gives up; Telegram refuses that where it is over already."""
        try:
            await call.hang_up(DiscardReason.HANGUP if attempt.connected_at else DiscardReason.MISSED)
        except errors.CallAlreadyDeclinedError:
            attempt.endings = ()
            await self._over(attempt, call)
        else:  # of which Telegram does not tell who has done it
            attempt.over_at = time.time()
            await call.close_audio()

    async def _over(self, attempt: Attempt, call: PersonCall) -> None:
        await call.ended(ENDS_S)
        attempt.over_at = time.time()
        await call.close_audio()


async def _done(work: Coroutine[Any, Any, Any], over: Coroutine[Any, Any, Any], within_s: float) -> bool:
    """Whether this comes to its end before the call's, and in time."""
    working, ended = asyncio.ensure_future(work), asyncio.ensure_future(over)
    await asyncio.wait({working, ended}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    done = working.done() and not working.exception()
    for task in (working, ended):
        task.cancel()
    await asyncio.gather(working, ended, return_exceptions=True)
    return done


async def _over(over: Coroutine[Any, Any, Any], within_s: float) -> bool:
    """Whether the call's end comes within this time."""
    try:
        async with asyncio.timeout(within_s):
            await over
    except TimeoutError:
        return False
    return True


async def _either(one: Coroutine[Any, Any, Any], other: asyncio.Future[Any]) -> None:
    task = asyncio.ensure_future(one)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
async def test_ten_calls_at_any_moment(tmp_path: Path, asterisk_tree: Tree, machine: Lateness) -> None:
    print(f"SURVIVAL_KILLS={KILLS} SURVIVAL_SEED={SEED}")
    (tmp_path / "stage").mkdir()
    log = tmp_path / "astergram.log"
    async with ten(tmp_path, asterisk_tree, DIALPLAN, phones=DIALLING) as them:
        asterisk = them.stage.asterisk
        path = await them.stage.configuration(LINES, media={"orphan_s": 60.0})
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
