"""Settings that several machines have. By virtual time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ari_app.cluster.bucket import AGAIN_S, QUIET_S
from ari_app.cluster.shared_settings import Cipher, EngineSettings, LeftOut, NotOurs, NotShared
from ari_app.i18n import message
from ari_app.tasks import FAILURES, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE, OTHER, INSTALLATION = "+79990000001", "+79990000009", "installation"
SOON_S = 1.0
ONE, ANOTHER = "one", "another"  # secrets


@dataclass
class Kept:
    """What a machine has set; one thing is changed at a time, as lines are."""

    values: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, str | None]] = field(default_factory=list)
    error: Exception | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def all(self) -> Mapping[str, str]:
        return dict(self.values)

    async def follow(self, name: str, value: str | None) -> None:
        async with self.changing:
            if self.error:
                raise self.error
            if self.values.get(name) != value:
                self.told.append((name, value))
                self.put(name, value)

    def put(self, name: str, value: str | None) -> None:
        self.values.pop(name, None)
        if value is not None:
            self.values[name] = value


@dataclass
class Machine:
    """One of a cluster, with its way to NATS."""

    way: WayToEngine
    shared: EngineSettings
    kept: Kept

    async def set(self, name: str, value: str | None) -> None:
        """As somebody does on its page."""
        async with self.kept.changing:
            await self.shared.keep(name, value)
            self.kept.put(name, value)


@asynccontextmanager
async def machine(engine: Engine, values: dict[str, str] | None = None, secret: str = ONE) -> AsyncIterator[Machine]:
    way, kept = WayToEngine(engine), Kept({} if values is None else values)
    shared = EngineSettings(way, Cipher(secret))
    async with guarded_tasks() as tasks:
        tasks.supervise(lambda: shared.run(kept), "settings")
        await asyncio.sleep(SOON_S)
        yield Machine(way, shared, kept)


def test_what_is_set_on_one_machine_is_set_on_all() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine) as a, machine(engine) as b:
            await a.set(LINE, "first")
            await asyncio.sleep(SOON_S)
            await b.set(LINE, "second")
            await b.set(INSTALLATION, "ours")
            await asyncio.sleep(SOON_S)
            assert a.kept.values == b.kept.values == {LINE: "second", INSTALLATION: "ours"}
            await a.set(LINE, None)
            await asyncio.sleep(SOON_S)
            assert b.kept.values == {INSTALLATION: "ours"}
            await b.set(LINE, "again")
            await asyncio.sleep(SOON_S)
            assert a.kept.values[LINE] == "again"
        assert a.kept.told == [(LINE, "second"), (INSTALLATION, "ours"), (LINE, "again")]  # not its own

    run(scene)


def test_a_machine_that_joins_has_what_the_others_have() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "of a", INSTALLATION: "ours"}) as a:
            async with machine(engine, {LINE: "of b", OTHER: "b has more"}) as b:
                await asyncio.sleep(SOON_S)
                assert a.kept.values == b.kept.values == {LINE: "of a", INSTALLATION: "ours", OTHER: "b has more"}
                await b.set(OTHER, None)
                await asyncio.sleep(SOON_S)
            async with machine(engine, {LINE: "old", OTHER: "removed while it was away"}) as b:
                await asyncio.sleep(SOON_S)
                assert b.kept.values == a.kept.values == {LINE: "of a", INSTALLATION: "ours"}

    run(scene)


def test_while_nats_is_away_nothing_is_changed() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "first"}) as a, machine(engine) as b:
            b.way.away = True
            with pytest.raises(NotShared, match="NATS has not answered"):
                await b.shared.keep(LINE, "second")
            await a.set(LINE, "third")
            b.way.away = False
            await asyncio.sleep(QUIET_S + AGAIN_S + SOON_S)
            assert b.kept.values == {LINE: "third"}
            await b.set(LINE, "fourth")
            await asyncio.sleep(SOON_S)
            assert a.kept.values == {LINE: "fourth"}

    run(scene)


def test_a_change_that_arrived_though_nobody_said_so_counts() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "first"}) as a, machine(engine) as b:
            a.way.acknowledges = False
            with pytest.raises(NotShared):
                await a.shared.keep(LINE, "second")
            a.way.acknowledges = True
            await asyncio.sleep(SOON_S)
            assert a.kept.values == b.kept.values == {LINE: "second"}
            await a.set(LINE, "third")

    run(scene)


def test_of_two_changes_at_once_one_is_refused() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "first"}) as a, machine(engine) as b:
            done = await asyncio.gather(a.set(LINE, "of a"), b.set(LINE, "of b"), return_exceptions=True)
            (refused,) = [each for each in done if each is not None]
            assert isinstance(refused, NotShared)
            assert "Another machine has changed this" in str(refused)
            await asyncio.sleep(SOON_S)
            assert a.kept.values == b.kept.values
            await b.set(LINE, "of b after all")
            await asyncio.sleep(SOON_S)
            assert a.kept.values == {LINE: "of b after all"}

    run(scene)


def test_nothing_is_written_over_that_was_not_taken_over() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "first"}) as a, machine(engine) as b:
            b.way.tells = False
            await a.set(LINE, "second")
            for _ in range(2):
                with pytest.raises(NotShared, match="Another machine has changed this"):
                    await b.set(LINE, "of b")
            b.way.tells = True
            await asyncio.sleep(QUIET_S + SOON_S)
            async with b.kept.changing:
                await a.set(LINE, "third")
                await asyncio.sleep(SOON_S)
                with pytest.raises(NotShared, match="Another machine has changed this"):
                    await b.shared.keep(LINE, "of b")  # which was begun before it could be taken over
            await asyncio.sleep(SOON_S)
            assert a.kept.values == b.kept.values == {LINE: "third"}
            b.kept.error = LeftOut()
            await a.set(LINE, "fourth")
            await asyncio.sleep(SOON_S)
            with pytest.raises(NotShared, match="Another machine has changed this"):
                await b.shared.keep(LINE, "of b")
            b.kept.error = LeftOut(message("Upgrade it."))
            await a.set(LINE, "fifth")
            await asyncio.sleep(SOON_S)
            for value in ("of b", None):
                with pytest.raises(NotShared, match=r"Upgrade it\."):
                    await b.shared.keep(LINE, value)
            assert a.kept.values == {LINE: "fifth"}
            b.kept.error = None
            await asyncio.sleep(QUIET_S + SOON_S)
            await b.set(LINE, "of b, which can use it now")
        assert FAILURES.count == 0

    run(scene)


@pytest.mark.parametrize("later_s", [0.0, QUIET_S + AGAIN_S + SOON_S])
def test_servers_that_have_lost_everything_are_told_again(later_s: float) -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "first", OTHER: "too"}) as a, machine(engine) as b:
            for number in range(5):
                await a.set(LINE, str(number))
            engine.lose_everything()
            await asyncio.sleep(later_s)
            await b.set(LINE, "after")
            await asyncio.sleep(2 * QUIET_S)
            async with machine(engine) as c:
                assert a.kept.values == b.kept.values == c.kept.values == {LINE: "after", OTHER: "too"}

    run(scene)


def test_another_secret_is_told_of_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine, {LINE: "first"}), machine(engine, {LINE: "own"}, secret=ANOTHER) as b:
            await asyncio.sleep(3 * QUIET_S)
            assert b.kept.values == {LINE: "own"}

    with caplog.at_level(logging.ERROR):
        run(scene)
    assert caplog.text.count("see that `secret` under [cluster] is the same on each machine") == 1


def test_a_setting_that_fails_does_not_hold_up_the_others() -> None:
    async def scene() -> None:
        engine = Engine()
        async with machine(engine) as a, machine(engine) as b:
            b.kept.error = OSError("disk full")
            await a.set(LINE, "first")
            await asyncio.sleep(SOON_S)
            assert FAILURES.count == 1
            b.kept.error = None
            await a.set(OTHER, "second")
            await asyncio.sleep(QUIET_S + SOON_S)
            assert b.kept.values == {LINE: "first", OTHER: "second"}  # tried once more

    run(scene)


def test_what_is_in_nats_can_not_be_read_or_moved() -> None:
    sealed = Cipher(ONE).seal("79990000001", "api_hash")
    assert b"api_hash" not in sealed
    assert Cipher(ONE).open("79990000001", sealed) == "api_hash"
    for cipher, key in ((Cipher(ANOTHER), "79990000001"), (Cipher(ONE), "79990000009")):
        with pytest.raises(NotOurs):
            cipher.open(key, sealed)
    assert Cipher(ONE).hidden("user:anna") == Cipher(ONE).hidden("user:anna") != Cipher(ANOTHER).hidden("user:anna")
    assert re.fullmatch(r"[0-9a-f]{64}", Cipher(ONE).hidden("user:anna"))
