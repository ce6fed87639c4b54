"""Networks of their own for machines on this computer: Linux network namespaces, and links between them and us.

namespaces(7), veth(4). `ip` is iproute2's, `unshare` and `nsenter` are util-linux's. No root is needed where the kernel
lets everybody make user namespaces: who makes networks runs inside one (`enter`).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ari_app.sandbox.processes import SandboxError, running

OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
TRIED = "ip link set lo up && unshare --net ip link set lo up && ip link add one type veth peer name other"
COMMAND_S = 10.0
INSIDE = "ASTERGRAM_OWN_NETWORK"
"""Set for a program that `enter` has begun anew."""
NO_AUDIO = "vnic"
"""What a link is called, at its beginning, that carries no audio: WebRTC takes such a one for a virtual machine's."""

_numbers = count(1)  # of links: each has a subnet of its own


def trouble() -> str:
    """Why machines can't have networks of their own on this computer; empty where they can."""
    try:
        tried = subprocess.run(
            [*OWN_NETWORK, "sh", "-c", TRIED], capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if tried.returncode == 0 else tried.stderr.strip() or f"{OWN_NETWORK[0]}: status {tried.returncode}"


def is_entered() -> bool:
    """Whether this program can make networks: it was begun by `enter`."""
    return INSIDE in os.environ


def enter(command: Sequence[str]) -> None:
    """Begin anew as ``command``, the same process, in a network out of which nothing leads. Raises OSError."""
    os.execvpe(OWN_NETWORK[0], [*OWN_NETWORK, *command], {**os.environ, INSIDE: "1"})  # noqa: S606 - as is meant


@dataclass(frozen=True)
class Link:
    """Between us and a machine's network. ``here`` and ``there``: the IPv4 addresses of its ends."""

    name: str
    here: str
    there: str

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """All that is sent over it is lost while inside, and neither end is told."""
        await _done("ip", "link", "set", self.name, "down")
        try:
            yield
        finally:
            await _done("ip", "link", "set", self.name, "up")


@dataclass(frozen=True)
class Network:
    """Of a machine: a loopback of its own, and its links. ``inside``: what a command that runs there begins with."""

    name: str
    pid: int

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that is to run there; it stays one process."""
        return ("nsenter", "--net", "--target", str(self.pid))

    async def link(self, what: str, *, audio: bool = False) -> Link:
        """Another link, for as long as the network lasts. ``what``: what is at our end of it, a word."""
        number = next(_numbers)
        its = Link(f"{'' if audio else NO_AUDIO}{what}{number}", f"10.86.{number}.1", f"10.86.{number}.2")
        await _done("ip", "link", "add", its.name, "type", "veth", "peer", "name", its.name, "netns", str(self.pid))
        for begins, address in (((), its.here), (self.inside, its.there)):
            await _done(*begins, "ip", "address", "add", f"{address}/30", "dev", its.name)
            await _done(*begins, "ip", "link", "set", its.name, "up")
        return its


async def begin() -> None:
    """Bring up our own loopback, in the network that `enter` has made."""
    await _done("ip", "link", "set", "lo", "up")


@asynccontextmanager
async def network(name: str, log: Path) -> AsyncIterator[Network]:
    """A machine's network, until the block is left; all that runs there has ended before. Raises SandboxError."""
    # It lasts as long as a process is in it, and this one does nothing else.
    async with running(f"network of {name}", ("unshare", "--net", "sleep", "infinity"), log) as child:
        its = Network(name, child.process.pid)
        async with asyncio.timeout(COMMAND_S):
            while _network_of(its.pid) == _network_of(os.getpid()):  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        await _done(*its.inside, "ip", "link", "set", "lo", "up")
        yield its


def _network_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


async def _done(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(COMMAND_S):
        said, _ = await process.communicate()
    if process.returncode != 0:
        raise SandboxError(f"{' '.join(command)}: {said.decode(errors='replace').strip()}")
