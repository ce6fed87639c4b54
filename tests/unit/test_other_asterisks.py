"""The Asterisks of other machines: which are connected, and what becomes of that when a machine says something else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest

from ari_app.app.asterisk import StasisApplication
from ari_app.app.other_asterisks import OfferedAsterisk, OtherAsterisks
from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls.resources import CallResources
from ari_app.cluster.shared_settings import Cipher, EngineSettings
from ari_app.tasks import GuardedTasks, guarded_tasks
from media.types import AriLogin
from tests.fake_engine import Engine, WayToEngine
from tests.other_machines import OtherMachines
from tests.unit.fake_ari import PHONE, FakeAri, eventually, fake_ari

SECRET = "of pbx-1's Asterisk"


def offered(ari: FakeAri, **change: str) -> OfferedAsterisk:
    its: dict[str, Any] = {"url": ari.url, "user": "user", "password": SECRET, "app": "telegram", "transport": "rtp"}
    return OfferedAsterisk(**(its | change))


class Followed:
    """What another machine has been told."""

    def __init__(self) -> None:
        self.values: dict[str, str | None] = {}

    async def all(self) -> dict[str, str]:
        return {}

    async def follow(self, name: str, value: str | None) -> None:
        self.values[name] = value


class Rig:
    """Of the machine pbx-2; what it was given is in ``given``."""

    def __init__(self, tasks: GuardedTasks, own: OfferedAsterisk | None) -> None:
        self.shared = OtherMachines()
        self.given: list[tuple[list[str], CallResources]] = []
        self.logins: list[AriLogin] = []
        self.asterisks = OtherAsterisks(
            "pbx-2", own, self.shared, EventBus(), self.takes, self.resources, frozenset, tasks
        )

    def takes(self, start: StasisStart, resources: CallResources, tasks: GuardedTasks) -> None:
        self.given.append((start.args, resources))

    def resources(self, its: StasisApplication, login: AriLogin) -> CallResources:
        self.logins.append(login)
        return CallResources(its.ari, cast(Any, None), 30.0)

    async def reaches(self, *machines: str) -> None:
        await eventually(lambda: self.asterisks.reached() == machines)


@asynccontextmanager
async def rig(own: OfferedAsterisk | None = None) -> AsyncIterator[Rig]:
    async with guarded_tasks() as tasks:
        yield Rig(tasks, own)


async def test_a_channel_of_another_machine_is_taken_with_its_asterisk() -> None:
    async with fake_ari() as ari, rig() as its:
        await its.asterisks.follow("pbx-1", offered(ari).model_dump_json())
        await its.reaches("pbx-1")
        await ari.event(STASIS_START, channel=PHONE, args=["@anna", "card=no"])
        await eventually(lambda: bool(its.given))
        ((args, resources),) = its.given
        assert args == ["@anna", "card=no"]
        assert (resources.ari.app, resources.ari.machine) == ("telegram@pbx-2", "pbx-1")
        assert its.logins == [AriLogin(ari.url, "user", SECRET)]
        assert await its.asterisks.resources("pbx-1", 5.0) is resources


async def test_an_asterisk_that_is_offered_no_more_is_let_go_of() -> None:
    async with fake_ari() as ari, rig() as its:
        await its.asterisks.follow("pbx-1", offered(ari).model_dump_json())
        await its.reaches("pbx-1")
        assert its.asterisks.offers() == {"pbx-1": offered(ari)}
        await its.asterisks.follow("pbx-1", None)
        await its.reaches()
        assert its.asterisks.offers() == {}
        assert await its.asterisks.resources("pbx-1", 0.01) is None


async def test_another_address_is_connected_to_instead() -> None:
    async with fake_ari() as before, fake_ari() as after, rig() as its:
        await its.asterisks.follow("pbx-1", offered(before).model_dump_json())
        await its.reaches("pbx-1")
        await its.asterisks.follow("pbx-1", offered(before).model_dump_json())
        await its.asterisks.follow("pbx-1", offered(after).model_dump_json())
        await eventually(lambda: len(its.logins) == 2)
        await its.reaches("pbx-1")
    assert [each.url for each in its.logins] == [before.url, after.url]


async def test_what_is_not_understood_is_left_out_and_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with fake_ari() as ari, rig() as its:
        with caplog.at_level(logging.DEBUG):
            await its.asterisks.follow("pbx-1", offered(ari).model_dump_json().replace('"rtp"', '"pigeons"'))
            await its.asterisks.follow("pbx-3", offered(ari).model_dump_json())
            await its.reaches("pbx-3")
    assert "the Asterisk of machine pbx-1 is left out" in caplog.text
    assert SECRET not in caplog.text


async def test_the_others_are_told_what_this_machine_offers_now() -> None:
    async with fake_ari() as ari:
        own = offered(ari)
        async with rig(own) as its:
            assert await its.asterisks.all() == {"pbx-2": own.model_dump_json()}
            await its.asterisks.follow("pbx-2", own.model_dump_json())
            assert its.shared.told == []
            its.shared.away = True
            await its.asterisks.follow("pbx-2", offered(ari, app="earlier").model_dump_json())
            await asyncio.sleep(0.01)
            its.shared.away = False
            await its.asterisks.follow("pbx-2", offered(ari, app="earlier").model_dump_json())
            await eventually(lambda: its.shared.told == [("pbx-2", own.model_dump_json())])
            assert its.asterisks.reached() == ()  # its own is none of the others'
    async with rig() as its:
        assert await its.asterisks.all() == {}
        await its.asterisks.follow("pbx-2", own.model_dump_json())
        await eventually(lambda: its.shared.told == [("pbx-2", None)])


async def test_what_an_earlier_run_has_told_is_written_over_at_once() -> None:
    engine, followed = Engine(), Followed()
    for app in ("earlier", "now"):
        own = OfferedAsterisk(url="http://a", user="user", password=SECRET, app=app, transport="rtp")
        async with guarded_tasks() as tasks:
            shared, others = (EngineSettings(WayToEngine(engine), Cipher("ours")) for _ in range(2))
            nothing: Any = None
            asterisks = OtherAsterisks("pbx-2", own, shared, EventBus(), nothing, nothing, frozenset, tasks)
            tasks.supervise(partial(shared.run, asterisks), "this machine")
            tasks.supervise(partial(others.run, followed), "another one")
            await eventually(lambda: followed.values.get("pbx-2") == own.model_dump_json())  # noqa: B023 - of this run


async def test_one_that_was_forgotten_and_is_back_tells_its_own_again() -> None:
    engine, followed = Engine(), Followed()
    own = OfferedAsterisk(url="http://a", user="user", password=SECRET, app="telegram", transport="rtp")
    nothing: Any = None

    async def life(until: str | None) -> None:
        async with guarded_tasks() as tasks:
            its = EngineSettings(WayToEngine(engine), Cipher("ours"))
            asterisks = OtherAsterisks("pbx-2", own, its, EventBus(), nothing, nothing, frozenset, tasks)
            tasks.supervise(partial(its.run, asterisks), "the machine")
            await eventually(lambda: followed.values.get("pbx-2") == until)

    async with guarded_tasks() as tasks:
        other = EngineSettings(WayToEngine(engine), Cipher("ours"))
        tasks.supervise(partial(other.run, followed), "one that forgets it")
        await life(own.model_dump_json())
        await other.keep("pbx-2", None)
        await eventually(lambda: followed.values["pbx-2"] is None)
        await life(own.model_dump_json())


async def test_of_an_asterisk_that_is_gone_the_log_says_once_why(caplog: pytest.LogCaptureFixture) -> None:
    async with fake_ari() as ari:
        gone = offered(ari)
    async with rig() as its:
        await its.asterisks.follow("pbx-1", gone.model_dump_json())
        await eventually(lambda: bool(its.logins))
        client = (await its.asterisks.resources("pbx-1", 5.0) or pytest.fail("it is known")).ari
        failures = 0
        while failures < 3:
            await client.wait_state(ConnectionState.CONNECTING)
            await client.wait_state(ConnectionState.WAITING)
            failures += 1
        said = [each for each in caplog.messages if "no connection to Asterisk" in each]
        assert len(said) == 1 and said[0].endswith("It is tried again until it is connected")


async def test_how_an_asterisk_is_reached_is_waited_for() -> None:
    async with fake_ari() as ari, rig() as its:
        asked = asyncio.ensure_future(its.asterisks.resources("pbx-1", 5.0))
        await asyncio.sleep(0)
        await its.asterisks.follow("pbx-1", offered(ari).model_dump_json())
        assert await asked is not None
