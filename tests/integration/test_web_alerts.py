"""Alerts on the page, by the API and on the command line."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.alerts.alerts import Alerts
from ari_app.alerts.book import AlertCondition, AlertKind
from ari_app.i18n import message
from tests.integration.command import done, refused
from tests.integration.test_cli import written
from tests.integration.web_helpers import Site, form_in, held_to_its_document, program, signed_in, site, user

HERE, ALL = "/settings/alerts", "/alerts"
SAID = "Only 7 MB are free on the disk of /var."


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "state").mkdir()
    async with site(tmp_path / "state") as served:
        yield served


async def opened(page: Site, *more: AlertCondition) -> Alerts:
    """The page's alerts, of which one is open: the disk's."""
    alerts = page.services.alerts
    await alerts.part.change({"disk_free_mb": 0})
    said = message("Only {free} MB are free on the disk of {folder}.", free=7, folder="/var")
    conditions = [AlertCondition(AlertKind.DISK, "", said), *more]
    alerts._book.look(conditions, page.clock.now)
    alerts._on_change()
    return alerts


async def test_who_is_told_is_set_and_tested_on_the_page(page: Site) -> None:
    alerts = page.services.alerts
    async with signed_in(page) as admin:
        first = await admin.get(HERE)
        nobody = await admin.post(f"{HERE}/test")
        assert (nobody.status, "Nobody is told of alerts yet" in nobody.text) == (409, True)
        fields = form_in(first, HERE) | {"mail_to": "anna@example.com\r\nboris@example.com", "mail_port": "x"}
        wrong = await admin.post(HERE, fields)
        assert (wrong.status, "boris@example.com" in wrong.text, "Enter a number." in wrong.text) == (422, True, True)
        fields |= {"mail_port": "1", "mail_host": "127.0.0.1", "mail_from": "pbx@example.com", "mail_user": "pbx"}
        saved = await admin.post(HERE, fields | {"mail_password": "a secret word", "red_minutes": "0.5"})
        assert (saved.status, "Saved." in saved.text, "a secret word" in saved.text) == (200, True, False)
        its = alerts.part.settings
        assert (its.mail_to, its.red_minutes) == (("anna@example.com", "boris@example.com"), 0.5)
        moved = form_in(await admin.get(HERE), HERE) | {"mail_host": "localhost"}
        refused = await admin.post(HERE, moved)
        assert (refused.status, "It was entered for another server" in refused.text) == (422, True)
        assert "Saved." in (await admin.post(HERE, moved | {"mail_password": "a secret word"})).text
        late = await admin.post(HERE, fields | {"red_minutes": "3"})
        assert (late.status, "Somebody else has" in late.text) == (412, True)
        tested = await admin.post(f"{HERE}/test")
        assert (tested.path, tested.text.count("anna@example.com") >= 2) == (HERE, True)
        await alerts.outbox.send_due()
        shown = await admin.get(f"{HERE}/deliveries", headers={"HX-Request": "true"})
        assert shown.text.count("Connection refused") == 2
        assert "Alerts do not get through by mail: Connection refused." in (await admin.get("/")).text
        audit = (await admin.get("/audit")).text
        assert "Settings of alerts changed" in audit
        assert "a secret word" not in audit


async def test_what_is_open_is_shown_and_muted_by_an_operator_and_only_looked_at_by_a_viewer(page: Site) -> None:
    alerts = await opened(page)
    async with user(page, "viewer") as viewer, user(page, "operator") as operator:
        for path in ("/", ALL, f"{ALL}/list"):
            assert SAID in (await viewer.get(path)).text
        assert 'action="/alerts/mute"' not in (await viewer.get(ALL)).text
        assert (await viewer.post("/alerts/mute", {"hours": "1"})).status == 403
        assert (await operator.get(HERE)).status == 403
        await operator.get(ALL)
        [alert] = alerts.open
        muted = await operator.post("/alerts/mute", {"alert": alert.id, "hours": "8"})
        assert (muted.path, "nobody is told" in muted.text) == (ALL, True)
        [mute] = alerts.mutes
        assert (mute.kind, mute.until, mute.who) == ("disk", page.clock.now + 8 * 3600, "the-operator")
        assert (await operator.post("/alerts/mute", {"alert": "0" * 12, "hours": "8"})).status == 404
        assert (await operator.post("/alerts/mute", {"hours": "forever"})).status == 422
        assert (await operator.post(f"/alerts/mutes/{mute.id}/end")).path == ALL
        assert (await operator.post(f"/alerts/mutes/{mute.id}/end")).status == 404
    assert alerts.mutes == []


async def test_who_is_told_and_can_not_be_reached_is_not_shown_to_viewers(page: Site) -> None:
    alerts = page.services.alerts
    await alerts.part.change({"telegram_to": ["+79990000002"]})
    await alerts.test()
    alerts.outbox.queues["telegram"].error = "+79990000002 was not found"
    said = "Alerts do not get through by Telegram"
    async with user(page, "viewer") as viewer, user(page, "administrator") as admin:
        assert f"{said}: +79990000002 was not found." in (await admin.get("/")).text
        for path in ("/", "/overview/trouble", "/api/alerts"):
            shown = (await viewer.get(path)).text
            assert (f"{said}." in shown, "79990000002" in shown) == (True, False), path
    async with program(page) as cli:
        found = await (await cli.get("/api/alerts")).json()
        assert found["trouble"] == f"{said}: +79990000002 was not found."


async def test_what_is_over_stays_to_be_seen(page: Site) -> None:
    alerts = await opened(page)
    for _ in range(2):
        page.clock.now += 90
        await alerts.look()
    async with signed_in(page, Accept_Language="ru") as admin:
        shown = (await admin.get(ALL)).text
        assert "На диске с /var свободно только 7 МБ." in shown
        assert "1:30" in shown


async def test_the_api(page: Site) -> None:
    await opened(page)
    async with program(page) as cli:
        found = await (await cli.get("/api/alerts")).json()
        [alert] = found["open"]
        assert (alert["sentence"], alert["kind"], alert["line"], alert["muted"]) == (SAID, "disk", "", False)
        muted = await (await cli.ask("POST", "/api/alerts/mutes", json={"alert": alert["id"]})).json()
        assert (muted["until"], muted["kind"]) == (None, "disk")
        assert (await cli.ask("DELETE", f"/api/alerts/mutes/{muted['id']}")).status == 204
        assert (await cli.ask("DELETE", f"/api/alerts/mutes/{muted['id']}")).status == 404
        assert (await cli.ask("POST", "/api/alerts/test")).status == 409
        changes: dict[str, Any] = {"telegram_to": ["@anna"], "mail_user": "us", "mail_password": "a secret word"}
        changed = await cli.ask("PATCH", "/api/alerts/settings", json=changes)
        assert (changed.status, (await changed.json())["mail_password"]) == (200, "set")
        stale = await cli.ask("PATCH", "/api/alerts/settings", json={"red_minutes": 1}, headers={"If-Match": '"old"'})
        assert stale.status == 412
        assert (await cli.ask("PATCH", "/api/alerts/settings", json={"mail_to": ["x"]})).status == 422
        sent = await (await cli.ask("POST", "/api/alerts/test")).json()
        assert [(each["by"], each["to"], each["state"]) for each in sent] == [("telegram", "@anna", "waiting")]
        assert (await (await cli.get("/api/alerts/deliveries")).json())[0]["id"] == sent[0]["id"]


@pytest.mark.timeout(180)
async def test_the_api_keeps_to_its_document(page: Site, tmp_path: Path) -> None:
    await opened(page)
    await held_to_its_document(page, tmp_path, "^/api/alerts", "--exclude-checks", "positive_data_acceptance")


async def test_the_command_line(page: Site, tmp_path: Path) -> None:
    config = written(tmp_path / "state")
    alerts = await opened(page)
    [alert] = alerts.open
    assert SAID in await done("alerts", "list", "--config", config)
    said = await done("alerts", "mute", alert.id, "--hours", "2", "--config", config)
    [mute] = re.findall(r"unmute (\w+)", said)
    assert f"({mute})" in await done("alerts", "list", "--config", config)
    await done("alerts", "unmute", mute, "--config", config)
    assert "Nobody is told" in await refused(1, "alerts", "test", "--config", config)
    await done("alerts", "settings", 'telegram_to=["@anna"]', "mail_port=25", "--config", config)
    shown = json.loads(await done("alerts", "settings", "--json", "--config", config))
    assert (shown["telegram_to"], shown["mail_port"]) == (["@anna"], 25)
    assert "did you mean" in await refused(1, "alerts", "settings", "mail_prot=25", "--config", config)
    assert "tests are being sent: 1" in await done("alerts", "test", "--config", config)
    assert "@anna" in await done("alerts", "deliveries", "--config", config)
