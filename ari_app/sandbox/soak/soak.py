"""One soak: calls at six places, a fault every few seconds, and quiet moments in which all must be as it was."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from telethon import errors
from yarl import URL

from ari_app.api_client import NotRunning, RequestRefused
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.soak import plan
from ari_app.sandbox.soak.api import PatientApi
from ari_app.sandbox.soak.audit import Made, audit
from ari_app.sandbox.soak.cast import PLACES, Place
from ari_app.sandbox.soak.census import Census, census
from ari_app.sandbox.soak.faults import Target
from ari_app.sandbox.soak.plan import Fault, Kind, PlannedCall, PlannedFault
from ari_app.sandbox.soak.report import FDS_SLACK, Report
from ari_app.sandbox.soak.scripts import SCRIPTS, Scene
from ari_app.sandbox.soak.talks import Talk, Talks
from ari_app.sandbox.stage import LINE, Stage
from ari_app.sandbox.supervisor import Supervisor
from ari_app.sandbox.telegram.calls import ServerCallState
from ari_app.tasks import background_tasks
from ari_app.telegram.line import CHECK_EVERY_S, CHECK_S
from media.demand import KEPT_S
from media.types import MediaError

SCRIPT_S = 45.0
"""For one script; with no fault none takes half of it."""
DEAD_S = 5.0
"""After Asterisk was killed, for the calls to end on Telegram; what is left of a script waits in vain."""
WARM_S = 0.2
OVER_S = 30.0  # for a call to be over in the program once both sides have put the phone down, whatever is away
HEALED_S = 30.0  # for the program to be as before, once a fault is over
QUIET_EVERY_S = 40.0
QUIET_S = KEPT_S + 10.0  # for what is left to go: media processes that were ready for a burst of calls take longest
LOOK_EVERY_S = 0.25  # another program has no event for us
CONNECTIONS_MOST = 2 + 4 * PLACES  # events and updates, and what a call may ask for at once
TASKS_SLACK = 3  # those that answer the request itself, and a keypad that is just being hidden
PAGE = 500  # rows of the history in one answer
FAILURES = (
    SandboxError, MediaError, TimeoutError, OSError, errors.RPCError, RequestRefused, NotRunning, aiohttp.ClientError,
)  # fmt: skip


T = TypeVar("T")


@dataclass
class Struck:
    """A fault that was inflicted: from when until when the program felt it (Unix times), and which one it was."""

    fault: Fault
    began_at: float
    number: int
    healed_at: float = float("inf")


class Soak:
    """Runs once. ``minutes``: over how long the calls are spread; ``kills``: how often the program is killed."""

    def __init__(
        self,
        stage: Stage,
        supervisor: Supervisor,
        api: PatientApi,
        target: Target,
        places: Sequence[Place],
        report: Report,
        calls: int,
        minutes: float,
        kills: int,
    ) -> None:
        self._stage = stage
        self._supervisor = supervisor
        self._api = api
        self._target = target
        self._places = places
        self._report = report
        self._to_do = deque(plan.calls(report.seed, calls))
        self._every_s = minutes * 60 / max(1, calls)
        self._kills = deque(plan.kills(report.seed, calls, kills))
        self._begun = asyncio.Condition()  # one more call has
        self._talks = Talks()
        self._one_at_a_time = asyncio.Lock()  # a fault, a kill or a quiet moment; each waits until the others are over
        self._struck: list[Struck] = []
        self._scripts: set[asyncio.Timeout] = set()
        self._going = asyncio.Event()  # calls may begin
        self._hush = asyncio.Event()  # a quiet moment is asked for
        self._hushed = asyncio.Event()
        self._calling: set[Place] = set()
        self._idle = asyncio.Event()  # no place has a call
        self._idle.set()
        self._judged = 0  # calls
        self._unexpected = 0  # errors
        self._usual: Census | None = None
        self._usual_tasks = 0

    async def run(self) -> None:
        """All of it; what is wrong goes into the report."""
        began = time.monotonic()
        await self._warm_up()
        started = asyncio.get_running_loop().time()
        async with background_tasks() as tasks:
            tasks.create_task(self._strike(), name="faults")
            tasks.create_task(self._kill(), name="kills")
            working = {tasks.create_task(self._work(place, started), name=place.user) for place in self._places}
            done = tasks.create_task(asyncio.wait(working), name="all calls")
            hush = tasks.create_task(self._hush.wait(), name="hush")
            while not done.done():
                await asyncio.wait({done, hush}, timeout=QUIET_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                await self._quiet()
                if hush.done():
                    self._hush.clear()
                    hush = tasks.create_task(self._hush.wait(), name="hush")
                    self._hushed.set()
        self._report.took_s = time.monotonic() - began
        self._report.look_for_growth()

    # --- calls

    async def _warm_up(self) -> None:
        """A call each way at every place, so that what is made once is there. Nothing may be wrong with them."""
        await self._call(self._places[0], PlannedCall(0, Kind.OUT_LIMITED, 0.0))
        for place in self._places:  # not at once: twelve media processes that start would starve each other
            for kind in (Kind.IN_CALLER_HANGS_UP, Kind.OUT_PHONE_HANGS_UP):
                await self._call(place, PlannedCall(0, kind, WARM_S))
        await self._quiet()

    async def _work(self, place: Place, started: float) -> None:
        """Make one call after the other, but none in a quiet moment."""
        while self._to_do:
            if not self._going.is_set():
                await self._going.wait()
                continue
            early_s = started + self._to_do[0].number * self._every_s - asyncio.get_running_loop().time()
            if early_s > 0:
                await asyncio.sleep(min(early_s, 1.0))
                continue
            await self._call(place, self._to_do.popleft())

    async def _call(self, place: Place, planned: PlannedCall) -> None:
        self._calling.add(place)
        self._idle.clear()
        made = Made(planned.number, planned.kind, place.user, place.person_id, time.time())
        talks: list[Talk] = []
        self._report.made.append(made)
        async with self._begun:
            self._begun.notify_all()
        try:
            await place.ready()
            made.began_at = time.time()
            async with asyncio.timeout(SCRIPT_S) as script:
                self._scripts.add(script)
                try:
                    only_talks = planned.kind.only_talks
                    scene = Scene(place, planned.talk_s, only_talks, self._api, self._talks, talks.append)
                    await SCRIPTS[planned.kind](scene)
                finally:
                    self._scripts.discard(script)
        except FAILURES as error:
            made.trouble = f"{type(error).__name__}: {error}".strip(": ")
        await place.clean()
        for talk in talks:
            made.talked = talk.is_known
            # A phone whose script came to no end may talk yet, as one does whose Asterisk was killed.
            if talk.survives and not made.trouble and place.phone.recordings:
                made.gap_ms = await asyncio.to_thread(talk.gap_ms, place.heard, place.phone.recordings[-1])
        place.discard_recordings()
        await self._over(made)
        made.ended_at = time.time()
        self._calling.discard(place)
        if not self._calling:
            self._idle.set()

    async def _over(self, made: Made) -> None:
        """Wait until the program has no call of this place's any more."""

        async def live() -> bool:
            return any(made.is_of(each["call"]) for each in await self._api.ask("GET", "/calls/live"))

        if await persists(live, OVER_S):
            self._report.wrong.append(f"{made}: still live {OVER_S:g} s after both sides have put the phone down")

    # --- faults

    async def _strike(self) -> None:
        """One fault after the other."""
        for planned in plan.faults(self._report.seed):
            if planned.fault is Fault.ASTERISK_KILLED:  # it would take along whatever is left there
                self._hushed.clear()
                self._hush.set()
                await self._hushed.wait()
            await asyncio.sleep(planned.after_s)
            async with self._one_at_a_time:
                await self._inflict(planned)

    async def _kill(self) -> None:
        """Kill the program when it is due, with somebody talking."""
        for number in self._kills:
            async with self._begun:
                await self._begun.wait_for(lambda number=number: self._report.calls >= number)  # type: ignore[misc]
            async with self._one_at_a_time:
                async with self._talks.kill_is_due():
                    await self._look_for_errors()  # which the next one knows nothing of
                    self._give_scripts(SCRIPT_S)
                    await self._inflict(PlannedFault(Fault.CONTROLLER_KILLED, 0.0, 0.0, 0.0))
                    self._give_scripts(SCRIPT_S)  # who stayed goes on only now
                self._unexpected = 0

    async def _inflict(self, planned: PlannedFault) -> None:
        """Inflict a fault, and wait until all is well again."""
        fault = planned.fault
        struck = Struck(fault, time.time(), len(self._struck))
        self._struck.append(struck)
        self._report.faults[fault.title] += 1
        if fault is Fault.ASTERISK_KILLED:
            self._give_scripts(DEAD_S)
        async with self._target.inflicted(planned):
            if fault is not Fault.MEDIA_KILLED:  # which is over at once
                await asyncio.sleep(planned.lasts_s)
        if fault is Fault.MTPROTO_CUT:  # a question that was lost in it may tell only now
            await asyncio.sleep(CHECK_EVERY_S + CHECK_S)
        await self._healed(fault)
        struck.healed_at = time.time()

    def _give_scripts(self, seconds: float) -> None:
        """So much time from now on, in place of what they had left."""
        for script in self._scripts:
            if not script.expired():
                script.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _healed(self, fault: Fault) -> None:
        """Wait until the program says that all is well."""
        if ailing := await persists(self._ailing, HEALED_S):
            self._report.wrong.append(f"{HEALED_S:g} s after {fault.title}: {', '.join(ailing)}")

    async def _ailing(self) -> list[str]:
        lights = await self._api.ask("GET", f"/lines/{LINE}/lights")
        ailing = [f"{name}: {light['sentence']}" for name, light in lights.items() if light["colour"] != "green"]
        database = (await self._api.ask("GET", "/status"))["database"]
        return [*ailing, *([database["trouble"]] if database["trouble"] else [])]

    # --- quiet moments

    async def _quiet(self) -> None:
        """Let no call begin, and wait until none goes on; then all is as it was, and the history tells of every one."""
        async with self._one_at_a_time:
            self._going.clear()
            await self._idle.wait()
            if left := await persists(self._left, QUIET_S):
                told = ", ".join(f"{count} {what}" for what, count in left.items())
                self._report.wrong.append(f"at a quiet moment, after call {len(self._report.made)}: {told} too many")
            self._report.left = left
            self._report.samples.append(self._census())
            await self._judge()
            self._supervisor.forget()
            if self._usual is None:
                self._usual = self._report.samples[0]
                self._usual_tasks = (await self._api.ask("GET", "/status"))["tasks"]
            self._going.set()

    async def _left(self) -> dict[str, int]:
        """What is there too many."""
        status = await self._api.ask("GET", "/status")
        asterisk = self._stage.asterisk
        found = {
            "calls": status["calls"],
            "calls on Telegram": sum(
                call.state is not ServerCallState.DISCARDED for call in self._stage.telegram.calls
            ),
            "channels": len((await asterisk.cli("core show channels concise")).splitlines()),
            "bridges": len((await asterisk.cli("bridge show all")).splitlines()) - 1,
            "changes that wait for the database": status["database"]["waiting"],
        }
        now = self._census()
        found["connections to Asterisk and the Bot API"] = now.requests - CONNECTIONS_MOST
        if self._usual:
            found["tasks"] = status["tasks"] - self._usual_tasks - TASKS_SLACK
            found["processes"] = now.processes - self._usual.processes
            found["media processes"] = now.media - self._usual.media
            found["files and sockets"] = now.fds - self._usual.fds - FDS_SLACK
        found = {what: count for what, count in found.items() if count > 0}
        return found or await self._keypads_left()

    def _census(self) -> Census:
        bot_api = URL(self._stage.telegram.bot_api_url).port
        assert bot_api
        media = self._target.database.parent / "media"
        return census(self._target.pid, (self._target.ari.port, bot_api), media)

    async def _keypads_left(self) -> dict[str, int]:
        keypads = sum([await place.keypads() for place in self._places])
        return {"keypads": keypads} if keypads else {}

    async def _judge(self) -> None:
        """Hold the calls since the last quiet moment against the history."""
        made = self._report.made[self._judged :]
        self._judged += len(made)
        if not made:
            return
        for call in made:
            felt = [each for each in self._struck if each.began_at <= call.ended_at and call.began_at <= each.healed_at]
            call.faults = {each.fault for each in felt}
            call.kills = {each.number for each in felt if each.fault is Fault.MEDIA_KILLED}
        since = min(call.began_at for call in made)
        rows: list[dict[str, Any]] = []
        while (page := await self._api.ask("GET", f"/calls?since={since}&limit={PAGE}&offset={len(rows)}"))["calls"]:
            rows += page["calls"]
        self._report.wrong += audit(made, rows)
        await self._look_for_errors()

    async def _look_for_errors(self) -> None:
        """Say what the program has counted that must not happen."""
        status = await self._api.ask("GET", "/status")
        errors_now = status["unexpected_errors"]
        if errors_now["count"] > self._unexpected:
            new = errors_now["count"] - self._unexpected
            self._report.wrong.append(f"{new} unexpected errors, the last one in: {errors_now['last_in']}")
            self._unexpected = errors_now["count"]
        if lost := status["database"]["lost"]:
            self._report.wrong.append(f"{lost} changes of the database are lost")


async def persists(look: Callable[[], Awaitable[T]], within_s: float) -> T:
    """Look again and again, until there is nothing or the time is over; what was seen last."""
    until = time.monotonic() + within_s
    while (seen := await look()) and time.monotonic() < until:  # noqa: ASYNC110 - another program has no event for us
        await asyncio.sleep(LOOK_EVERY_S)
    return seen
