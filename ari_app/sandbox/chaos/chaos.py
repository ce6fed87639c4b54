"""One chaos run: people call and write all the time, while one fault after the other is inflicted."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from telethon import events

from ari_app.cluster.members import WORD_S
from ari_app.sandbox.chaos.audit import audit
from ari_app.sandbox.chaos.cast import (
    ANSWERED_LINES,
    AUTO_ANSWER,
    CALLS_AT_ONCE,
    LINES,
    UNANSWERED_LINE,
    chat,
    write,
)
from ari_app.sandbox.chaos.faults import Target
from ari_app.sandbox.chaos.machine import LEASE_S, SILENT
from ari_app.sandbox.chaos.plan import OF_TELEGRAM, PlannedFault
from ari_app.sandbox.chaos.report import Report
from ari_app.sandbox.chaos.rules import Made, Struck, judged_text
from ari_app.sandbox.person import Person
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.soak.cast import end_call, is_keypad
from ari_app.sandbox.soak.plan import chance_of
from ari_app.sandbox.soak.soak import FAILURES, persists
from ari_app.tasks import background_tasks
from ari_app.telegram.chat import AUTO_ANSWER_S
from ari_app.telegram.line import CHECK_EVERY_S, CHECK_S
from ari_app.telegram.phone import DiscardReason

CALL_S = 60.0  # for all of a call; nobody waits for longer than 30 s for an answer
TALK_S, RINGS_S, BETWEEN_S = (0.5, 3.0), (0.2, 3.0), (0.2, 2.0)
GIVEN_UP = 0.25  # of all calls
TEXT_S = 60.0  # for an answer; two leases, and a fault, at most
TEXT_EVERY_S = AUTO_ANSWER_S + 2.0  # the same machine gives the same person no second answer before
HEALED_S = 60.0  # from a fault's end until each line has one holder
SERVED_S = 60.0  # from then on until each line has answered a call


class Chaos:
    """Runs once."""

    def __init__(
        self, target: Target, callers: Sequence[Person], writers: Sequence[Person], tone: Path, report: Report,
        ids: Mapping[str, int], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._target = target
        self._callers = deque(callers)
        self._all_callers = callers
        self._writers = writers
        self._tone = tone
        self._report = report
        self._ids = ids
        self._say = say
        self._chance = chance_of(report.seed, "calls")
        self._numbers = itertools.count(1)
        self._going = True
        self._answered = asyncio.Condition()  # one more call was
        self._began_at = 0.0

    async def run(self, faults: Sequence[PlannedFault]) -> None:
        """All of it; what is wrong goes into the report."""
        self._began_at = time.time()
        for person in self._all_callers:
            person.client.add_event_handler(partial(self._on_message, person.phone), events.NewMessage(incoming=True))
        async with background_tasks() as tasks:
            working = [tasks.create_task(self._call_on(), name=f"callers {n}") for n in range(CALLS_AT_ONCE)]
            working += [tasks.create_task(self._write_on(writer), name=writer.phone) for writer in self._writers]
            await self._served()
            for planned in faults:
                await asyncio.sleep(planned.after_s)
                await self._inflict(planned)
            self._going = False
            await asyncio.wait(working)
        await audit(self._report, self._target.machines, self._all_callers, self._began_at)
        self._report.took_s = time.time() - self._began_at

    # --- calls and texts

    async def _call_on(self) -> None:
        """Make one call after the other."""
        while self._going:
            person = self._callers.popleft()
            await self._call(person)
            self._callers.append(person)
            await asyncio.sleep(self._chance.uniform(*BETWEEN_S))

    async def _call(self, person: Person) -> None:
        number = next(self._numbers)
        gives_up = self._chance.random() < GIVEN_UP
        line = UNANSWERED_LINE if gives_up else ANSWERED_LINES[number % len(ANSWERED_LINES)]
        made = Made(number, line, person.phone, self._ids[person.phone], gives_up, time.time())
        self._report.made.append(made)
        try:
            async with asyncio.timeout(CALL_S):
                await (self._give_up(person, line) if gives_up else self._talk(person, made))
        except FAILURES as error:
            made.trouble = f"{type(error).__name__}: {error}".strip(": ")
        for call in list(person.calls.values()):
            await end_call(call)
        person.calls.clear()
        made.ended_at = time.time()

    async def _talk(self, person: Person, made: Made) -> None:
        call = await person.call(made.line)
        await call.accepted()
        made.answered_at = time.time()
        async with self._answered:
            self._answered.notify_all()
        await call.confirm(self._tone, None, loop=True)
        made.talked = True
        if await call.ends_within(self._chance.uniform(*TALK_S)):
            raise SandboxError("the line's side has hung up")
        await call.hang_up()

    async def _on_message(self, caller: str, event: Any) -> None:
        if is_keypad(event.message):
            self._report.shown.append((caller, time.time()))

    async def _give_up(self, person: Person, line: str) -> None:
        call = await person.call(line)
        await call.rings()
        await asyncio.sleep(self._chance.uniform(*RINGS_S))
        await call.hang_up(DiscardReason.MISSED)

    async def _write_on(self, writer: Person) -> None:
        """Write one text after the other, each once the answer to the one before must have come."""
        line = ANSWERED_LINES[self._writers.index(writer) % len(ANSWERED_LINES)]
        while self._going:
            began_at = time.time()
            try:
                text = await write(writer, line, "Hello?")
                self._report.texts += 1

                async def unanswered(text: int = text) -> bool:
                    return not await self._answers(writer, line, text)

                await persists(unanswered, TEXT_S)
                await asyncio.sleep(TEXT_EVERY_S)
                self._judge_text(writer, line, began_at, await self._answers(writer, line, text))
            except FAILURES as error:
                self._report.wrong.append(f"{writer.phone} could not write: {type(error).__name__}: {error}")

    async def _answers(self, writer: Person, line: str, text: int) -> int:
        return sum(each.message == AUTO_ANSWER for each in await chat(writer, line, text))

    def _judge_text(self, writer: Person, line: str, began_at: float, answers: int) -> None:
        if said := judged_text(answers):
            hit = [each for each in self._report.struck if each.hits(began_at, began_at + LEASE_S)]
            told = "; ".join(f"{each.fault.title} ({each.whom})" for each in hit) or "no fault"
            self._report.wrong.append(f"text of {writer.phone} to {line} at {began_at:.1f} ({told}): {said}")

    # --- faults

    async def _inflict(self, planned: PlannedFault) -> None:
        """Inflict a fault, and wait until each line has one holder again, and is served."""
        struck = Struck(planned.fault, self._target.hit_by(planned), time.time())
        self._report.struck.append(struck)
        async with self._target.inflicted(planned):
            await asyncio.sleep(planned.lasts_s)
        over_at = time.time()
        # Until all of them tell how it is now, and not how it was before: of Telegram, and of each other.
        await asyncio.sleep(CHECK_EVERY_S + CHECK_S if planned.fault in OF_TELEGRAM else WORD_S)
        if ailing := await persists(self._ailing, HEALED_S):
            self._report.wrong.append(f"{HEALED_S:g} s after {struck.fault.title} ({struck.whom}): {ailing}")
        self._report.struck[-1] = struck = replace(struck, over_at=over_at, healed_at=time.time())
        if not await self._served():
            self._report.wrong.append(f"{struck.fault.title} ({struck.whom}): not every line is served after it")
        self._say(
            f"{len(self._report.struck)}  {struck.fault.title} ({struck.whom}) for {over_at - struck.began_at:.1f} s; "
            f"one holder {struck.healed_at - over_at:.1f} s later"
        )

    async def _ailing(self) -> str:
        """What is not as it should be: each machine sees all of them, and each line has one holder."""
        names = {each.name for each in self._target.machines}
        for machine in self._target.machines:
            try:
                its, lines = await machine.ask("/cluster"), await machine.ask("/lines")
            except SILENT as error:
                return f"machine {machine.name} does not answer: {error!r}"
            if its["trouble"]:
                return f"machine {machine.name}: {its['trouble']}"
            if missing := names - {each["machine"] for each in its["machines"] if each["there"]}:
                return f"machine {machine.name} hears nothing of {', '.join(missing)}"
            if away := [each["number"] for each in lines if each["state"] != "ready"]:
                return f"machine {machine.name} has no connection to Telegram for {', '.join(away)}"
            held = Counter(line for each in its["machines"] for line in each["lines"])
            if (bots := sum(each["bot"] for each in its["machines"])) != 1:
                return f"machine {machine.name} sees {bots} that fetch what is meant for the bot"
            if wrong := {line["number"]: held[line["number"]] for line in LINES if held[line["number"]] != 1}:
                return f"machine {machine.name} sees holders: {wrong}"
        return ""

    async def _served(self) -> bool:
        """Wait until each line has answered a call that begins from now on; whether it did."""
        since = time.time()

        def lines() -> set[str]:
            return {each.line for each in self._report.made if each.began_at >= since and each.answered_at}

        with suppress(TimeoutError):
            async with asyncio.timeout(SERVED_S), self._answered:
                await self._answered.wait_for(lambda: lines() >= set(ANSWERED_LINES))
                return True
        return False
