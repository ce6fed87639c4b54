"""Whether the place that Astergram was installed from has a newer version; asked only if that is set.

Nothing is sent to anybody but the package index that pip is set up for, and for a Debian package nothing at all: apt
knows already.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

from packaging.version import InvalidVersion, Version

from ari_app import __version__

PACKAGE = "astergram"
ASK_S = 60.0
"""For pip with an index that is slow, or away: it tries some times."""
PIP_S = 10
"""pip's own, for each answer of the index."""
EVERY_S = 86400.0
FIRST_S = 60.0
"""After the start, whose work comes first."""

log = logging.getLogger(__name__)

Source = Literal["off", "pip", "apt"]
"""What the installation came from."""


class UpdateUnknown(Exception):
    """It could not be found out; the text says why."""


class UpdateNotice:
    """Asks each day. ``ask`` gives the newest version, or raises UpdateUnknown; see `newest`."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[str | None]] | None,
        installed: str = __version__,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.newer: str | None = None
        """The version that there is; None where there is none that is newer, or nobody knows."""
        self._ask = ask
        self._installed = installed
        self._on_change = on_change

    async def run(self) -> None:
        """Ask a while after the start, and then each day, until cancelled; where nothing is to be asked, at once."""
        if self._ask is None:
            return
        await asyncio.sleep(FIRST_S)
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Ask once; what can't be found out is logged, and changes nothing."""
        if self._ask is None:
            return
        try:
            found = await self._ask()
        except UpdateUnknown as error:
            log.info("whether there is a newer version is not known: %s", error)
            return
        before, self.newer = self.newer, found if is_newer(found, self._installed) else None
        if self.newer != before:
            log.info("a newer version is there: %s", self.newer)
            self._on_change()


def is_newer(found: str | None, installed: str = __version__) -> bool:
    """Whether a version comes after the one that runs (PEP 440; a Debian revision does not count)."""
    with suppress(InvalidVersion):
        return found is not None and Version(found) > Version(installed)
    return False


async def newest(source: Source, index: str = "", within_s: float = ASK_S) -> str | None:
    """The newest version that can be installed; None where it is not known there. Raises UpdateUnknown.

    ``index``: the address of a package index, where it is not the one that pip is set up for.
    """
    if source == "off":
        return None
    if source == "apt":
        return candidate(await _said(["apt-cache", "policy", PACKAGE], within_s))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--timeout", str(PIP_S)]
    command += ["--report", "-", PACKAGE]
    own = {"PIP_INDEX_URL": index} if index else {}  # not on the command line: it may have a login in it
    try:
        report = json.loads(await _said(command, within_s, own))
        return str(report["install"][0]["metadata"]["version"])
    except (ValueError, LookupError, TypeError):
        raise UpdateUnknown("pip has answered with nothing that can be read") from None


def candidate(policy: str) -> str | None:
    """What `apt-cache policy` says would be installed, without epoch and Debian's revision; None for nothing."""
    for line in policy.splitlines():
        name, _, version = line.strip().partition(": ")
        if name == "Candidate" and version != "(none)":
            upstream = version.partition(":")[2] or version
            return (upstream.rpartition("-")[0] or upstream).replace("~", "")
    return None


async def _said(command: Sequence[str], within_s: float, own: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises UpdateUnknown."""
    pipe = asyncio.subprocess.PIPE
    env = {**os.environ, "LC_ALL": "C", **(own or {})}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=env
        )
    except OSError as error:
        raise UpdateUnknown(f"{command[0]} can't be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(within_s):
            answer, _ = await process.communicate()
    except TimeoutError:
        raise UpdateUnknown(f"no answer within {within_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        # Not what it says, which may quote the index's address.
        raise UpdateUnknown(f"{command[0].rpartition('/')[2]} has failed, with status {process.returncode}")
    return answer.decode(errors="replace")
