"""An API token may no more than the user who has made it: demoted, removed, and one of the same name again."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.api_client import program as api_of
from ari_app.cli import tokens as cli_tokens
from ari_app.cli.parser import parse
from ari_app.store.migrations import MIGRATIONS, placed_calls
from ari_app.store.store import open_store
from ari_app.web.access.secrets import digest
from tests.integration.web_helpers import Site, program, signed_in, site, user

BEFORE_MAKERS = MIGRATIONS.index(placed_calls) + 1
"""The migrations of the time when a token kept its maker's name only."""


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


async def token_of(page: Site, name: str, scope: str) -> str:
    """A token that an administrator of that name makes on the page; `admin` has a password then, too."""
    async with signed_in(page), user(page, "administrator", name) as maker:
        await maker.get("/settings")
        made = await maker.post("/settings/tokens", {"name": "CRM", "scope": scope})
        return str(re.findall(r"astergram_[\w-]+", made.text)[0])


async def shown(page: Site) -> dict[str, Any]:
    """What the API tells of the only token."""
    async with program(page) as cli:
        (token,) = await (await cli.get("/api/access/tokens")).json()
        return dict(token)


async def test_a_token_loses_what_its_maker_may_no_longer_do(page: Site) -> None:
    secret = await token_of(page, "anna", "admin")
    change = {"json": {"company": "Acme"}}
    async with signed_in(page) as admin, program(page) as cli, program(page, secret) as crm:
        assert (await crm.ask("PATCH", "/api/installation", **change)).status == 200
        await admin.get("/users")
        for role, changes, hangs_up in (("operator", 403, 404), ("viewer", 403, 403), ("administrator", 200, 404)):
            await admin.post("/users/anna/role", {"role": role})
            assert (await crm.get("/api/status")).status == 200
            assert (await crm.ask("PATCH", "/api/installation", **change)).status == changes, role
            assert (await crm.ask("POST", "/api/calls/0123456789ab/hangup")).status == hangs_up, role
            told = await shown(page)
            assert (told["scope"], told["role"], told["made_by"]) == ("admin", role, "anna")
            assert ("less than its scope" in (await admin.get("/settings")).text) == (role != "administrator")
        assert (await cli.ask("PATCH", "/api/users/anna", json={"role": "viewer"})).status == 200
        assert (await crm.ask("PATCH", "/api/installation", **change)).status == 403


async def test_a_token_gains_nothing_from_its_maker(page: Site) -> None:
    async with program(page, await token_of(page, "anna", "read")) as crm:
        assert (await crm.ask("PATCH", "/api/installation", json={"company": "Acme"})).status == 403
        assert (await shown(page))["role"] == "viewer"


async def test_a_token_whose_maker_is_removed_is_worth_nothing(page: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    secret = await token_of(page, "anna", "read")
    async with signed_in(page) as admin, program(page) as cli, program(page, secret) as crm:
        assert (await cli.ask("DELETE", "/api/users/anna")).status == 204
        answer = await crm.get("/api/status")
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "anna" not in answer.text
        assert "user is removed" in (await answer.json())["detail"]
        assert "API token CRM was made by anna, who is removed" in caplog.text
        told = await shown(page)
        assert (told["made_by"], told["role"], told["used_at"]) == ("anna", None, None)
        assert "its user is removed" in (await admin.get("/settings")).text
        async with user(page, "administrator", "anna"):  # somebody else of that name
            assert (await crm.get("/api/status")).status == 401
        assert (await cli.ask("DELETE", f"/api/access/tokens/{told['id']}")).status == 204


@pytest.mark.parametrize("change", ["removed", "revoked"])
async def test_its_live_events_end_with_it(page: Site, change: str) -> None:
    secret = await token_of(page, "anna", "read")
    async with program(page) as cli, program(page, secret) as crm, crm.http.get(page.url + "/api/events") as events:
        assert (await events.content.readline()).startswith(b"retry")
        if change == "removed":
            await cli.ask("DELETE", "/api/users/anna")
        else:
            await cli.ask("DELETE", f"/api/access/tokens/{(await shown(page))['id']}")
        assert b"data" not in await events.content.read()  # to its end


async def test_a_token_of_the_command_line_has_no_maker(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "CRM", "scope": "calls"})).json()
        assert (made["made_by"], made["role"]) == ("", "operator")
        assert "the command line" in (await admin.get("/settings")).text


async def test_the_command_line_tells_whose_a_token_is(page: Site, capsys: pytest.CaptureFixture[str]) -> None:
    await token_of(page, "anna", "admin")
    settings: Any = SimpleNamespace(socket=page.socket)
    async with program(page) as cli, api_of(settings) as api:
        for role, told in (("administrator", "anna"), ("viewer", r"anna, as viewer"), (None, r"anna \(removed\)")):
            if role:
                await cli.ask("PATCH", "/api/users/anna", json={"role": role})
            else:
                await cli.ask("DELETE", "/api/users/anna")
            await cli_tokens.run(parse(["token", "list"]), api)
            assert re.search(rf"CRM +admin .* {told} ", capsys.readouterr().out)


async def test_tokens_of_an_earlier_version_are_their_makers(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db", MIGRATIONS[:BEFORE_MAKERS]):
        pass
    with closing(sqlite3.connect(tmp_path / "astergram.db")) as old, old:
        old.execute("INSERT INTO users (name, role, made_at) VALUES ('anna', 'operator', 5)")
        for number, by in enumerate(("anna", "boris", ""), 1):  # boris was removed
            row = [number, digest(f"astergram_{number}"), "CRM", "admin", 5.0, by]
            old.execute("INSERT INTO web_tokens (id, digest, name, scope, made_at, made_by) VALUES (?,?,?,?,?,?)", row)
    async with site(tmp_path) as page:
        roles = []
        for number in (1, 2, 3):
            async with program(page, f"astergram_{number}") as its:
                roles.append((await (await its.get("/api/account")).json()).get("role"))
        assert roles == ["operator", None, "administrator"]
