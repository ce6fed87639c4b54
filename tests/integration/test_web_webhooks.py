"""Webhooks on the page, by the API and on the command line."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.pbx.events import TelegramCallEnded, TelegramCallOffered
from tests.integration.command import done, refused
from tests.integration.test_cli import written
from tests.integration.web_helpers import Site, form_in, held_to_its_document, program, signed_in, site
from tests.unit.fake_ari import eventually
from tests.unit.webhook_receiver import Receiver, receiver

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
HERE = "/settings/webhooks"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "state").mkdir()
    async with site(tmp_path / "state") as served:
        yield served


@pytest.fixture
async def its() -> AsyncIterator[Receiver]:
    async with receiver() as receiving:
        yield receiving


async def test_a_webhook_from_its_beginning_to_its_end(page: Site, its: Receiver) -> None:
    hooks = page.services.webhooks
    async with signed_in(page) as admin:
        assert HERE in (await admin.get("/settings")).text
        refused_page = await admin.post(HERE, {"url": "crm.example.com", "event.call.ended": "on"})
        assert (refused_page.status, "begins with https://" in refused_page.text) == (422, True)
        assert re.search(r'name="event.call.ended" value="on" checked', refused_page.text)

        added = await admin.post(HERE, {"url": its.url, "event.call.ended": "on"})
        [secret] = SECRET.findall(added.text)
        [outbox] = hooks.all()
        here = f"{HERE}/{outbox.row.id}"
        assert (outbox.row.events, outbox.row.enabled) == (("call.ended",), True)
        assert secret not in (await admin.get(here)).text

        hooks.put(TelegramCallOffered(call_id="1"))
        hooks.put(TelegramCallEnded(call_id="1", reason="<b>hung up</b>"))
        await admin.post(f"{here}/test")
        await eventually(lambda: hooks.delivered == 2)
        assert {each["type"] for each in its.verified(secret)} == {"call.ended", "test"}
        shown = await admin.get(f"{here}/deliveries", headers={"HX-Request": "true"})
        assert "&lt;b&gt;hung up" in shown.text
        assert shown.text.count("Delivered") == 2
        assert "call.ended" not in (await admin.get(f"{here}/deliveries?state=failed")).text
        delivery = re.findall(r'id="delivery-(\d+)"', shown.text)[0]
        assert (await admin.post(f"{here}/deliveries/{delivery}/send")).path == here
        await eventually(lambda: hooks.delivered == 3)
        assert len(set(its.ids)) == 2
        assert (await admin.post(f"{here}/deliveries/1/send")).status == 404

        fields = form_in(await admin.get(here), here)
        saved = await admin.post(here, {**fields, "event.message": "on"})
        assert (saved.status, "Saved." in saved.text) == (200, True)
        assert outbox.row.events == ("call.ended", "message")
        await hooks.change(outbox.row.id, {"url": f"{its.url}/elsewhere"})
        late = await admin.post(here, {**fields, "url": f"{its.url}/mine"})
        assert (late.status, f"{its.url}/elsewhere" in late.text) == (412, True)

        other = await admin.post(f"{here}/secret")
        assert SECRET.findall(other.text) == [outbox.row.secret] != [secret]
        assert (await admin.post(f"{here}/remove")).path == HERE
        assert (await admin.get(here)).status == 404
    assert hooks.all() == []


async def test_the_overview_says_which_takes_none(page: Site) -> None:
    await page.services.webhooks.add({"url": "http://127.0.0.1:1/hook"})
    page.services.webhooks.put(TelegramCallOffered(call_id="1"))
    await eventually(lambda: page.services.webhooks.trouble is not None)
    async with signed_in(page) as admin, program(page) as cli:
        assert "The webhook 127.0.0.1 takes no events" in (await admin.get("/")).text
        assert "Connection refused" in (await admin.get(HERE)).text
        status = (await (await cli.get("/api/status")).json())["webhooks"]
        assert (status["waiting"], status["lost"]) == (1, 0)
        assert "127.0.0.1" in status["trouble"]


async def test_a_page_of_deliveries_leads_to_the_older_ones(page: Site) -> None:
    hooks = page.services.webhooks
    row = await hooks.add({"url": "http://127.0.0.1:1/hook"})
    for number in range(60):
        hooks.put(TelegramCallOffered(call_id=str(number)))
    async with signed_in(page) as admin:
        first = await admin.get(f"{HERE}/{row.id}?state=waiting")
        [older] = re.findall(r'href="([^"]*before=\d+)"', first.text)
        second = await admin.get(older.replace("&amp;", "&"))
        seen = [re.findall(r'id="delivery-(\d+)"', each.text) for each in (first, second)]
        assert [len(each) for each in seen] == [50, 10]
        assert not set(seen[0]) & set(seen[1])


async def test_the_command_line(page: Site, its: Receiver, tmp_path: Path) -> None:
    config = written(tmp_path / "state")
    added = await done("webhook", "add", its.url, "--event", "call.ended", "--config", config)
    id, secret = re.findall(r"webhook (\w+)\nsecret  (\S+)", added)[0]
    assert its.url in await done("webhook", "list", "--config", config)
    await done("webhook", "test", id, "--config", config)
    await eventually(lambda: len(its.requests) == 1)
    assert its.verified(secret)[0]["type"] == "test"
    shown = await done("webhook", "deliveries", id, "--config", config)
    delivery = re.findall(r"^(\d{13})", shown, re.MULTILINE)[0]
    await done("webhook", "resend", id, delivery, "--config", config)
    await eventually(lambda: len(its.requests) == 2)
    await done("webhook", "set", id, "--off", "--all-events", "--message-text", "--config", config)
    row = page.services.webhooks.one(id).row
    assert (row.enabled, row.events, row.message_text) == (False, (), True)
    assert "whsec_" in await done("webhook", "secret", id, "--yes", "--config", config)
    said = await refused(1, "webhook", "add", "crm.example.com", "--config", config)
    assert "https://" in said
    assert "nothing to set" in await refused(1, "webhook", "set", id, "--config", config)
    await done("webhook", "remove", id, "--yes", "--config", config)
    assert page.services.webhooks.all() == []


async def test_the_api_is_as_its_document_says(page: Site, tmp_path: Path) -> None:
    await held_to_its_document(page, tmp_path, "/api/webhooks", "--exclude-checks", "positive_data_acceptance")


async def test_an_answer_shows_no_secret(page: Site) -> None:
    async with program(page) as cli:
        made = await (await cli.ask("POST", "/api/webhooks", json={"url": "http://127.0.0.1:1/"})).json()
        for path in ("/api/webhooks", f"/api/webhooks/{made['id']}"):
            assert made["secret"] not in (await cli.get(path)).text
        changed = await cli.ask("PATCH", f"/api/webhooks/{made['id']}", json={"enabled": False})
        assert (changed.status, made["secret"] in changed.text) == (200, False)
