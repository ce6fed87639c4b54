"""What must be gone when a call, and when Astergram, is over: asked of Asterisk and of the operating system."""

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ari_app.sandbox.asterisk import PrivateAsterisk

PARKING_LOT = re.compile(r" 0 parking ")
"""Asterisk keeps an empty one for the next call."""


@dataclass
class Before:
    """What this process had before a test."""

    tasks: set["asyncio.Task[object]"] = field(default_factory=asyncio.all_tasks)
    children: set[int] = field(default_factory=lambda: {each.pid for each in psutil.Process().children(recursive=True)})
    descriptors: set[str] = field(default_factory=lambda: _descriptors())

    def left(self) -> list[str]:
        """What is there now that was not."""
        found = [f"task {task!r}" for task in asyncio.all_tasks() - self.tasks]
        found += [
            f"process {each.pid} {' '.join(each.cmdline())[:200]}"
            for each in psutil.Process().children(recursive=True)
            if each.pid not in self.children and each.status() != psutil.STATUS_ZOMBIE
        ]
        found += [f"descriptor {each}" for each in sorted(_descriptors() - self.descriptors)]
        return found


def _descriptors() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue  # the one that listed the folder
        if target.startswith(("/", "socket:")) and not target.startswith("/dev/"):
            found.add(target)
    return found


async def left_in_asterisk(asterisk: PrivateAsterisk) -> list[str]:
    """Channels and bridges that exist now."""
    channels = (await asterisk.cli("core show channels concise")).splitlines()
    bridges = (await asterisk.cli("bridge show all")).splitlines()[1:]
    bridges = [each for each in bridges if not PARKING_LOT.search(each)]
    return [f"channel {each}" for each in channels if each.strip()] + [f"bridge {each}" for each in bridges]
