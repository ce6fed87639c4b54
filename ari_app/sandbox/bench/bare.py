"""Bare ntgcalls endpoints, a process each, and calls between any two parties without Telegram in between."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, Protocol

from ari_app.sandbox.processes import SandboxError, stopped
from ari_app.sandbox.telegram.crypto import DH_G, DH_PRIME
from ari_app.tasks import background_tasks
from media.messages import MAX_LINE
from media.types import Agreement, DhConfig, MediaLost, RelayServer

Mode = Literal["direct", "asyncio", "echo"]

ANSWER_S = 15.0  # for one request; a process on a busy machine loads ntgcalls in a second or two
CONNECT_S = 20.0  # for both to be connected, which takes 0.1 s on an idle machine
DH_RANDOM_BYTES = 256


class Party(Protocol):
    """One end of a call: a bare endpoint, or a media process of Astergram's (`media.process.MediaProcess`)."""

    async def offer(self, dh: DhConfig) -> bytes:
        """Caller: g_a_hash."""

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        """Callee: g_b."""

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        """Finish the key exchange."""

    async def connect(
        self,
        servers: Sequence[RelayServer],
        library_versions: Sequence[str],
        p2p_allowed: bool,
        custom_parameters: str | None,
    ) -> None:
        """Start to connect."""

    async def connected(self) -> None:
        """Wait until it is."""

    async def signal(self, data: bytes) -> None:
        """Take the other one's signalling."""

    def signals(self) -> AsyncIterator[bytes]:
        """Signalling for the other one."""


class BareEndpoint:
    """A process of `endpoint.py`; raises SandboxError where it does not answer. Made by `bare_endpoint(...)`."""

    def __init__(self, mode: Mode, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._mode = mode
        self._process = process
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._signals: asyncio.Queue[bytes] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._asking = asyncio.Lock()
        self._lost: str | None = None

    def __repr__(self) -> str:
        return f"<BareEndpoint {self._mode}, {self.pid}>"

    async def offer(self, dh: DhConfig) -> bytes:
        """Caller: g_a_hash."""
        return await self._exchange(dh, None)

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        """Callee: g_b."""
        return await self._exchange(dh, g_a_hash)

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        """Finish the key exchange."""
        agreed = await self._ask("agree", g=g_a_or_b.hex(), fingerprint=key_fingerprint)
        return Agreement(bytes.fromhex(agreed["g"]), agreed["fingerprint"])

    async def connect(
        self,
        servers: Sequence[RelayServer],
        library_versions: Sequence[str],
        p2p_allowed: bool,
        custom_parameters: str | None,
    ) -> None:
        """Start to connect, directly: it knows of no servers."""
        await self._ask("connect", versions=list(library_versions))

    async def connected(self) -> None:
        """Wait until it is."""
        await self._connected.wait()

    async def signal(self, data: bytes) -> None:
        """Take the other one's signalling."""
        await self._ask("signal", data=data.hex())

    async def signals(self) -> AsyncIterator[bytes]:
        """Signalling for the other one."""
        while True:
            yield await self._signals.get()

    async def heard(self) -> int:
        """How many frames of 10 ms it has heard so far. Raises SandboxError where it says none any more."""
        if self._lost is not None:
            raise SandboxError(f"{self!r} says nothing any more: {self._lost}")
        return int(await self._ask("heard"))

    async def follow(self) -> None:
        """Take what it tells until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match json.loads(line):
                case {"answer": answer}:
                    self._answers.put_nowait(answer)
                case {"signal": str(data)}:
                    self._signals.put_nowait(bytes.fromhex(data))
                case {"connected": True}:
                    self._connected.set()
                case {"lost": str(reason)}:
                    self._lost = reason

    async def _exchange(self, dh: DhConfig, g_a_hash: bytes | None) -> bytes:
        given = {"g": dh.g, "p": dh.p.hex(), "random": dh.random.hex(), "g_a_hash": g_a_hash.hex() if g_a_hash else ""}
        return bytes.fromhex(await self._ask("exchange", **given))

    async def _ask(self, do: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        async with self._asking:
            self._process.stdin.write(json.dumps({"do": do, **given}).encode() + b"\n")
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await self._answers.get()
            except TimeoutError:
                ended = "" if self._process.returncode is None else f"; it has ended with {self._process.returncode}"
                raise SandboxError(f"{self!r} did not answer {do!r} within {ANSWER_S:g} s{ended}") from None


@asynccontextmanager
async def bare_endpoint(mode: Mode) -> AsyncIterator[BareEndpoint]:
    """One, until the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{__package__}.endpoint", mode),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
        start_new_session=True,  # a Ctrl-C at the terminal is ours to handle
    )
    endpoint = BareEndpoint(mode, process)
    async with background_tasks() as tasks:
        tasks.create_task(endpoint.follow(), name=repr(endpoint))
        try:
            yield endpoint
        finally:
            await stopped(process)


@asynccontextmanager
async def connected(caller: Party, callee: Party, library_versions: Sequence[str]) -> AsyncIterator[None]:
    """A call between two, whose media is connected; what they say ends with their processes. Raises TimeoutError."""
    g_b = await callee.answer(_dh(), await caller.offer(_dh()))
    agreed = await caller.agree(g_b, 0)
    await callee.agree(agreed.g_a_or_b, agreed.key_fingerprint)
    async with background_tasks() as tasks:
        tasks.create_task(_pass_on(caller, callee), name="signals of the caller")
        tasks.create_task(_pass_on(callee, caller), name="signals of the callee")
        for party in (caller, callee):
            await party.connect((), library_versions, True, None)
        async with asyncio.timeout(CONNECT_S):
            await caller.connected()
            await callee.connected()
        yield


def _dh() -> DhConfig:
    return DhConfig(DH_G, DH_PRIME, os.urandom(DH_RANDOM_BYTES))


async def _pass_on(source: Party, sink: Party) -> None:
    async for data in source.signals():
        with suppress(MediaLost):  # it ends first
            await sink.signal(data)
