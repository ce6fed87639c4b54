"""Limits of a line that several machines have. By virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from telethon import errors

from ari_app.cluster.bucket import AGAIN_S, QUIET_S
from ari_app.cluster.shared_limits import EngineLimits
from ari_app.tasks import guarded_tasks
from ari_app.telegram.errors import Frozen, Limited
from ari_app.telegram.limits import CALL, DAY_S, MINUTE_S, Limits, LimitSettings
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE, OTHER = "+79990000001", "+79990000009"
SETTINGS = LimitSettings(flood_margin_s=0.0, calls_per_minute=2)
SOON_S = 1.0


@dataclass
class Memory:
    """What a machine keeps of a line."""

    kept: dict[str, tuple[float, str]] = field(default_factory=dict)
    placed: list[float] = field(default_factory=list)

    async def pauses(self, now: float) -> dict[str, tuple[float, str]]:
        return {request: pause for request, pause in self.kept.items() if pause[0] > now}

    def pause(self, request: str, until: float, reason: str) -> None:
        self.kept[request] = until, reason

    async def calls(self, since: float) -> list[float]:
        return [at for at in self.placed if at > since]

    def called(self, at: float) -> None:
        self.placed.append(at)


@dataclass
class Servers:
    """What NATS keeps."""

    pauses: Engine = field(default_factory=Engine)
    calls: Engine = field(default_factory=Engine)


@dataclass
class Machine:
    """One of a cluster, with its way to NATS."""

    ways: tuple[WayToEngine, WayToEngine]
    shared: EngineLimits
    memory: dict[str, Memory]

    @asynccontextmanager
    async def line(self, number: str = LINE) -> AsyncIterator[Limits]:
        kept = self.shared.store(number, self.memory.setdefault(number, Memory()))
        limits = Limits(number, SETTINGS, kept, asyncio.get_running_loop().time)
        self.shared.follow(number, limits)
        async with limits:
            yield limits

    def away(self, away: bool) -> None:
        for way in self.ways:
            way.away = away


@asynccontextmanager
async def machine(name: str, servers: Servers, memory: dict[str, Memory] | None = None) -> AsyncIterator[Machine]:
    ways = WayToEngine(servers.pauses), WayToEngine(servers.calls)
    async with guarded_tasks() as tasks:
        shared = EngineLimits(name, *ways, asyncio.get_running_loop().time)
        for each in (shared.send, shared.watch_pauses, shared.watch_calls):
            tasks.supervise(each, each.__name__)
        yield Machine(ways, shared, {} if memory is None else memory)


def flood(seconds: int) -> errors.FloodWaitError:
    return errors.FloodWaitError(None, capture=seconds)


def test_what_one_is_told_the_others_keep_to() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, machine("b", servers) as b, a.line() as here, b.line() as there:
            async with b.line(OTHER) as other:
                await here.learn("messages.sendMessage", flood(100))
                await here.learn(CALL, errors.PeerFloodError(None))
                await asyncio.sleep(SOON_S)
                assert there.pauses["messages.sendMessage"][1] == "FLOOD_WAIT_100"
                with pytest.raises(Limited, match="PEER_FLOOD"):
                    there.check(CALL)
                other.check(CALL)
            await asyncio.sleep(100)
            assert set(there.pauses) == {CALL}

    run(scene)


def test_a_frozen_account_is_frozen_everywhere() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, machine("b", servers) as b, a.line() as here, b.line() as there:
            await here.learn("messages.sendMessage", errors.RPCError(None, "FROZEN_METHOD_INVALID", 420))
            await asyncio.sleep(SOON_S)
            with pytest.raises(Frozen):
                there.check(CALL)

    run(scene)


def test_calls_of_all_machines_count_once() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, machine("b", servers) as b, a.line() as here, b.line() as there:
            await here.admit(CALL)
            await asyncio.sleep(QUIET_S / 2)  # each watch begins anew meanwhile
            await here.admit(CALL)
            await asyncio.sleep(SOON_S)
            for limits in (here, there):
                with pytest.raises(Limited, match="has made 2 calls"):
                    await limits.admit(CALL)
            await asyncio.sleep(MINUTE_S)
            await there.admit(CALL)

    run(scene)


def test_who_starts_later_knows_of_both() -> None:
    async def scene() -> None:
        servers, memory = Servers(), dict[str, Memory]()
        async with machine("a", servers) as a, a.line() as here:
            await here.admit(CALL)
            await asyncio.sleep(SOON_S)
            await here.admit(CALL)
            await here.learn("messages.sendMessage", flood(1000))
            await asyncio.sleep(SOON_S)
            async with machine("b", servers, memory) as b:
                await asyncio.sleep(SOON_S)
                async with b.line() as there:
                    with pytest.raises(Limited, match="has made 2 calls"):
                        there.check(CALL)
                    assert "messages.sendMessage" in there.pauses
            # NATS is away at its next start.
            async with machine("b", servers, memory) as b:
                b.away(True)
                async with b.line() as there:
                    assert "messages.sendMessage" in there.pauses

    run(scene)


def test_nats_is_away_meanwhile() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, machine("b", servers) as b, a.line() as here, b.line() as there:
            a.away(True)
            await here.learn("messages.sendMessage", flood(600))
            await here.learn("contacts.resolvePhone", flood(60))
            await here.admit(CALL)
            await asyncio.sleep(SOON_S)
            await here.admit(CALL)
            await asyncio.sleep(120)
            a.away(False)
            await asyncio.sleep(2 * AGAIN_S)
            assert set(there.pauses) == {"messages.sendMessage"}
            assert there._calls == here._calls
            assert len(servers.pauses.entries) == 1, "what is over is not sent"

    run(scene)


def test_no_acknowledgement_comes() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, machine("b", servers) as b, a.line() as here, b.line() as there:
            for way in a.ways:
                way.acknowledges = False
            await here.admit(CALL)
            await here.learn(CALL, flood(100))
            await asyncio.sleep(5 * AGAIN_S)
            for way in a.ways:
                way.acknowledges = True
            await asyncio.sleep(2 * AGAIN_S)
            assert len(there._calls) == 1
            assert CALL in there.pauses

    run(scene)


def test_the_longer_one_of_two_pauses_counts_and_two_at_once_are_kept() -> None:
    async def scene() -> None:
        servers = Servers()
        async with AsyncExitStack() as stack:
            its = [await stack.enter_async_context(machine(name, servers)) for name in "abc"]
            lines = [await stack.enter_async_context(each.line()) for each in its]
            for limits, seconds in zip(lines, (50, 500, 5), strict=True):
                await limits.learn("messages.sendMessage", flood(seconds))
            await asyncio.sleep(SOON_S)
            assert {round(each.pauses["messages.sendMessage"][0]) for each in lines} == {499}

    run(scene)


def test_what_another_version_has_written_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, a.line() as here:
            until = asyncio.get_running_loop().time() + DAY_S
            wrong = [b"", b"[]", b"{}", b"1", b'{"line": 1}', b"\xff"]
            for at in (b"1" * 400, b"NaN", b"Infinity", b"1e12", b"-1e5"):
                wrong.append(b'{"line": "%s", "request": "x", "reason": "R", "until": %s}' % (LINE.encode(), at))
                wrong.append(b'{"line": "%s", "machine": "b", "at": %s}' % (LINE.encode(), at))
            for number, value in enumerate(wrong):
                servers.pauses.write(str(number), value, 0)
                servers.calls.write(str(number), value, 0)
            # Nor does it stand in the way of what is right.
            servers.pauses.write("79990000001.messages.sendMessage", b'{"until": "soon"}', 0)
            await here.learn("messages.sendMessage", flood(100))
            pause = {"line": LINE, "request": CALL, "until": until, "reason": "R", "new": 1}
            servers.pauses.write("x", json.dumps(pause).encode(), 0)
            await asyncio.sleep(SOON_S)
            assert set(here.pauses) == {CALL, "messages.sendMessage"}
            assert here._calls == []
            assert b"FLOOD_WAIT_100" in (servers.pauses.entries["79990000001.messages.sendMessage"].value or b"")

    run(scene)
    assert "another version may have written it" in caplog.text


def test_the_longer_one_is_kept_whatever_comes_first() -> None:
    async def scene() -> None:
        servers, memory = Servers(), {LINE: Memory({CALL: (5000.0, "PEER_FLOOD")})}
        async with machine("a", servers) as a, a.line() as here:
            await here.learn(CALL, flood(10))
            await asyncio.sleep(SOON_S)
            async with machine("b", servers, memory) as b:
                await asyncio.sleep(SOON_S)
                async with b.line() as there:
                    await asyncio.sleep(SOON_S)
                    assert there.pauses[CALL][0] > 4900
                    assert memory[LINE].kept[CALL][0] == 5000
                    assert here.pauses[CALL][0] > 4900, "what an earlier run was told is told"

    run(scene)


def test_a_removed_line_is_told_nothing() -> None:
    async def scene() -> None:
        servers, memory = Servers(), dict[str, Memory]()
        async with machine("a", servers) as a, machine("b", servers, memory) as b, a.line() as here, b.line() as there:
            b.shared.forget(LINE)
            await here.learn(CALL, flood(100))
            await here.admit("messages.sendMessage")
            await asyncio.sleep(SOON_S)
            assert not there.pauses
            assert not memory[LINE].kept

    run(scene)


def test_many_calls_are_counted_while_other_things_go_on() -> None:
    async def scene() -> None:
        servers, turns = Servers(), 0
        for number in range(5000):
            value = json.dumps({"line": LINE, "machine": "b", "at": number * 1e-9})
            servers.calls.write(f"c{number}", value.encode(), 0)

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with machine("a", servers) as a, a.line() as here, guarded_tasks() as tasks:
            tasks.spawn(others(), "others")
            while len(here._calls) < 5000:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            assert turns >= 40

    run(scene)


def test_a_pause_from_a_clock_far_ahead_stands_in_nobodys_way() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, machine("b", servers) as b, a.line() as here, b.line() as there:
            pause = {"line": LINE, "request": CALL, "until": 365 * DAY_S, "reason": "R"}
            servers.pauses.write("79990000001." + CALL, json.dumps(pause).encode(), 0)
            await here.learn(CALL, flood(100))
            await asyncio.sleep(SOON_S)
            assert CALL in there.pauses

    run(scene)


def test_servers_that_have_lost_everything_are_told_again_of_pauses() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, a.line() as here:
            await here.learn(CALL, errors.PeerFloodError(None))
            await asyncio.sleep(SOON_S)
            servers.pauses.lose_everything()
            a.away(True)
            await asyncio.sleep(100 * QUIET_S)
            assert a.shared._unsent.qsize() <= 1
            a.away(False)
            await asyncio.sleep(2 * QUIET_S)
            async with machine("b", servers) as b, b.line() as there:
                await asyncio.sleep(SOON_S)
                assert CALL in there.pauses

    run(scene)


def test_a_call_of_a_machine_whose_clock_is_a_little_ahead_counts_for_its_whole_minute() -> None:
    async def scene() -> None:
        servers = Servers()
        async with machine("a", servers) as a, a.line() as here:
            here.counts(50.0)
            await here.admit(CALL)
            await asyncio.sleep(MINUTE_S)
            await here.admit(CALL)
            with pytest.raises(Limited, match="has made 2 calls"):
                await here.admit(CALL)

    run(scene)
