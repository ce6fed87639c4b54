"""What the parts of a bench share: one stage, controllers at work on it, and people. Each is made when it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telethon import errors

from ari_app.api_client import Api, program
from ari_app.asterisk.media_codecs import Transport
from ari_app.config import CallSettings, Settings, load
from ari_app.sandbox.bench.sizes import Sizes
from ari_app.sandbox.demo.program import Program, astergram
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.soak.census import grandchildren
from ari_app.sandbox.stage import Stage, stage
from ari_app.sandbox.tones import write_tone
from media.types import MediaError

TRANSPORTS: tuple[Transport, ...] = ("rtp", "websocket")
LINES: dict[Transport, str] = {"rtp": "+79990000001", "websocket": "+79990000004"}
"""Whose calls hear an echo."""
LIMITED_LINE = "+79990000006"
"""As those, with a controller that refuses what the machine can't carry."""
KEYS_LINE = "+79990000005"
"""Whose calls are asked for digits, without an end; by rtp."""
PEOPLE_FROM = 79990100000
NO_LIMIT = 1000  # calls of a line
ECHO, KEYS = "bench-echo", "bench-keys"
DIGIT_EVENT = "BenchDigit"
DIALPLAN = f"""\
[{ECHO}]
exten => _X.,1,Answer()
 same => n,Echo()
[{KEYS}]
exten => _X.,1,Answer()
 same => n(next),Read(DIGIT,,1,,1,60)
 same => n,UserEvent({DIGIT_EVENT},Digit: ${{DIGIT}})
 same => n,GotoIf($["${{READSTATUS}}"="OK"]?next)
 same => n,Hangup()
"""
TONE_HZ, TONE_S = 440.0, 1.0
"""Whole periods, so that it can be played over and over."""
QUIET_S = 30.0  # for calls to be over in the controller, once both sides have hung up
LOOK_EVERY_S = 0.1  # another program has no event for us
CLEAN_FAILURES = (SandboxError, MediaError, errors.RPCError, ConnectionError, TimeoutError, OSError)


@dataclass
class Controller:
    """Astergram at work, a process of its own."""

    transport: Transport
    line: str
    settings: Settings
    program: Program
    api: Api

    @property
    def media_pids(self) -> list[int]:
        """Its media processes, spare ones too: they are what its zygote has forked."""
        return grandchildren(self.program.pid)

    async def quiet(self) -> None:
        """Wait until it has no call. Raises SandboxError where it still has one."""
        try:
            async with asyncio.timeout(QUIET_S):
                while (await self.api.ask("GET", "/status"))["calls"]:  # noqa: ASYNC110 - as LOOK_EVERY_S says
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise SandboxError(f"calls are live {QUIET_S:g} s after both sides have hung up") from None


class Rig:
    """Made by `rig(...)`. ``say`` tells a person how far it is; ``most_calls``: at once, in any part."""

    def __init__(self, folder: Path, sizes: Sizes, say: Callable[[str], None], stack: AsyncExitStack) -> None:
        self.folder = folder
        self.sizes = sizes
        self.say = say
        self.asterisk_version: str | None = None
        self._stack = stack
        self._stage: Stage | None = None
        self._controllers: dict[Transport, Controller] = {}
        self._limited: Controller | None = None
        self._people: list[Person] = []

    @property
    def tone(self) -> Path:
        """A second of a tone."""
        path = self.folder / "tone.wav"
        if not path.exists():
            write_tone(path, TONE_HZ, TONE_S)
        return path

    async def stage(self) -> Stage:
        """A local Telegram and a private Asterisk."""
        if self._stage is None:
            names = dict.fromkeys((*LINES.values(), LIMITED_LINE, KEYS_LINE), "Astergram")
            self._stage = await self._stack.enter_async_context(
                stage(self.folder / "stage", dialplan=DIALPLAN, people=names)
            )
            told = await self._stage.asterisk.cli("core show version")  # "Asterisk 22.10.1 built by ..."
            self.asterisk_version = told.split()[1]
        return self._stage

    async def controller(self, transport: Transport) -> Controller:
        """Astergram with that transport; its line for echoes is signed in, and with rtp the one for keys, too."""
        if transport not in self._controllers:
            self._controllers[transport] = await self._stack.enter_async_context(
                _controller(await self.stage(), transport)
            )
        controller = self._controllers[transport]
        controller.program.forget()
        return controller

    async def limited_controller(self) -> Controller:
        """As that with rtp, but it refuses what is beyond its limit of CPU, or of calls: the others take all on."""
        if self._limited is None:
            limits = {"cpu_percent": CallSettings().cpu_percent, "max_calls": self.sizes.most}
            self._limited = await self._stack.enter_async_context(_limited_controller(await self.stage(), limits))
        return self._limited

    async def people(self, count: int) -> list[Person]:
        """So many people on Telegram, signed in."""
        setting = await self.stage()
        while len(self._people) < count:
            number = f"+{PEOPLE_FROM + len(self._people)}"
            setting.telegram.add_user(number, f"Person {len(self._people) + 1}")
            self._people.append(await self._stack.enter_async_context(setting.person(number)))
        return self._people[:count]


@asynccontextmanager
async def rig(folder: Path, sizes: Sizes, say: Callable[[str], None]) -> AsyncIterator[Rig]:
    """A rig on which nothing is made yet; all that is made is closed on leaving."""
    (folder / "stage").mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        yield Rig(folder, sizes, say, stack)


@asynccontextmanager
async def _limited_controller(setting: Stage, limits: Mapping[str, int]) -> AsyncIterator[Controller]:
    lines = [{"number": LIMITED_LINE, "context": ECHO, "max_calls": NO_LIMIT}]
    configuration = await setting.configuration(lines, "limited", calls=limits, asterisk={"app": "limited"})
    settings = load(configuration)
    await setting.sign_in_lines(settings)
    async with astergram(configuration, setting.folder / "limited.log") as at_work, program(settings) as api:
        yield Controller("rtp", LIMITED_LINE, settings, at_work, api)


@asynccontextmanager
async def _controller(setting: Stage, transport: Transport) -> AsyncIterator[Controller]:
    lines: list[dict[str, Any]] = [{"number": LINES[transport], "context": ECHO, "max_calls": NO_LIMIT}]
    sections: dict[str, Any] = {"asterisk": {"transport": transport}}
    if transport == "rtp":
        lines.append({"number": KEYS_LINE, "context": KEYS, "max_calls": NO_LIMIT})
        sections["bot"] = setting.bot()
    else:
        sections["asterisk"]["app"] = transport
    configuration = await setting.configuration(lines, transport, **sections)
    settings = load(configuration)
    await setting.sign_in_lines(settings)
    async with (
        astergram(configuration, setting.folder / f"{transport}.log") as at_work,
        program(settings) as api,
    ):
        if transport == "rtp":
            await api.ask("POST", f"/lines/{KEYS_LINE}/setup", {"steps": ["bot dialogue"]})
        yield Controller(transport, LINES[transport], settings, at_work, api)


@asynccontextmanager
async def talk(
    controller: Controller, person: Person, play: Path, record: Path | None, *, loop: bool = False
) -> AsyncIterator[PersonCall]:
    """A call of a person's that hears its echo; it is over, for both sides and the controller, on leaving."""
    call = await person.call(controller.line)
    try:
        await call.confirm(play, record, loop=loop)
        yield call
    finally:
        await end(call)
    await controller.quiet()


async def end(call: PersonCall) -> None:
    """Hang up, whatever has become of it, and put the phone down."""
    with suppress(*CLEAN_FAILURES):
        await call.hang_up()
    with suppress(*CLEAN_FAILURES):
        await call.close_audio()
    call.person.calls.pop(call.id, None)
