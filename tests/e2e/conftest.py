"""The whole product on a stage of its own: a person on Telegram, Astergram, Asterisk and phones."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ari_app.app import Astergram, running
from ari_app.calls.call import Call
from ari_app.config import Settings, load
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.person import Person
from ari_app.sandbox.proxy import Proxy as TcpProxy
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import LINE, Stage, stage
from ari_app.sandbox.telegram.server import LocalTelegram, Timers
from ari_app.sandbox.tones import Heard, measure, write_tone
from tests.e2e.leftovers import Before, left_in_asterisk
from tests.integration.ari_helpers import Proxy
from tests.lateness import Lateness, lateness

PHONE_HZ, PERSON_HZ = 880.0, 440.0
HZ_TOLERANCE = 3.0
LEVEL_DBFS = range(-20, -5)  # sent at -12
GONE_S = 10.0
TALK_S = 3.0
BUSY_GAPS = 2
"""So many holes may be heard where the machine had no time for its programs; else none."""
WEBSOCKET = pytest.param("websocket", marks=pytest.mark.asterisk_22)


@dataclass
class Play:
    """A stage with Astergram at work on it."""

    stage: Stage
    app: Astergram
    settings: Settings
    work: AsyncExitStack

    async def stop_astergram(self) -> None:
        """As SIGTERM does."""
        await self.work.aclose()

    def media_pid(self) -> int:
        """The last call's media process."""
        audio = self.calls[-1].audio
        assert audio is not None
        return audio.pid

    def crash_media(self, number: signal.Signals = signal.SIGSEGV) -> None:
        """End the last call's media process as a native crash does."""
        os.kill(self.media_pid(), number)

    @property
    def telegram(self) -> LocalTelegram:
        return self.stage.telegram

    @property
    def asterisk(self) -> PrivateAsterisk:
        return self.stage.asterisk

    def recording(self, name: str) -> Path:
        """Where somebody may record what they hear."""
        return self.stage.folder / f"{name}-heard.wav"

    def person(self, phone: str) -> AbstractAsyncContextManager[Person]:
        """Somebody on Telegram."""
        return self.stage.person(phone)

    def tone(self, name: str, hz: float) -> Path:
        """A wav of a tone, ten seconds."""
        path = self.stage.folder / f"{name}.wav"
        write_tone(path, hz, 30.0)
        return path

    def phone(self, user: str = "101", **options: Any) -> SipPhone:
        """A SIP phone that says its tone."""
        return SipPhone(self.asterisk, user, play=self.tone(f"phone{user}", PHONE_HZ), **options)

    @property
    def calls(self) -> list[Call]:
        """Every call so far, the live ones last."""
        return [*self.app.registry.ended, *self.app.registry.calls.values()]

    def outcomes(self) -> list[str]:
        """TELEGRAM_STATUS of each call that is over."""
        return [call.ending.status.value for call in self.app.registry.ended if call.ending]

    async def outcome(self) -> str:
        """TELEGRAM_STATUS of the last call, once no call is live."""
        await self.call_over()
        return self.outcomes()[-1]

    async def call_over(self) -> None:
        """Wait until no call is live."""
        async with asyncio.timeout(GONE_S):
            await self.app.registry.idle()

    async def talking(self) -> None:
        """Wait until both sides of every live call talk: a person's own media may be connected a moment before."""
        await all_talk(self.app)


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Astergram]:
    """Astergram, once Asterisk, each line and the bot have been tried."""
    async with running(settings) as app:
        await app.first_attempt_done()
        await app.bot.first_attempt_done()
        yield app


async def all_talk(app: Astergram) -> None:
    """Wait until both sides of every live call talk."""
    async with asyncio.timeout(GONE_S):
        for call in list(app.registry.calls.values()):
            await call.connected()


PlayMaker = Callable[..., AbstractAsyncContextManager[Play]]


@pytest.fixture
def flows(request: pytest.FixtureRequest) -> Iterator[list[Call]]:
    """Calls whose flow is shown if the test fails."""
    shown: list[Call] = []
    request.node.flows = shown
    yield shown


@pytest.fixture
async def sandbox(tmp_path: Path, asterisk_tree: Tree) -> AsyncIterator[Stage]:
    """A stage for the program as a process of its own."""
    async with stage(tmp_path, tree=asterisk_tree) as made:
        yield made


@pytest.fixture
def play(tmp_path: Path, flows: list[Call], asterisk_tree: Tree, caplog: pytest.LogCaptureFixture) -> PlayMaker:
    """Makes a stage with Astergram on it, and sees to it that nothing is left of either."""

    @asynccontextmanager
    async def made(
        *,
        timers: Timers | None = None,
        dialplan: str = "",
        people: Mapping[str, str] | None = None,
        bot: bool = False,
        proxy: Proxy | None = None,
        without: Sequence[str] = (),
        ami: Mapping[str, Any] | None = None,
        ami_proxy: TcpProxy | None = None,
        **sections: Any,
    ) -> AsyncIterator[Play]:
        caplog.set_level(logging.INFO, "ari_app")
        before = Before()
        async with stage(
            tmp_path, timers=timers, dialplan=dialplan, people=people, tree=asterisk_tree, without=without
        ) as set_stage:
            if bot:
                sections["bot"] = set_stage.bot()
            if proxy:  # between Astergram and Asterisk's HTTP server
                proxy.target_port = set_stage.asterisk.http_port
                sections["asterisk"] = {**sections.get("asterisk", {}), "url": f"http://127.0.0.1:{proxy.port}"}
            if ami is not None:
                sections["ami"] = {**ami_login(set_stage.asterisk, ami_proxy), **ami}
            settings = load(await set_stage.configuration(**sections))
            await set_stage.sign_in_lines(settings)
            async with AsyncExitStack() as work:
                app = await work.enter_async_context(started(settings))
                playing = Play(set_stage, app, settings, work)
                try:
                    yield playing
                    await playing.call_over()
                    assert await nothing_left_in(set_stage.asterisk) == []
                finally:
                    flows.extend(playing.calls)
            assert await left_in_asterisk(set_stage.asterisk) == []
            assert [each for each in (settings.state_dir / "media").rglob("*")] == []
        assert before.left() == []

    return made


def ami_login(asterisk: PrivateAsterisk, proxy: TcpProxy | None) -> dict[str, Any]:
    """Section [ami] for an Asterisk, by way of a proxy."""
    if proxy:
        proxy.target_port = asterisk.ami_port
    return {
        "port": proxy.port if proxy else asterisk.ami_port,
        "user": asterisk.ami_user,
        "password": asterisk.ami_password,
    }


async def nothing_left_in(asterisk: PrivateAsterisk) -> list[str]:
    """Channels and bridges after a call; a phone's BYE may still be on its way for a moment."""
    try:
        async with asyncio.timeout(GONE_S):
            while left := await left_in_asterisk(asterisk):  # noqa: ASYNC110 - another process has no event for us
                await asyncio.sleep(0.1)
    except TimeoutError:
        return left
    return []


_machine: Lateness


@pytest.fixture(autouse=True)
def _measured_lateness(tmp_path: Path) -> Iterator[None]:
    global _machine
    with lateness(tmp_path / "lateness.txt") as _machine:
        yield


def most_holes() -> int:
    """As far as the machine had time: none."""
    return BUSY_GAPS if _machine.worst_ms() else 0


def no_holes(found: Heard, what: str) -> None:
    """A tone was heard without a hole, as far as the machine had time."""
    assert found.gaps <= most_holes(), f"{what}: {found}; the machine was {_machine.worst_ms()} ms late"


def heard(path: Path, hz: float, seconds: float = TALK_S) -> None:
    """A recording holds a tone, at its level, with no holes, for about as long as was talked."""
    found = measure(path)
    assert abs(found.hz - hz) < HZ_TOLERANCE, f"{path.name}: {found}"
    assert int(found.level_dbfs) in LEVEL_DBFS, f"{path.name}: {found}"
    no_holes(found, path.name)
    assert found.first_sound_s is not None
    assert found.seconds - found.first_sound_s > seconds * 0.8, f"{path.name}: {found}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed and (calls := getattr(item, "flows", None)):
        for call in calls:
            report.sections.append((f"flow of {call!r}", "\n".join(map(str, call.events))))
    return report


def in_context(context: str) -> dict[str, Any]:
    """Configuration of a line whose calls come in there."""
    return {"lines": [{"number": LINE, "context": context, "max_calls": 2}]}
