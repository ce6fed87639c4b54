"""What can't be taken over from another machine is left out, said once, and not written over."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_app.cluster.shared_settings import Cipher, EngineSettings, LeftOut, NotShared
from ari_app.lines.followed import FollowedSettings
from ari_app.lines.installation import SHARED_NAME, Installation, InstallationSettings
from ari_app.lines.settings import LineSettings
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.unit.fake_ari import eventually
from tests.unit.test_line_manager import LINE, OTHER, World, at_work

NEWER = {"number": LINE, "name": "Sales", "secret_of_a_newer_version": "hidden"}


class Refusing:
    """Lines and an installation that nothing fits."""

    def __init__(self) -> None:
        self.error: Exception | None = ValueError("of_a_newer_version")

    async def follow(self, *what: Any) -> None:
        if self.error:
            raise self.error


async def test_it_is_said_once_until_it_can_be_used(caplog: pytest.LogCaptureFixture) -> None:
    refusing: Any = Refusing()
    settings = FollowedSettings(refusing, refusing)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            for name in (LINE, SHARED_NAME):
                with pytest.raises(LeftOut):
                    await settings.follow(name, "{}")
        refusing.error = ValueError("something else")
        with pytest.raises(LeftOut, match=f"for line \\{LINE} that this one can't use .* upgrade Astergram"):
            await settings.follow(LINE, "{}")
        with pytest.raises(LeftOut, match=r"for the installation that this one can't use .* upgrade Astergram"):
            await settings.follow(SHARED_NAME, "{}")
        said = [record.getMessage() for record in caplog.records]
        named = [text.partition(" stays")[0].rpartition(" ")[2] for text in said]
        assert named == [LINE, SHARED_NAME, LINE, SHARED_NAME]
        assert "of_a_newer_version" in said[0] and "something else" in said[2]
        refusing.error = None
        await settings.follow(LINE, "{}")
        assert set(settings.left_out) == {SHARED_NAME}


class Newer:
    """A machine of a later version, which has a line and an installation that this one does not understand."""

    def __init__(self) -> None:
        self.values: dict[str, str | None] = {
            LINE: json.dumps(NEWER),
            SHARED_NAME: '{"company": "Acme", "of_a_newer_version": "1"}',
        }

    async def all(self) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if value is not None}

    async def follow(self, name: str, value: str | None) -> None:
        self.values[name] = value


@asynccontextmanager
async def two_versions(folder: Path) -> AsyncIterator[tuple[World, Installation, EngineSettings, Newer]]:
    """This machine has the line as an earlier version had it; last: the other machine, and its way to NATS."""
    engine, newer = Engine(), Newer()
    ours, theirs = (EngineSettings(WayToEngine(engine), Cipher("ours")) for _ in range(2))
    world = World(folder)
    async with (
        at_work(world, folder),
        open_store(folder / "installation.db") as store,
        guarded_tasks() as tasks,
    ):
        installation = Installation(store, InstallationSettings())
        installation.share(ours)
        tasks.supervise(lambda: theirs.run(newer), "the other machine")
        await eventually(lambda: len(engine.entries) == 2)
        followed = FollowedSettings(world.book, installation)
        world.book._shared = ours
        tasks.supervise(lambda: ours.run(followed), "this one")
        await eventually(lambda: set(followed.left_out) == {LINE, SHARED_NAME})
        yield world, installation, theirs, newer


async def test_what_a_newer_version_has_set_is_not_written_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_versions(tmp_path) as (world, installation, theirs, newer):
        before = {name: newer.values[name] for name in (LINE, SHARED_NAME)}
        refused = pytest.raises(NotShared, match="so nothing was changed: upgrade Astergram on this machine")
        with refused:
            await world.book.change(LINE, {"name": "Support"})
        with refused:
            await world.book.remove(LINE)
        with refused:
            await installation.change({"company": "Other"})
        assert world.book.settings(LINE).name == "" and installation.settings.company == ""
        await world.book.change(OTHER, {"name": "Others may be changed"})
        await eventually(lambda: OTHER in newer.values)
        assert {name: newer.values[name] for name in before} == before
        assert "secret_of_a_newer_version" in caplog.text and "hidden" not in caplog.text
        # Once it can be used, it can be changed.
        await theirs.keep(LINE, LineSettings.of({"number": LINE, "name": "Sales"}).stored())
        await eventually(lambda: world.book.settings(LINE).name == "Sales")
        async with asyncio.timeout(10):
            await world.book.change(LINE, {"name": "Support"})
        await eventually(lambda: "Support" in (newer.values[LINE] or ""))
