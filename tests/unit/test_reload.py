"""The configuration file is read again: what the next call follows, and what needs a restart."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from ari_app.app.configured import installation_defaults
from ari_app.calls.audio import AudioSettings
from ari_app.calls.registry import CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.config import AsteriskSettings, Settings
from ari_app.lines.installation import Installation
from ari_app.lines.settings import SettingRefused
from ari_app.reload import RELOADED, Reload
from ari_app.store.store import open_store
from ari_app.suggest import dotted_keys

SECRET = SecretStr("a secret")


class Pool:
    """What media processes are told."""

    def __init__(self) -> None:
        self.uses: list[tuple[int, float]] = []

    def use(self, warm: int, orphan_grace_s: float) -> None:
        self.uses.append((warm, orphan_grace_s))


def settings(folder: Path, **sections: Any) -> Settings:
    asterisk = AsteriskSettings(password=SECRET, **sections.pop("asterisk", {}))
    return Settings(asterisk=asterisk, state_dir=folder, **sections)


@pytest.fixture(autouse=True)
def root_level() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


class Running:
    """What follows the file."""

    def __init__(self, folder: Path, installation: Installation) -> None:
        self.folder = folder
        self.installation = installation
        self.registry, self.pool = CallRegistry(), Pool()
        audio = AudioSettings(cast(Any, self.pool), cast(Any, SimpleNamespace()), "rtp", "127.0.0.1", 5.0, 8.0)
        self.resources = CallResources(cast(Any, None), audio, 90.0)
        began = settings(folder)
        self.reload = Reload(began, self.registry, self.resources, cast(Any, self.pool), installation)

    async def reads(self, **sections: Any) -> tuple[list[str], list[str]]:
        new = settings(self.folder, **sections)
        return await self.reload.take(new, installation_defaults(new))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    async with open_store(folder / "astergram.db") as store:
        installation = Installation(store, installation_defaults(settings(folder)))
        await installation.load()
        yield Running(folder, installation)


def test_what_is_reloaded_are_settings() -> None:
    assert {*Settings.model_fields, *dotted_keys(Settings)} >= RELOADED


async def test_a_file_that_says_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as its:
        assert await its.reads() == ([], [])
        assert its.pool.uses == []


async def test_what_the_next_call_follows(tmp_path: Path) -> None:
    calls = {"max_calls": 3, "cpu_percent": 50, "ring_s": 20.0, "connect_s": 3.0, "drain_offers": "leave"}
    async with running(tmp_path) as its:
        taken, restart = await its.reads(
            log_level="DEBUG", company="Acme", calls=calls, asterisk={"away_s": 3.0}, media={"warm": 0, "orphan_s": 9.0}
        )
        assert restart == []
        assert {*taken} == {
            "log_level",
            "company",
            "asterisk.away_s",
            *(f"calls.{key}" for key in calls),
            "media.warm",
            "media.orphan_s",
        }
        assert logging.getLogger().level == logging.DEBUG
        assert its.installation.settings.company == "Acme"
        limits = its.registry.admission.capacity.limits
        assert (limits.max_calls, limits.cpu_percent) == (3, 50)
        assert its.registry.drain.leaves_offers
        audio = its.resources.audio
        assert (its.resources.ring_s, audio.connect_s, audio.away_s) == (20.0, 3.0, 3.0)
        assert its.pool.uses == [(0, 9.0)]


async def test_what_needs_a_restart_is_said_each_time(tmp_path: Path) -> None:
    """Also secrets, whose values are told nowhere; and a section that is there now."""
    ami = {"user": "astergram", "password": "another secret"}
    async with running(tmp_path) as its:
        for _ in range(2):
            taken, restart = await its.reads(ami=ami, web={"port": 9000}, asterisk={"app": "other"})
            assert taken == []
            assert restart == ["asterisk.app", "ami", "web.port"]
        assert await its.reads() == ([], [])  # as at the start


async def test_it_is_compared_with_what_was_read_last(tmp_path: Path) -> None:
    async with running(tmp_path) as its:
        assert await its.reads(company="Acme") == (["company"], [])
        assert await its.reads(company="Acme") == ([], [])
        assert await its.reads() == (["company"], [])
        assert its.installation.settings.company == ""


async def test_what_is_set_on_the_page_stays(tmp_path: Path) -> None:
    async with running(tmp_path) as its:
        followed = []

        async def follow() -> None:
            followed.append(its.installation.settings.company)

        its.installation.on_change(follow)
        await its.installation.change({"company": "Of the page"})
        await its.reads(company="Of the file")
        assert its.installation.settings.company == "Of the page"
        assert followed == ["Of the page"]
        await its.installation.change({"company": None})
        assert its.installation.settings.company == "Of the file"


async def test_defaults_that_are_refused_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as its:

        async def refuse(defaults: object) -> None:
            raise SettingRefused

        monkeypatch.setattr(its.installation, "use_defaults", refuse)
        with pytest.raises(SettingRefused):
            await its.reads(company="Acme", calls={"max_calls": 3})
        assert its.registry.admission.capacity.limits.max_calls == 0
        monkeypatch.undo()
        assert (await its.reads(company="Acme", calls={"max_calls": 3}))[0] == ["company", "calls.max_calls"]


def test_the_page_names_what_is_reloaded() -> None:
    page = (Path(__file__).parents[2] / "docs/service.md").read_text()
    told = page.partition("## What a reload reads\n")[2].partition("##")[0]
    assert [key for key in sorted(RELOADED) if f"`{key.rpartition('.')[2]}`" not in told] == []
