"""A controller that is killed and started again, as its supervisor does, while people talk; a stage around it."""

import asyncio
import logging
import math
import os
import signal
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from ari_app.api_client import program
from ari_app.config import Settings, load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.demo.program import Program, astergram
from ari_app.sandbox.person import Person
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import Stage, stage
from ari_app.sandbox.supervisor import READY_S
from ari_app.sandbox.tones import SILENCE_DBFS, WINDOW_MS, _samples, write_tone
from tests.e2e.conftest import WEBSOCKET, ami_login, nothing_left_in
from tests.e2e.leftovers import left_in_asterisk
from tests.lateness import Lateness, lateness

PATIENCE_S = 20.0
"""A generous limit: what is waited for takes a second or two on a machine that does nothing else."""
LONGEST_S = 60.0
"""Of a tone: longer than any talk here."""
TRANSPORTS = [
    WEBSOCKET if each == "websocket" else each for each in os.environ.get("SURVIVAL_TRANSPORTS", "rtp").split()
]
"""Of the tests that kill most often, which take long: SURVIVAL_TRANSPORTS="rtp websocket" has both."""
GAP_MS = 20
"""The longest silence that may be heard, on a machine with time for its programs."""
BUSY_GAP = 0.5
"""On one without, of the time that a call was without a controller: what needs one is silent for most of that."""


class Supervised:
    """A stage, and the controller on it: `start`ed and `kill`ed."""

    def __init__(self, set_stage: Stage, config: Path, machine: Lateness) -> None:
        self.stage = set_stage
        self.asterisk = set_stage.asterisk
        self.settings: Settings = load(config)
        self.controller: Program
        self._config = config
        self._running = AsyncExitStack()
        self._runs = 0
        self._machine = machine
        self._killed_at: float | None = None
        self._away_s = math.inf  # without a controller, the shortest time

    async def start(self) -> None:
        """Have the controller run, and wait until it is ready."""
        self._runs += 1
        log = self.stage.folder / f"astergram-{self._runs}.log"
        self.controller = await self._running.enter_async_context(astergram(self._config, log, READY_S))
        if self._killed_at is not None:
            self._away_s = min(self._away_s, time.monotonic() - self._killed_at)
            self._killed_at = None

    @contextmanager
    def configured(self, **sections: Mapping[str, Any]) -> Iterator[None]:
        """The configuration file has these keys while inside."""
        before = self._config.read_text()
        changed = tomllib.loads(before)
        for name, section in sections.items():
            changed[name] = changed.get(name, {}) | dict(section)
        self._config.write_text(tomli_w.dumps(changed))
        try:
            yield
        finally:
            self._config.write_text(before)

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """End it by a signal, and wait until it has ended."""
        self._killed_at = time.monotonic()
        os.kill(self.controller.pid, number)
        await self._running.aclose()

    async def stop(self) -> None:
        """Stop it as an administrator does."""
        await self._running.aclose()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The controller's API."""
        async with program(self.settings) as api:
            return await api.ask(method, path, body)

    async def live(self) -> dict[str, dict[str, Any]]:
        """The calls now, by direction."""
        return {each["call"]["direction"]: each["call"] for each in await self.ask("GET", "/calls/live")}

    async def ended(self, call_id: str) -> dict[str, Any]:
        """What the history has of a call, once it is over."""
        return await self.until(call_id, lambda call: call["call"]["status"] is not None)

    async def happens(self, call_id: str, event: str, times: int = 1) -> None:
        """Wait until a call has this event, so often."""
        await self.until(call_id, lambda call: [each["type"] for each in call["events"]].count(event) >= times)

    async def until(self, call_id: str, which: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What the API has of a call, once it is so."""
        async with program(self.settings) as api, asyncio.timeout(PATIENCE_S):
            changes = api.events("call")
            async for _ in changes:
                call: dict[str, Any] = await api.ask("GET", f"/calls/{call_id}")
                if which(call):
                    await changes.aclose()
                    return call
        raise AssertionError(f"the controller has ended before call {call_id} came so far")

    def has_no_gap(self, recording: Path) -> None:
        """See `has_no_gap`."""
        has_no_gap(recording, self._machine.worst_ms(), self._away_s)

    def person(self, phone: str) -> AbstractAsyncContextManager[Person]:
        """Somebody on Telegram."""
        return self.stage.person(phone)

    def phone(self, user: str, hz: float, **options: Any) -> SipPhone:
        """A SIP phone that says a tone."""
        return SipPhone(self.asterisk, user, play=self.tone(hz), run_dir=self.stage.folder / f"phone{user}", **options)

    def tone(self, hz: float) -> Path:
        """A wav of a tone."""
        path = self.stage.folder / f"{hz:g}.wav"
        if not path.exists():
            write_tone(path, hz, LONGEST_S)
        return path


SupervisedMaker = Callable[..., AbstractAsyncContextManager[Supervised]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Lateness]:
    """How late it is, during the test."""
    with lateness(tmp_path / "lateness.txt") as its:
        yield its


@pytest.fixture
def supervised(
    tmp_path: Path, asterisk_tree: Tree, machine: Lateness, caplog: pytest.LogCaptureFixture
) -> SupervisedMaker:
    """Makes a stage, and sees to it that nothing is left in Asterisk or of media processes."""

    @asynccontextmanager
    async def made(
        *, dialplan: str = "", people: Mapping[str, str] | None = None, ari: Proxy | None = None, **sections: Any
    ) -> AsyncIterator[Supervised]:
        caplog.set_level(logging.INFO, "ari_app")
        async with stage(tmp_path, tree=asterisk_tree, dialplan=dialplan, people=people) as set_stage:
            if ari:  # between Astergram and Asterisk's HTTP server
                ari.target_port = set_stage.asterisk.http_port
                sections["asterisk"] = sections.get("asterisk", {}) | {"url": f"http://127.0.0.1:{ari.port}"}
            sections["bot"] = set_stage.bot()
            sections["ami"] = ami_login(set_stage.asterisk, None)
            sections["media"] = {"orphan_s": 30.0}
            its = Supervised(set_stage, await set_stage.configuration(**sections), machine)
            await set_stage.sign_in_lines(its.settings)
            try:
                yield its
                assert await nothing_left_in(set_stage.asterisk) == []
            finally:
                await its.stop()
            assert await left_in_asterisk(set_stage.asterisk) == []
            assert list((its.settings.state_dir / "media").rglob("*")) == []

    return made


def has_no_gap(recording: Path, late_ms: int, away_s: float) -> None:
    """A recording has no silence between its first and its last sound that could be heard.

    ``late_ms`` is `Lateness.worst_ms`, and ``away_s`` how long there was no controller, at least.
    """
    gap_ms = longest_gap_ms(recording)
    said = f"{recording.name}: {gap_ms} ms without sound at most; the machine was {late_ms} ms late"
    print(said)
    assert gap_ms <= (away_s * 1000 * BUSY_GAP if late_ms else GAP_MS), f"{said}, no controller for {away_s:.1f} s"


def longest_gap_ms(recording: Path) -> int:
    """The longest silence between the first and the last sound, in windows of 10 ms."""
    samples, rate = _samples(recording, 0.0, None)
    width = rate * WINDOW_MS // 1000
    windows = samples[: len(samples) // width * width].reshape(-1, width)
    sounding = np.flatnonzero(np.sqrt((windows**2).mean(axis=1)) > 10 ** (SILENCE_DBFS / 20))
    assert len(sounding), f"{recording.name}: nothing was heard"
    return int(np.diff(sounding).max() - 1) * WINDOW_MS
