"""Two administrators at once: nobody undoes what somebody else has set, and whoever would is told."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector

from ari_app import api_client
from ari_app.cli import lines as cli_lines
from ari_app.cli import parser as cli_parser
from ari_app.cluster.shared_settings import NotShared, OwnSettings
from ari_app.i18n import message
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from tests.integration.web_helpers import Answer, Browser, form_in, signed_in
from tests.integration.web_lines import LINE, Lines, lines_site

HASH = "0123456789abcdef0123456789abcdef"
SETTINGS, TEXTS = f"/lines/{LINE}/settings", f"/lines/{LINE}/texts/en"
INSTALLATION = "/settings/installation"
API_SETTINGS = f"/api/lines/{LINE}/settings"


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[Lines]:
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        line = LineSettings.of({"number": LINE, "name": "Sales", "callers": ["101", "102"]})
        async with lines_site(tmp_path, telegram, [line], application=False) as served:
            yield served


@pytest.fixture
async def admin(lines: Lines) -> AsyncIterator[Browser]:
    async with signed_in(lines.site) as opened:
        yield opened


async def tab(admin: Browser, path: str, action: str = "") -> dict[str, str]:
    """Open a page in another tab: what its form would send."""
    return form_in(await admin.get(path), action or path)


def said_at(answer: Answer, field: str) -> str:
    """What stands below a field."""
    found = re.search(rf'id="about-{re.escape(field)}">(.*?)</div>', answer.text, re.S)
    assert found, answer.text
    return found[1]


# The page


async def test_two_tabs_do_not_undo_each_other(admin: Browser, lines: Lines) -> None:
    first, second = await tab(admin, SETTINGS), await tab(admin, SETTINGS)
    assert (await admin.post(SETTINGS, first | {"name": "Support"})).status == 200
    assert (await admin.post(SETTINGS, second | {"max_calls": "3", "default": "on"})).status == 200
    settings = lines.book.settings(LINE)
    assert (settings.name, settings.max_calls, settings.default) == ("Support", 3, True)
    assert settings.callers == ("101", "102")


async def test_a_tab_that_changes_nothing_undoes_nothing(admin: Browser, lines: Lines) -> None:
    first, second = await tab(admin, SETTINGS), await tab(admin, SETTINGS)
    await admin.post(SETTINGS, first | {"callers": "103", "default": "on", "api_id": "7", "api_hash": HASH})
    before = lines.book.settings(LINE)
    assert (await admin.post(SETTINGS, second)).status == 200
    assert lines.book.settings(LINE) == before


async def test_what_the_other_machines_could_not_be_told_is_refused_in_a_sentence(
    admin: Browser, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: OwnSettings, name: str, value: str | None) -> None:
        raise NotShared(message("NATS has not answered."))

    monkeypatch.setattr(OwnSettings, "keep", away)
    company = ("/settings", INSTALLATION, {"company": "Acme"})
    for page, form, change in ((SETTINGS, SETTINGS, {"name": "Support"}), company):
        answer = await admin.post(form, await tab(admin, page, form) | change)
        assert (answer.status, "NATS has not answered." in answer.text) == (503, True)
    assert lines.book.settings(LINE).name == "Sales"


async def test_the_same_field_in_two_tabs_is_shown_before_it_is_overwritten(admin: Browser, lines: Lines) -> None:
    first, second = await tab(admin, SETTINGS), await tab(admin, SETTINGS)
    await admin.post(SETTINGS, first | {"name": "Support", "default": "on", "language": "ru"})
    answer = await admin.post(SETTINGS, second | {"name": "Shop", "max_calls": "3", "language": "en"})
    assert answer.status == 412
    assert "Support" in said_at(answer, "name")
    assert lines.book.settings(LINE).name == "Support"
    assert lines.book.settings(LINE).max_calls == 1
    again = form_in(answer, SETTINGS)
    assert (again["name"], again["max_calls"], again["language"]) == ("Shop", "3", "ru")
    assert (await admin.post(SETTINGS, again)).status == 200
    settings = lines.book.settings(LINE)
    assert (settings.name, settings.max_calls, settings.default, settings.language) == ("Shop", 3, True, "ru")


async def test_a_secret_that_differs_is_not_shown(admin: Browser, lines: Lines) -> None:
    first, second = await tab(admin, SETTINGS), await tab(admin, SETTINGS)
    await admin.post(SETTINGS, first | {"api_id": "7", "api_hash": HASH})
    answer = await admin.post(SETTINGS, second | {"api_id": "7", "api_hash": HASH[::-1]})
    assert answer.status == 412
    assert said_at(answer, "api_hash")
    assert HASH not in answer.text
    assert HASH[::-1] not in answer.text
    hash = lines.book.settings(LINE).api_hash
    assert hash
    assert hash.get_secret_value() == HASH


async def test_two_tabs_with_the_texts(admin: Browser, lines: Lines) -> None:
    first, second = await tab(admin, TEXTS), await tab(admin, TEXTS)
    await admin.post(TEXTS, first | {"card": "Hi", "keypad": "Press"})
    assert (await admin.post(TEXTS, second | {"card_button": "Call!"})).status == 200
    texts = lines.book.settings(LINE).texts.en
    assert (texts.card, texts.keypad, texts.card_button) == ("Hi", "Press", "Call!")
    answer = await admin.post(TEXTS, second | {"card": "Hello", "keypad": "Press"})
    assert answer.status == 412
    assert "Hi" in said_at(answer, "card")
    assert "<textarea" in answer.text
    assert lines.book.settings(LINE).texts.en.card == "Hi"
    assert (await admin.post(TEXTS, form_in(answer, TEXTS))).status == 200
    assert lines.book.settings(LINE).texts.en.card == "Hello"


async def test_a_text_goes_back_to_its_default_beside_unsaved_ones(admin: Browser, lines: Lines) -> None:
    await admin.post(TEXTS, await tab(admin, TEXTS) | {"card": "Hi", "keypad": "Press"})
    answer = await admin.post(TEXTS, await tab(admin, TEXTS) | {"reset": "card", "keypad": "Not saved"})
    again = form_in(answer, TEXTS)
    assert again["keypad"] == "Not saved"
    assert lines.book.settings(LINE).texts.en.keypad == "Press"
    assert (await admin.post(TEXTS, again)).status == 200
    texts = lines.book.settings(LINE).texts.en
    assert (texts.card[:5], texts.keypad) == ("Hello", "Not saved")


async def test_two_tabs_with_the_installation(admin: Browser, lines: Lines) -> None:
    action, installation = "/settings/installation", lines.site.services.installation
    first, second = await tab(admin, "/settings", action), await tab(admin, "/settings", action)
    await admin.post(action, first | {"company": "Acme"})
    assert (await admin.post(action, second | {"api_id": "7"})).status == 200
    assert (installation.settings.company, installation.settings.api_id) == ("Acme", 7)
    answer = await admin.post(action, second | {"company": "Other", "api_id": "8"})
    assert answer.status == 412
    assert "Acme" in said_at(answer, "company")
    assert (installation.settings.company, installation.settings.api_id) == ("Acme", 7)
    assert (await admin.post(action, form_in(answer, action))).status == 200
    assert (installation.settings.company, installation.settings.api_id) == ("Other", 8)


# The API


async def patch(api: Browser, path: str, body: Any, version: str = "") -> Answer:
    return await api.ask("PATCH", path, json=body, headers={"If-Match": version} if version else {})


@pytest.mark.parametrize(
    ("path", "now", "sent"),
    [
        (API_SETTINGS, {"name": "Support", "card": {"missed": True}}, {"name": "Shop", "card": {"missed": True}}),
        ("/api/installation", {"company": "Acme", "api_id": 7}, {"company": "Other", "api_id": 7}),
    ],
)
async def test_the_api_changes_only_the_version_that_was_read(
    api: Browser, path: str, now: dict[str, Any], sent: dict[str, Any]
) -> None:
    read = (await api.get(path)).headers["ETag"]
    changed = await patch(api, path, now, read)
    assert changed.status == 200
    assert changed.headers["ETag"] not in ("", read)
    assert (await api.get(path)).headers["ETag"] == changed.headers["ETag"]
    refused = await patch(api, path, sent, read)
    problem = await refused.json()
    assert (refused.status, refused.headers["ETag"]) == (412, changed.headers["ETag"])
    (key,) = [each for each in now if now[each] != sent[each]]
    assert problem["differs"] == [{"where": key, "now": now[key], "sent": sent[key]}]
    assert (await (await api.get(path)).json())[key] == now[key]
    assert (await patch(api, path, sent, f'"other", {changed.headers["ETag"]}')).status == 200
    assert (await patch(api, path, now, "*")).status == 200
    assert (await patch(api, path, sent)).status == 200


async def test_a_version_outlives_a_change_and_its_opposite_but_tells_no_secret(api: Browser) -> None:
    read = (await api.get(API_SETTINGS)).headers["ETag"]
    with_secret = await patch(api, API_SETTINGS, {"api_hash": HASH})
    assert with_secret.headers["ETag"] != read
    refused = await patch(api, API_SETTINGS, {"api_hash": HASH[::-1]}, read)
    assert (await refused.json())["differs"] == [{"where": "api_hash", "now": "set", "sent": "set"}]
    assert HASH not in refused.text
    assert (await patch(api, API_SETTINGS, {"api_hash": None})).headers["ETag"] == read


# The command line


async def astergram(lines: Lines, *arguments: str) -> None:
    """`astergram ARGUMENTS`, on the running program."""
    options = cli_parser.parse(arguments)
    connector = UnixConnector(str(lines.site.socket))
    async with ClientSession(api_client.BASE, connector=connector) as session:
        await cli_lines.run(options, api_client.Api(session))


async def test_a_file_of_settings_that_is_too_old_is_refused(
    lines: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `show` has printed can be edited and set again, as long as nobody else has changed the line."""
    await lines.book.change(LINE, {"api_id": 7, "api_hash": HASH})
    await astergram(lines, "line", "show", LINE)
    file = tmp_path / "line.toml"
    file.write_text(capsys.readouterr().out.replace("Sales", "Shop"))
    assert HASH not in file.read_text()
    await lines.book.change(LINE, {"name": "Support"})
    with pytest.raises(api_client.RequestRefused) as refused:
        await astergram(lines, "line", "set", LINE, "--file", str(file))
    assert "name" in str(refused.value)
    assert "Support" in str(refused.value)
    assert lines.book.settings(LINE).name == "Support"
    await astergram(lines, "line", "show", LINE)
    file.write_text(capsys.readouterr().out.replace("Support", "Shop"))
    await astergram(lines, "line", "set", LINE, "--file", str(file))
    settings = lines.book.settings(LINE)
    assert settings.name == "Shop"
    assert settings.api_hash
    assert settings.api_hash.get_secret_value() == HASH
    await astergram(lines, "line", "set", LINE, "name=Sales")
    assert lines.book.settings(LINE).name == "Sales"
