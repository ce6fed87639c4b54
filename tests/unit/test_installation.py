"""What is set for the whole installation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.cluster.shared_settings import NotShared
from ari_app.lines import installation as module
from ari_app.lines.installation import BotUntried, Installation, InstallationSettings
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.store.store import Store, open_store
from ari_app.telegram.bot_api import BotApiError, Introduction, Throttled, TokenRefused
from ari_app.telegram.proxy import Proxy
from tests.other_machines import OtherMachines

TOKEN, WRONG = "123:good", "123:wrong"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


async def introduced(token: str, proxy: Proxy | None) -> Introduction:
    if token == WRONG:
        raise TokenRefused("Unauthorized")
    return Introduction("astergram_bot", True)


def token_of(installation: Installation) -> str:
    token = installation.settings.bot_token
    return token.get_secret_value() if token else ""


async def test_a_token_that_telegram_knows_is_kept(store: Store) -> None:
    installation = Installation(store, InstallationSettings(), introduced)
    introduction = await installation.change({"bot_token": TOKEN})
    assert introduction
    assert introduction.username == "astergram_bot"
    assert token_of(installation) == TOKEN
    assert await installation.change({"company": "Acme"}) is None


async def test_what_is_wrong_is_told_together(store: Store) -> None:
    installation = Installation(store, InstallationSettings(), introduced)
    await installation.change({"bot_token": TOKEN})
    with pytest.raises(SettingRefused) as refused:
        await installation.change({"bot_token": WRONG, "company": "Acme"})
    assert [each.key for each in refused.value.wrong] == ["bot_token"]
    assert (token_of(installation), installation.settings.company) == (TOKEN, "")


@pytest.mark.parametrize("error", [BotApiError("no route"), Throttled("Too Many Requests", 30.0)])
async def test_a_token_that_cannot_be_tried_is_kept_only_if_asked_to(store: Store, error: BotApiError) -> None:
    async def unreachable(token: str, proxy: Proxy | None) -> Introduction:
        raise error

    installation = Installation(store, InstallationSettings(), unreachable)
    with pytest.raises(BotUntried, match=str(error)):
        await installation.change({"bot_token": TOKEN})
    assert token_of(installation) == ""
    await installation.change({"bot_token": TOKEN}, untried=True)
    assert token_of(installation) == TOKEN
    await installation.change({"bot_token": TOKEN})  # which is the same one
    await installation.change({"bot_token": ""})
    assert token_of(installation) == ""


async def test_telegram_that_never_answers_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(token: str, proxy: Proxy | None) -> Introduction:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "TRY_S", 0.05)
    installation = Installation(store, InstallationSettings(), silent)
    with pytest.raises(BotUntried, match="no answer"):
        await installation.change({"bot_token": TOKEN})


async def test_what_others_change_while_a_token_is_tried_stays(store: Store) -> None:
    trying, go_on = asyncio.Event(), asyncio.Event()

    async def slow(token: str, proxy: Proxy | None) -> Introduction:
        trying.set()
        await go_on.wait()
        return Introduction("astergram_bot", True)

    installation = Installation(store, InstallationSettings(), slow)
    read = {version_of(installation.settings)}
    change = asyncio.create_task(installation.change({"bot_token": TOKEN}, read))
    await trying.wait()
    await installation.change({"company": "Acme"})
    go_on.set()
    with pytest.raises(SettingsChanged):
        await change
    assert (token_of(installation), installation.settings.company) == ("", "Acme")


@pytest.mark.parametrize("secret", ["turn_password", "turn_secret"])
async def test_a_secret_goes_to_no_server_but_the_one_that_it_was_entered_for(store: Store, secret: str) -> None:
    of_file = InstallationSettings.model_validate({"turn_server": "turn.example.com:3478", secret: "of the file"})
    installation = Installation(store, of_file)
    with pytest.raises(SettingRefused, match=f"{secret}: It was entered for another server"):
        await installation.change({"turn_server": "evil.example:3478"})
    await installation.change({"turn_server": "turn2.example.com:3478", secret: "another"})
    with pytest.raises(SettingRefused):
        await installation.change({secret: None})  # the file's would go to what is no server of the file's
    await installation.change({"turn_use": "only"})
    await installation.change({"turn_server": None, secret: None})
    assert installation.settings.turn_server == "turn.example.com:3478"
    await installation.change({"turn_server": "turn3.example.com:3478", secret: ""})


async def test_all_machines_of_a_cluster_have_the_same(store: Store, tmp_path: Path) -> None:
    others, installation = OtherMachines(), Installation(store, InstallationSettings(timezone="Europe/Rome"))
    installation.share(others)
    assert await installation.stored() is None
    await installation.change({"company": "Acme", "history_days": 30})
    await installation.change({"bot_token": TOKEN, "history_days": None})
    name, stored = others.told[-1]
    assert (name, stored) == ("installation", await installation.stored())
    assert stored
    others.away = True
    with pytest.raises(NotShared):
        await installation.change({"company": "Nobody"})
    assert installation.settings.company == "Acme"

    async with open_store(tmp_path / "other.db") as other_store:
        follows, other = 0, Installation(other_store, InstallationSettings(timezone="Asia/Tokyo"))

        async def followed() -> None:
            nonlocal follows
            follows += 1

        other.on_change(followed)
        await other.change({"company": "Other", "turn_user": "me"})
        for _ in range(2):  # what is the same already changes nothing
            await other.follow(stored)
        assert follows == 2
        settings = other.settings
        assert (settings.company, settings.token, settings.turn_user) == ("Acme", TOKEN, "")
        assert settings.timezone == "Asia/Tokyo"  # of each machine's own configuration file
        for unusable in ("nothing", '{"turn_server": "no port"}', '{"of_a_newer_version": "1"}'):
            with pytest.raises((ValueError, SettingRefused)):
                await other.follow(unusable)
        assert other.settings == settings
