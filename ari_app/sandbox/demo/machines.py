"""The demo on two machines: the one that rings its phone is killed, and the other one answers the call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ari_app.config import load
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.demo.program import Program, astergram
from ari_app.sandbox.demo.report import CallReport, Report
from ari_app.sandbox.demo.scenario import CODEC_IN, PHONE, Cast, Scenario
from ari_app.sandbox.demo.show import Show
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.stage import ANNA, LINE

LEASE_S = 5.0
"""Less than the default: nobody here shall wait for long until the first machine holds the line."""


@dataclass(frozen=True)
class Machines:
    """The two, each with an Asterisk of its own."""

    first: Program
    second: Program
    second_asterisk: PrivateAsterisk


@asynccontextmanager
async def machines(cast: Cast, transport: str, folder: Path, show: Show) -> AsyncIterator[Machines]:
    """Three NATS servers, and two programs with the same line; the first one holds its lease."""
    async with PrivateNats(folder / "nats") as nats, PrivateAsterisk(folder / "asterisk-b") as asterisk_b:
        show.step("nats", f"three NATS servers run: {', '.join(nats.urls)}")
        configurations = []
        for name, asterisk in (("a", cast.stage.asterisk), ("b", asterisk_b)):
            its_asterisk = {"url": asterisk.ari_url.removesuffix("/ari"), "password": asterisk.ari_password}
            configuration = await cast.stage.configuration(
                name=f"astergram-{name}",
                asterisk={**its_asterisk, "transport": transport},
                cluster={"servers": nats.urls, "machine": name, "lease_s": LEASE_S},
            )
            await cast.stage.sign_in_lines(load(configuration))
            configurations.append(configuration)
        async with astergram(configurations[0], folder / "astergram-a.log") as first:
            show.step("machine-a", "machine a is ready")
            await first.acts_for_a_line()
            show.step("lease", f"machine a holds the line {LINE}")
            async with astergram(configurations[1], folder / "astergram-b.log") as second:
                show.step("machine-b", "machine b is ready: it is signed in as another device of the same account")
                yield Machines(first, second, asterisk_b)


class MachinesScenario(Scenario):
    """One call that machine a answers, and one in whose ringing it is killed."""

    def __init__(self, cast: Cast, its: Machines, transport: str, seconds: float, show: Show, report: Report) -> None:
        super().__init__(cast, its.first, transport, seconds, show, report)
        self._its = its

    async def play(self) -> None:
        """Both calls. Raises ProgramEnded."""
        await asyncio.to_thread(self._prepare)
        call = self._call("in", "in", CODEC_IN, "ANSWER", talk=True)
        self._show.heading("A Telegram user calls the line, which machine a holds")
        await self._attempt(call, self._incoming(call))
        call = self._call("taken-over", "in", CODEC_IN, "ANSWER", talk=True)
        self._show.heading("They call again, and machine a is killed while it rings")
        self._program = self._its.second
        await self._attempt(call, self._taken_over(call))

    async def _taken_over(self, call: CallReport) -> None:
        anna, first = self._cast.anna, self._its.first
        async with self._phone(call) as phone_a, self._phone(call, self._its.second_asterisk) as phone_b:
            on_telegram = await anna.call(LINE)
            await phone_a.incoming()
            self._step(call, "rings", f"Anna ({ANNA}) calls the line {LINE}, and machine a rings its phone {PHONE}")
            killed_at = time.monotonic()
            first.kill()
            self._step(call, "killed", f"machine a (process {first.pid}) is killed (SIGKILL)")
            await phone_b.incoming()
            self._step(call, "rings elsewhere", f"machine b rings its own phone {PHONE}")
            await phone_b.answer()
            await on_telegram.confirm(self._anna_says, self._recording(call, "anna"))
            self._report.answered_after_kill_ms = round((time.monotonic() - killed_at) * 1000)
            self._step(
                call, "answered", f"they hear each other {self._report.answered_after_kill_ms} ms after the kill"
            )
            watch = await self._talk(on_telegram, phone_b)
            await on_telegram.hang_up(duration_s=int(self._seconds))
            await phone_b.closed()
            self._step(call, "ends", f"Anna hangs up, and phone {PHONE} of machine b hears it")
            await on_telegram.close_audio()
            await self._finish(call, phone_b, watch)
