"""People's data on the page, by the API and on the command line: found, exported, erased; storage periods."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.i18n import message
from ari_app.people.beside import ContactPlace
from ari_app.people.errors import PlaceUnavailable
from ari_app.people.kinds import ELSEWHERE, KINDS
from ari_app.store.audit import AuditQuery, AuditRow
from tests.integration.command import done, refused
from tests.integration.test_cli import written
from tests.integration.web_calls import ANNA, MALLORY, SCRIPT, a_call, calls_site, put, talking
from tests.integration.web_helpers import Site, form_in, held_to_its_document, program, signed_in, user

HERE = f"/people/{ANNA.id}"
ANNAS = {"person_id": ANNA.id, "name": ANNA.name, "phone": ANNA.phone, "username": ANNA.username}
MALLORYS = {"person_id": MALLORY.id, "name": MALLORY.name, "phone": "", "username": "mallory", "peer": "8"}


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "state" / "lines").mkdir(parents=True)
    async with calls_site(tmp_path / "state") as served:
        now = served.clock()
        await put(served, a_call(1, now - 60, **ANNAS), a_call(2, now - 30, **ANNAS), a_call(3, now, **MALLORYS))
        yield served


async def entries(page: Site, action: str) -> list[AuditRow]:
    return list((await page.services.audit.find(AuditQuery(action=action))).rows)


async def test_a_person_is_found_exported_and_erased(page: Site) -> None:
    async with signed_in(page) as admin:
        found = await admin.get("/people?q=%D1%91%D0%BB%D0%BA%D0%B8%D0%BD%D0%B0")
        assert (HERE in found.text, "/people/8" in found.text, "1 person" in found.text) == (True, False, True)
        assert "Nothing is kept of such a person." in (await admin.get("/people?q=nobody")).text
        shown = await admin.get(HERE)
        assert 'id="kind-calls"' in shown.text
        assert ANNA.phone in shown.text
        exported = await admin.get(f"{HERE}/export")
        assert exported.headers["Content-Disposition"] == 'attachment; filename="person-7.json"'
        assert [call["id"] for call in json.loads(exported.text)["calls"]] == [f"{1:012x}", f"{2:012x}"]
        assert [row.subject for row in await entries(page, "person exported")] == ["7"]

        erased = await admin.post(f"{HERE}/erase", {"reference": f"Request 17 of {ANNA.phone}"})
        assert (erased.path, "Erased." in erased.text) == ("/people", True)
        [entry] = await entries(page, "person erased")
        assert (entry.subject, entry.changed) == ("Request 17 of [erased]", {"calls": [2, 0], "audit": [1, 0]})
        assert [row.subject for row in await entries(page, "person exported")] == ["[erased]"]
        assert "Nothing is kept" in (await admin.get(HERE)).text
        call = await admin.get(f"/calls/{1:012x}")
        assert (call.status, "Unknown" in call.text, ANNA.phone in call.text) == (200, True, False)


async def test_what_was_erased_in_part_is_in_the_audit_log(page: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unavailable(*_: object) -> int:
        raise PlaceUnavailable(message("The file can't be used"))

    monkeypatch.setattr(ContactPlace, "erase", unavailable)
    async with signed_in(page) as admin, program(page) as cli:
        answer = await cli.ask("POST", f"/api{HERE}/erase", json={"reference": "Request 17"})
        assert (answer.status, "Not all of it was erased" in answer.text) == (503, True)
        again = await admin.post(f"{HERE}/erase", {"reference": "Request 18"})
        assert (again.path, "Not all of it was erased" in again.text) == (HERE, True)
    second, first = await entries(page, "person erased")
    why = ["", "Not all of it was erased, so try again. The file can't be used"]
    assert (first.subject, first.changed) == ("Request 17", {"calls": [2, 0], "error": why})
    assert (second.subject, second.changed) == ("Request 18", {"error": why})


async def test_a_name_is_no_markup(page: Site) -> None:
    async with signed_in(page) as admin:
        for path in ("/people?q=script", "/people/8"):
            text = (await admin.get(path)).text
            assert (SCRIPT in text, "&lt;script&gt;alert(1)" in text) == (False, True)


async def test_nobody_is_erased_while_they_talk(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli, talking(page.services.registry) as call:
        refused = await admin.post(f"{HERE}/erase")
        assert (refused.path, f"A call with them goes on ({call.id})" in refused.text) == (HERE, True)
        assert (await cli.ask("POST", f"/api{HERE}/erase", json={})).status == 409
        page.services.registry.hang_up(call.id)
    assert await entries(page, "person erased") == []


@pytest.mark.parametrize(("path", "status"), [("/people/x", 404), ("/people/+1", 404), ("/people/@y", 404)])
async def test_what_is_no_person(page: Site, path: str, status: int) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        for ending in ("", "/export"):
            assert (await admin.get(f"{path}{ending}")).status == status
            assert (await cli.get(f"/api{path}{ending}")).status == 422


async def test_what_is_kept_is_told(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        text = (await admin.get("/people", headers={"Accept-Language": "ru"})).text
        for words in ("Цель обработки", "Срок хранения", "субъект персональных данных", "400 дней"):
            assert words in text
        assert [f'id="kind-{kind.name}"' in text for kind in KINDS] == [True] * len(KINDS)
        told = await (await cli.get("/api/personal-data")).json()
        assert len(told["elsewhere"]) == len(ELSEWHERE)
        calls, details, *_ = told["kinds"]
        assert (calls["name"], calls["days"], calls["setting"]) == ("calls", 400, "history_days")
        assert calls["tables"] == {
            "calls": ["peer", "pbx_party", "person_id", "name", "phone", "username", "reason", "search"]
        }
        assert (details["days"], details["tables"]) == (0, {"call_details": ["events"]})


async def test_storage_periods_are_set(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        fields = form_in(await admin.get("/people"), "/people/periods")
        assert (fields["history_days"], fields["details_days"], fields["events_days"]) == ("400", "0", "7")
        saved = await admin.post("/people/periods", {**fields, "history_days": "90", "cards_days": "0"})
        assert (saved.status, "At least 1, please." in saved.text) == (422, True)
        saved = await admin.post("/people/periods", {**fields, "history_days": "90", "details_days": "30"})
        assert (saved.path, "Saved." in saved.text, "90 days" in saved.text) == ("/people", True, True)
        [entry] = [row for row in await entries(page, "settings changed") if row.kind == "user"]
        assert entry.changed == {"history_days": [400, 90], "details_days": [0, 30]}
        late = await admin.post("/people/periods", {**fields, "history_days": "50"})
        assert (late.status, "Somebody else has set this meanwhile: 90" in late.text) == (412, True)
        empty = form_in(await admin.get("/people"), "/people/periods") | {"history_days": ""}
        await admin.post("/people/periods", empty)
        assert page.services.installation.settings.history_days == 400, "as the configuration file says"
        whole = await (await cli.get("/api/installation")).json()
        assert (whole["details_days"], whole["audit_days"]) == (30, 400)
        assert (await cli.ask("PATCH", "/api/installation", json={"languages_days": 0})).status == 422
        await cli.ask("PATCH", "/api/installation", json={"languages_days": 10, "details_days": None})
        whole = await (await cli.get("/api/installation")).json()
        assert (whole["details_days"], whole["languages_days"]) == (0, 10)
        other = form_in(await admin.get("/settings"), "/settings/installation")
        await admin.post("/settings/installation", {**other, "company": "Acme"})
        assert page.services.installation.settings.languages_days == 10, "another form leaves them"


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_it_is_for_administrators(page: Site, role: str) -> None:
    async with signed_in(page), user(page, role) as reader:
        for path in ("/people", HERE, f"{HERE}/export", "/api/people?text=anna", f"/api{HERE}", "/api/personal-data"):
            assert (await reader.get(path)).status == 403
        assert (await reader.post(f"{HERE}/erase")).status == 403


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("calls", 403), ("admin", 200)])
async def test_a_token_needs_the_scope_of_an_administrator(page: Site, scope: str, status: int) -> None:
    async with program(page) as cli:
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "CRM", "scope": scope})).json()
        async with program(page, made["token"]) as its:
            for path in ("/api/people?text=anna", f"/api{HERE}", f"/api{HERE}/export"):
                assert (await its.get(path)).status == status
            erased = await its.ask("POST", f"/api{HERE}/erase", json={"reference": "17"})
            assert erased.status == status
        if status == 200:
            assert (await erased.json())["erased"]["calls"] == 2
            assert [row.kind for row in await entries(page, "person erased")] == ["token"]


async def test_the_api_is_as_its_document_says(page: Site, tmp_path: Path) -> None:
    await held_to_its_document(
        page, tmp_path, "/api/(people|personal-data)", "--exclude-checks", "positive_data_acceptance"
    )


async def test_the_command_line(page: Site, tmp_path: Path) -> None:
    config = written(tmp_path / "state")
    assert "history_days" in await done("people", "kinds", "--config", config)
    found = await done("people", "find", ANNA.phone, "--config", config)
    assert (str(ANNA.id) in found, ANNA.name in found) == (True, True)
    shown = json.loads(await done("people", "show", "@anna_b", "--json", "--config", config))
    assert (shown["person"]["telegram_id"], shown["kept"]["calls"]) == (7, 2)
    file = tmp_path / "anna.json"
    await done("people", "export", "7", str(file), "--config", config)
    assert (file.stat().st_mode & 0o777, len(json.loads(file.read_text())["calls"])) == (0o600, 2)
    said = await refused(2, "people", "erase", "7", "--config", config)
    assert "add --yes" in said
    erased = await done("people", "erase", ANNA.phone, "--reference", "17", "--yes", "--config", config)
    assert "2 calls" in erased
    assert "nothing is kept" in await done("people", "show", "7", "--config", config)
    assert "is no" in await refused(1, "people", "show", "anna", "--config", config)
