"""The audit log: what is in it of what was done, and that no secret is."""

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from ari_app.api_client import program as api_of
from ari_app.cli import audit as cli_audit
from ari_app.cli.parser import parse
from ari_app.lines.settings import LineSettings
from ari_app.reports.audit import COMMAND_LINE, Actor, AuditLog, differences, entry
from ari_app.reports.export import BOM
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.store.audit import AuditQuery, add_at_once
from ari_app.store.migrations import MIGRATIONS
from ari_app.store.store import open_store
from ari_app.web.access.throttle import ADDRESSES
from tests.integration.web_calls import talking
from tests.integration.web_helpers import PASSWORD, Clock, Site, browser, form_in, program, signed_in, site, user
from tests.integration.web_lines import LINE, lines_site
from tests.unit.storage_trouble import locked


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


async def entries(page: Site, **query: str) -> list[dict[str, Any]]:
    """The oldest first."""
    async with program(page) as cli:
        answer = await cli.ask("GET", "/api/audit", params=query)
        return list(reversed((await answer.json())["entries"]))


async def test_who_signs_in_and_who_does_not(page: Site) -> None:
    async with signed_in(page) as admin, browser(page, "127.0.0.2") as guesser:
        await guesser.log_in("a wrong guess")
        await guesser.log_in("a wrong guess", name="nobody")
        await guesser.log_in("a wrong guess", name=PASSWORD)
        await guesser.log_in()
        await admin.get("/")
        await admin.post("/logout")
        told = [(each["action"], each["kind"], each["who"], each["address"]) for each in await entries(page)]
    assert told == [
        ("sign-in", "user", "admin", "127.0.0.1"),
        ("password set by link", "user", "admin", "127.0.0.1"),
        ("sign-in failed", "visitor", "", "127.0.0.2"),
        ("sign-in failed", "visitor", "", "127.0.0.2"),
        ("sign-in failed", "visitor", "", "127.0.0.2"),
        ("sign-in", "user", "admin", "127.0.0.2"),
        ("sign-out", "user", "admin", "127.0.0.1"),
    ]
    failed = [each["subject"] for each in await entries(page, action="sign-in failed")]
    assert failed == ["admin", "", ""]  # what else was typed as a name may be a password


async def test_who_has_to_wait_does_not_fill_it(page: Site) -> None:
    async with signed_in(page), browser(page, "127.0.0.2") as guesser:
        statuses = [(await guesser.log_in("a wrong guess")).status for _ in range(ADDRESSES.free_tries + 3)]
    assert statuses[-3:] == [429] * 3
    assert len(await entries(page, action="sign-in failed")) == statuses.count(403)


async def test_settings_are_told_before_and_after_but_no_secret(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        await admin.get("/settings")
        fields = {"company": "Acme", "api_id": "12345", "api_hash": "0123456789abcdef0123456789abcdef"}
        assert (await admin.post("/settings/installation", fields)).path == "/settings"
        await cli.ask("PATCH", "/api/installation", json={"api_hash": "f" * 32, "company": "Acme Ltd"})
        await cli.ask("PATCH", "/api/installation", json={"timezone": "Nowhere"})
        by_page, by_command = await entries(page, action="settings changed")
    assert by_page["changes"] == {"company": ["", "Acme"], "api_id": [None, 12345], "api_hash": [None, "set"]}
    assert by_command["changes"] == {"company": ["Acme", "Acme Ltd"], "api_hash": ["set", "set"]}
    assert (by_page["kind"], by_page["who"], by_command["kind"], by_command["who"]) == (
        "user", "admin", "command line", "",
    )  # fmt: skip
    assert "0123456789abcdef" not in json.dumps(await entries(page))


async def test_where_audio_and_messages_go_is_told_before_and_after_but_no_login(page: Site) -> None:
    """Whoever redirects calls, or what Telegram is told, is found by it."""
    mtproxy = f"https://t.me/proxy?server=192.0.2.9&port=443&secret={'ab' * 16}"
    changes = (
        {"proxy": "socks5://us:a-login@proxy.example:1080", "turn_server": "turn.example:3478"},
        {"proxy": "socks5://us:another-login@proxy.example:1080", "turn_user": "us", "turn_password": "a-login"},
        {"proxy": mtproxy, "turn_server": "evil.example:3478", "turn_password": "a-login"},
        {"proxy": ""},
    )
    async with program(page) as cli:
        for change in changes:
            assert (await cli.ask("PATCH", "/api/installation", json=change)).status == 200
    told = await entries(page, action="settings changed")
    first = "SOCKS5 proxy.example:1080"
    assert [each["changes"] for each in told] == [
        {"proxy": [None, first], "turn_server": ["", "turn.example:3478"]},
        {"proxy": [first, first], "turn_user": ["", "us"], "turn_password": [None, "set"]},
        {"proxy": [first, "MTProxy 192.0.2.9:443"], "turn_server": ["turn.example:3478", "evil.example:3478"]},
        {"proxy": ["MTProxy 192.0.2.9:443", None]},
    ]
    shown = json.dumps(told)
    assert not [secret for secret in ("a-login", "another-login", "ab" * 16) if secret in shown]


@pytest.mark.parametrize("way", ["page", "api"])
async def test_webhooks_are_told_before_and_after_but_nothing_secret_of_their_addresses(page: Site, way: str) -> None:
    first, second = "https://crm.example/hook?key=hidden", "http://evil.example:8080/hidden"
    async with signed_in(page) as admin, program(page) as cli:
        if way == "page":
            await admin.get("/settings/webhooks")
            await admin.post("/settings/webhooks", {"url": first, "event.call.ended": "on"})
            (made,) = page.services.webhooks.all()
            place = f"/settings/webhooks/{made.row.id}"
            shown = form_in(await admin.get(place), place)
            await admin.post(place, {**shown, "url": second, "message_text": "on"})
            shown = form_in(await admin.get(place), place)
            del shown["enabled"]
            await admin.post(place, {**shown, "url": second + "/elsewhere"})
            await admin.post(f"{place}/remove")
        else:
            body = {"url": first, "events": ["call.ended"]}
            made_id = (await (await cli.ask("POST", "/api/webhooks", json=body)).json())["id"]
            place = f"/api/webhooks/{made_id}"
            await cli.ask("PATCH", place, json={"url": second, "message_text": True})
            await cli.ask("PATCH", place, json={"url": second + "/elsewhere", "enabled": False})
            await cli.ask("DELETE", place)
        told = [each for each in await entries(page) if each["action"].startswith("webhook")]
    crm, evil = "https://crm.example", "http://evil.example:8080"
    assert len({each["subject"] for each in told}) == 1
    assert [(each["action"], each["changes"]) for each in told] == [
        (
            "webhook added",
            {
                "url": [None, crm],
                "events": [None, ["call.ended"]],
                "enabled": [None, True],
                "message_text": [None, False],
            },
        ),
        ("webhook changed", {"url": [crm, evil], "message_text": [False, True]}),
        ("webhook changed", {"url": [evil, evil], "enabled": [True, False]}),
        (
            "webhook removed",
            {
                "url": [evil, None],
                "events": [["call.ended"], None],
                "enabled": [False, None],
                "message_text": [True, None],
            },
        ),
    ]
    assert "hidden" not in json.dumps(told)


async def test_users_and_tokens_are_told_with_what_they_may(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli, user(page, "viewer", "anna"):
        await admin.get("/users")
        await admin.post("/users/anna/role", {"role": "operator"})
        await admin.post("/users/nobody/role", {"role": "operator"})
        await admin.post("/users/admin/role", {"role": "operator"})  # the only administrator
        await admin.post("/users/anna/link")
        await admin.post("/users/anna/remove")
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "CRM", "right": "write"})).json()
        async with program(page, made["token"]) as crm:
            await crm.ask("PATCH", "/api/installation", json={"company": "Acme"})
        await cli.ask("DELETE", f"/api/access/tokens/{made['id']}")
        told = [(each["action"], each["who"], each["subject"], each["changes"]) for each in await entries(page)]
    assert told[2:] == [
        ("user added", "", "anna", {"role": [None, "viewer"]}),
        ("sign-in", "anna", "", {}),
        ("role changed", "admin", "anna", {"role": ["viewer", "operator"]}),
        ("password link made", "admin", "anna", {}),
        ("user removed", "admin", "anna", {"role": ["operator", None]}),
        ("token made", "", "CRM", {"scope": [None, "admin"]}),
        ("settings changed", "CRM", "", {"company": ["", "Acme"]}),
        ("token revoked", "", "CRM", {"scope": ["admin", None]}),
    ]
    assert made["token"] not in json.dumps(await entries(page))


async def test_whose_password_a_program_has_changed_is_told(page: Site) -> None:
    async with signed_in(page), program(page) as cli:
        body = {"old": PASSWORD, "new": "a new password", "user": "Admin"}
        assert (await cli.ask("POST", "/api/access/password", json=body)).status == 204
    assert [each["subject"] for each in await entries(page, action="password changed")] == ["admin"]


async def test_what_is_done_with_lines_and_calls(tmp_path: Path) -> None:
    settings = [LineSettings.of({"number": LINE, "name": "Sales"})]
    async with LocalTelegram(tmp_path / "telegram.db") as telegram, lines_site(tmp_path, telegram, settings) as shown:
        page = shown.site
        async with signed_in(page) as admin, program(page) as cli:
            await cli.ask("PATCH", f"/api/lines/{LINE}/settings", json={"max_calls": 3, "card": {"missed": True}})
            await cli.ask("POST", "/api/lines", json={"number": "+79990000002"})
            await cli.ask("DELETE", "/api/lines/+79990000002")
            await cli.ask("PUT", "/api/drain")
            await cli.ask("DELETE", "/api/drain")
            await admin.get("/calls.csv")
            async with talking(page.services.registry) as call:
                await cli.ask("POST", f"/api/calls/{call.id}/hangup")
                page.services.registry.hang_up(call.id)
            await cli.ask("POST", f"/api/calls/{call.id}/hangup")  # over
            told = [(each["action"], each["subject"]) for each in (await entries(page))[2:]]
            (changed,) = await entries(page, action="line changed")
    assert told == [
        ("line changed", LINE),
        ("line added", "+79990000002"),
        ("line removed", "+79990000002"),
        ("drain begun", ""),
        ("drain cancelled", ""),
        ("calls exported", ""),
        ("call ended", call.id),
    ]
    assert changed["changes"] == {"card.missed": [False, True], "max_calls": [1, 3]}


async def test_it_is_found_and_exported(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        for company in ("=Acme", "<b>Acme</b>"):
            await cli.ask("PATCH", "/api/installation", json={"company": company})
        shown = await admin.get("/audit?by=command+line&action=settings+changed")
        assert ("&lt;b&gt;Acme" in shown.text, "<b>Acme" in shown.text) == (True, False)
        assert "Password set by a link" not in shown.text.partition("<table")[2]
        assert (await admin.get("/audit?from=2020-01-01&to=2020-01-02")).text.count("<table") == 0
        assert (await admin.get("/audit?action=nothing")).status == 422
        exported = await admin.get("/audit.csv?by=command+line")
        rows = list(csv.DictReader(io.StringIO(exported.text.removeprefix(BOM))))
        assert [row["changes"] for row in rows] == ["company: =Acme → <b>Acme</b>", "company: – → =Acme"]
        assert (await entries(page))[-1]["action"] == "audit log exported"
        found = await (await cli.get("/api/audit?limit=1&offset=1&kind=command+line")).json()
        assert (found["total"], found["entries"][0]["changes"]) == (2, {"company": ["", "=Acme"]})


async def test_htmx_gets_the_entries_alone_and_a_clean_address(page: Site) -> None:
    async with signed_in(page) as admin:
        part = await admin.get("/audit?q=admin&by=&action=sign-in&from=&to=", headers={"HX-Request": "true"})
        assert ("<form" in part.text, "Signed in" in part.text) == (False, True)
        assert part.headers["HX-Push-Url"] == "/audit?q=admin&action=sign-in"


async def test_what_is_exported_in_part_is_in_it(page: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hangs up before the last byte has had the others."""

    async def hung_up(*_: Any) -> AsyncIterator[str]:
        yield "all but the end"
        raise ConnectionResetError("Cannot write to closing transport")

    async with signed_in(page) as admin:
        monkeypatch.setattr(page.services.audit, "export_csv", hung_up)
        with suppress(aiohttp.ClientError):
            await admin.get("/audit.csv")
        assert (await entries(page))[-1]["action"] == "audit log exported"


async def test_who_asks_for_the_headers_of_an_export_gets_no_more(page: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be an export that is not in the log."""
    sent = []

    async def exported(*_: Any) -> AsyncIterator[str]:
        sent.append("all")
        yield sent[0]

    async with signed_in(page) as admin:
        monkeypatch.setattr(page.services.audit, "export_csv", exported)
        assert (await admin.ask("HEAD", "/audit.csv")).status == 200
    assert sent == []


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_it_is_for_administrators(page: Site, role: str) -> None:
    async with signed_in(page), user(page, role) as reader:
        for path in ("/audit", "/audit.csv", "/api/audit", "/api/audit.csv"):
            assert (await reader.get(path)).status == 403


async def test_the_command_line_shows_it(page: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    settings: Any = SimpleNamespace(socket=page.socket)
    async with signed_in(page), program(page) as cli, api_of(settings) as api:
        await cli.ask("PATCH", "/api/installation", json={"company": "Acme"})
        await cli_audit.run(parse(["audit", "list"]), api)
        assert "settings changed" in capsys.readouterr().out
        await cli_audit.run(parse(["audit", "list", "--find", "127.0.0.1", "--json"]), api)
        assert [each["action"] for each in json.loads(capsys.readouterr().out)] == [
            "password set by link",
            "sign-in",
        ]
        await cli_audit.run(parse(["audit", "export", str(tmp_path / "audit.csv")]), api)
    assert "Acme" in (tmp_path / "audit.csv").read_text()


# By itself


async def test_old_entries_go(tmp_path: Path) -> None:
    clock = Clock(1_000_000_000.0)
    async with open_store(tmp_path / "astergram.db") as store:
        log = AuditLog(store, clock=clock)
        log.record(Actor("user", "anna", "192.0.2.1"), "old")
        clock.now += 10
        log.record(Actor("user", "anna", "192.0.2.1"), "new")
        assert (await log.prune(clock.now), await log.prune(clock.now)) == (1, 0)
        assert [row.action for row in (await log.find(AuditQuery())).rows] == ["new"]


async def test_an_export_repeats_nothing_and_leaves_nothing_out_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.reports.audit.EXPORTED", 3)
    async with open_store(tmp_path / "astergram.db") as store:
        log = AuditLog(store)
        for number in range(10):
            log.record(Actor("user", "anna"), "settings changed", str(number))
        subjects: list[str] = []
        async for piece in log.export_csv(AuditQuery(text="anna"), UTC):
            subjects += [row[5] for row in csv.reader(io.StringIO(piece))]
            if len(subjects) > 1:
                log.record(Actor("user", "anna"), "settings changed", "later")
                await store.run(lambda db: db.execute("DELETE FROM audit WHERE subject = '5'"))
        assert subjects[1:] == ["9", "8", "7", "6", "4", "3", "2", "1", "0"]


async def test_a_backup_is_in_the_log_whether_the_program_runs_or_not(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        add_at_once(tmp_path / "astergram.db", entry(5.0, COMMAND_LINE, "backup made", "backup.tar.gz"))
        (row,) = (await AuditLog(store).find(AuditQuery())).rows
        assert (row.at, row.kind, row.subject) == (5.0, "command line", "backup.tar.gz")
    async with open_store(tmp_path / "old.db", MIGRATIONS[:5]):
        add_at_once(tmp_path / "old.db", entry(5.0, COMMAND_LINE, "backup made", "backup.tar.gz"))


async def test_nobody_waits_for_it(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        log = AuditLog(store)
        async with locked(store, tmp_path / "astergram.db"):
            log.record(Actor("user", "anna"), "settings changed", changes={"company": ("", "Acme")})
        assert (await log.find(AuditQuery())).total == 1


def test_only_what_differs_is_told() -> None:
    before = LineSettings.of({"number": LINE, "api_id": 1, "api_hash": "a" * 32})
    after = LineSettings.of({"number": LINE, "api_id": 1, "api_hash": "b" * 32, "name": "Sales"})
    assert differences(before, after) == {"api_hash": ("set", "set"), "name": ("", "Sales")}
    assert differences(before, before) == {}
