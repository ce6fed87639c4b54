"""What the controller itself costs with many lines signed in, and how long it takes to start."""

from __future__ import annotations

import asyncio
import re
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from telethon.crypto import AuthKey
from telethon.sessions import SQLiteSession

from ari_app.config import Settings, load
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import Rig
from ari_app.sandbox.bench.usage import Window, own_mb, resident_mb
from ari_app.sandbox.demo.program import astergram
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.soak.census import census
from ari_app.sandbox.stage import Stage

LINES_FROM = 79990200000
APP = "lines"
START_S = 600.0
SETTLE_S = 5.0
"""After its start, for what lines do once; as long as it is idle, in a quick run."""
FDS_A_LINE = 6
"""Room for a socket, a session and its journal, a lock, and the local Telegram's end, which is a descriptor of ours."""
READY = re.compile(r"ready: (\d+) of (\d+) lines")


async def measure(rig: Rig, found: Found) -> None:
    """Controllers with more and more lines, one after the other."""
    setting = await rig.stage()
    for count in rig.sizes.lines:
        rig.say(f"signing in {count} lines")
        numbers = [f"+{LINES_FROM + number}" for number in range(count)]
        configuration = await setting.configuration(
            [{"number": number} for number in numbers], f"{APP}-{count}", asterisk={"app": APP}
        )
        settings = load(configuration)
        add_users(setting, numbers)
        await asyncio.to_thread(sign_in, settings, keys(setting, numbers), setting)
        with descriptors(count * FDS_A_LINE):
            rig.say(f"starting with {count} lines")
            began = time.monotonic()
            async with astergram(configuration, setting.folder / f"{APP}-{count}.log", START_S) as program:
                started_s = time.monotonic() - began
                if not (said := READY.search(program.said_ready)) or said[1] != str(count):
                    raise SandboxError(f"not all of {count} lines are signed in ({program.said_ready}; {program.log})")
                await asyncio.sleep(min(SETTLE_S, rig.sizes.idle_s))
                rig.say(f"idle for {rig.sizes.idle_s:g} s")
                window = Window([program.pid])
                await asyncio.sleep(rig.sizes.idle_s)
                used = window.end()
                found.row(
                    "lines",
                    lines=count,
                    start_s=round(started_s, 1),
                    idle_cpu_pct=round(used.of(program.pid), 2),
                    own_mb=round(own_mb(program.pid), 1),
                    resident_mb=round(resident_mb(program.pid), 1),
                    open_files=census(program.pid).fds,
                )
                found.put("lines_signed_in", count)


def add_users(setting: Stage, numbers: list[str]) -> None:
    """An account for each line."""
    for number in numbers:
        setting.telegram.add_user(number, f"Line {number}")


def keys(setting: Stage, numbers: list[str]) -> dict[str, bytes]:
    """An authorization key for each, as after a sign-in: a thousand handshakes would take minutes."""
    return {number: setting.telegram.add_device(number) for number in numbers}


def sign_in(settings: Settings, keys: Mapping[str, bytes], setting: Stage) -> None:
    """Write each line's session file, as Telethon does."""
    for number, key in keys.items():
        path: Path = settings.session(number)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        session = SQLiteSession(str(path))
        session.set_dc(setting.telegram.dc_id, setting.telegram.host, setting.telegram.port)
        session.auth_key = AuthKey(key)
        session.save()
        session.close()


@contextmanager
def descriptors(more: int) -> Iterator[None]:
    """Let this process, and what it starts meanwhile, have so many open files more than usual, if the system does."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = usual + more if most == resource.RLIM_INFINITY else min(usual + more, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))


PART = Part("lines", "the controller with many lines signed in", ("lines_signed_in",), measure)
