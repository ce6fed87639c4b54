"""Users and their roles: on the page, by the API and by the command line."""

import io
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.api_client import RequestRefused
from ari_app.api_client import program as api_of
from ari_app.cli import users as cli_users
from ari_app.cli.parser import parse
from ari_app.cli.terminal import Unanswerable
from ari_app.store.migrations import MIGRATIONS, users
from ari_app.store.store import open_store
from ari_app.web.access.passwords import Passwords
from ari_app.web.access.secrets import digest
from ari_app.web.access.throttle import USERS
from ari_app.web.access.users import INVITATION_S
from tests.integration.web_helpers import PASSWORD, Clock, Site, browser, form_in, program, signed_in, site, user

BEFORE_USERS = MIGRATIONS.index(users)
"""The migrations of the time when there was one password."""


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


async def all_users(page: Site) -> dict[str, str]:
    async with program(page) as cli:
        return {each["name"]: each["role"] for each in await (await cli.get("/api/users")).json()}


# From the time of one password


async def test_whoever_knew_the_one_password_is_the_administrator_and_stays_signed_in(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    async with open_store(tmp_path / "astergram.db", MIGRATIONS[:BEFORE_USERS]):
        pass
    with closing(sqlite3.connect(tmp_path / "astergram.db")) as old, old:
        hashed = await Passwords().hashed(PASSWORD)
        old.execute("INSERT INTO web_password VALUES (1, ?)", [hashed])
        session = [digest("a session"), clock.now - 5, clock.now - 5, "192.0.2.1", "Firefox"]
        old.execute("INSERT INTO web_sessions VALUES (?, ?, ?, ?, ?)", session)
        token = [1, digest("astergram_old"), "CRM", "write", clock.now - 5]
        old.execute("INSERT INTO web_tokens (id, digest, name, right, made_at) VALUES (?, ?, ?, ?, ?)", token)
        old.execute("INSERT INTO web_link VALUES (1, ?, ?)", [digest("a link"), clock.now - 5])
    async with site(tmp_path, clock=clock) as page, browser(page) as before, browser(page) as again:
        assert page.served.first_link == ""
        assert await all_users(page) == {"admin": "administrator"}
        before.http.cookie_jar.update_cookies({f"astergram-{page.served.port}": "a session"})
        assert (await before.get("/settings")).path == "/settings"
        async with program(page, "astergram_old") as crm:
            assert (await crm.ask("PATCH", "/api/installation", json={"company": "Acme"})).status == 200
        assert 'value="admin"' in (await again.get("/login")).text
        assert (await again.log_in(PASSWORD)).path == "/"
        assert (await again.get("/password?link=a%20link")).status == 200


async def test_where_nobody_had_set_the_password_the_first_link_is_for_the_administrator(page: Site) -> None:
    assert await all_users(page) == {"admin": "administrator"}
    async with browser(page) as admin:
        assert "admin" in (await admin.get(page.served.first_link)).text
        assert (await admin.set_password(page.served.first_link)).path == "/"
        assert "admin" in (await admin.get("/account")).text


# An administrator and others


async def test_an_invited_user_sets_their_password_and_has_their_role(page: Site) -> None:
    async with signed_in(page) as admin, browser(page) as anna:
        await admin.get("/users")
        made = await admin.post("/users", {"name": "Anna", "role": "viewer"})
        link = re.findall(r"http://[^<\s]+/password\?link=[\w-]+", made.text)[0]
        assert link not in (await admin.get("/users")).text
        assert (await anna.set_password(link, "a password of Anna's")).path == "/"
        assert (await anna.get("/settings")).status == 403
        assert (await anna.get("/lines")).status == 200
        assert 'href="/settings"' not in (await anna.get("/")).text
        changed = await admin.post("/users/anna/role", {"role": "administrator"})
        assert (changed.path, await all_users(page)) == ("/users", {"admin": "administrator", "anna": "administrator"})
        assert (await anna.get("/settings")).status == 200  # at once


async def test_an_invitation_expires(page: Site) -> None:
    async with signed_in(page), program(page) as cli, browser(page) as anna:
        await cli.ask("POST", "/api/users", json={"name": "anna"})
        link = (await (await cli.ask("POST", "/api/users/anna/link")).json())["link"]
        page.clock.now += INVITATION_S - 1
        assert (await anna.get(link)).status == 200
        page.clock.now += 1
        assert (await anna.get(link)).status == 403


async def test_a_removed_user_is_out_at_once(page: Site) -> None:
    async with signed_in(page) as admin, user(page, "operator", "anna") as anna:
        assert (await anna.get("/")).path == "/"
        await admin.get("/users")
        assert (await admin.post("/users/anna/remove")).path == "/users"
        assert (await anna.get("/")).path == "/login"
        assert (await anna.log_in(name="anna")).status == 403
        async with user(page, "viewer", "anna") as another:
            assert (await another.get("/")).path == "/"
            assert (await anna.get("/")).path == "/login"


async def test_one_administrator_always_remains(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        await admin.get("/users")
        for path, fields in (("/users/admin/remove", {}), ("/users/admin/role", {"role": "viewer"})):
            assert "only administrator" in (await admin.post(path, fields)).text + (await admin.get("/users")).text
        assert (await cli.ask("DELETE", "/api/users/admin")).status == 409
        assert (await cli.ask("PATCH", "/api/users/admin", json={"role": "operator"})).status == 409
        assert await all_users(page) == {"admin": "administrator"}
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "administrator"})
        assert (await cli.ask("DELETE", "/api/users/admin")).status == 204
        assert (await admin.get("/")).path == "/login"
        assert (await cli.ask("DELETE", "/api/users/anna")).status == 409


async def test_a_changed_password_signs_its_own_user_out_and_nobody_else(page: Site) -> None:
    async with signed_in(page) as admin, user(page, "viewer", "anna") as anna, user(page, "viewer", "anna") as phone:
        await anna.get("/account")
        fields = {"old_password": PASSWORD, "new_password": "a new password", "password_again": "a new password"}
        assert (await anna.post("/account/password", fields)).path == "/account"
        assert (await phone.get("/")).path == "/login"
        assert (await admin.get("/")).path == "/"
        assert (await anna.log_in(name="anna")).status == 403
        assert (await phone.log_in("a new password", name="ANNA")).path == "/"


async def test_a_password_that_is_changed_while_it_is_checked_lets_nobody_in(
    page: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = Passwords.matches

    async def changed_meanwhile(its: Passwords, hashed: str | None, password: str) -> bool:
        right = await matches(its, hashed, password)
        assert (await cli.ask("PUT", "/api/users/admin/password", json={"password": "a new password"})).status == 204
        return right

    async with signed_in(page), program(page) as cli, browser(page) as thief:
        monkeypatch.setattr(Passwords, "matches", changed_meanwhile)
        assert (await thief.log_in()).status == 403
        assert (await thief.get("/")).path == "/login"


async def test_one_sees_and_ends_ones_own_sessions_only(page: Site) -> None:
    async with signed_in(page, User_Agent="Of the admin") as admin, user(page, "viewer", "anna") as anna:
        assert "Of the admin" not in (await anna.get("/account")).text
        await anna.post("/account/sessions/others")
        assert (await admin.get("/")).path == "/"


async def test_who_may_not_change_tokens_is_not_asked_about_them(page: Site) -> None:
    async with signed_in(page), program(page) as cli, user(page, "viewer", "anna") as anna:
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "CRM", "right": "write"})).json()
        assert 'name="tokens"' not in (await anna.get("/account")).text
        body = {"old": PASSWORD, "new": "a new password", "revoke_tokens": True}
        headers = {"X-CSRF-Token": anna.csrf}
        assert (await anna.ask("POST", "/api/access/password", json=body, headers=headers)).status == 403
        async with program(page, made["token"]) as crm:
            assert (await crm.get("/api/account")).status == 200


async def test_guesses_from_everywhere_at_one_user_are_slowed_down(page: Site) -> None:
    async with signed_in(page), user(page, "viewer", "anna"):
        pass
    for number in range(USERS.free_tries):
        async with browser(page, f"127.0.1.{number}") as guesser:
            assert (await guesser.log_in("a wrong guess", name="anna")).status == 403
    async with browser(page, "127.0.2.1") as anna, browser(page, "127.0.2.1") as admin:
        answer = await anna.log_in(name="anna")
        assert (answer.status, "this user" in answer.text) == (429, True)
        assert (await admin.log_in()).path == "/"
        page.steady.now += USERS.longest_delay_s
        assert (await anna.log_in(name="anna")).path == "/"


async def test_a_refused_sign_in_does_not_tell_which_users_there_are(page: Site) -> None:
    async with signed_in(page), browser(page) as visitor:
        answers = [(await visitor.log_in("a wrong guess", name=name)).text for name in ("admin", "nobody", "")]
        assert len({re.sub(r'value="[^"]*"', "", each) for each in answers}) == 1
        assert "The user name or the password is wrong." in answers[0]


async def test_nothing_that_was_typed_as_a_name_gets_into_the_log(page: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with signed_in(page), browser(page) as visitor:
        await visitor.log_in("a wrong guess", name=PASSWORD)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("name", ["", "ann a", "анна", "-anna", "a" * 65, "admin", "ADMIN", "<b>"])
async def test_a_name_that_does_not_do(page: Site, name: str) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        await admin.get("/users")
        answer = await admin.post("/users", {"name": name, "role": "viewer"})
        assert (answer.status, 'aria-invalid="true"' in answer.text) == (422, True)
        assert (await cli.ask("POST", "/api/users", json={"name": name})).status in (409, 422)
        assert list(await all_users(page)) == ["admin"]


async def test_a_role_that_does_not_do(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        await admin.get("/users")
        assert (await admin.post("/users", {"name": "anna", "role": "root"})).status == 422
        assert (
            "Choose a role."
            in (await admin.post("/users/admin/role", {"role": "root"})).text + (await admin.get("/users")).text
        )
        assert (await cli.ask("POST", "/api/users", json={"name": "anna", "role": "root"})).status == 422
        assert (await cli.ask("PATCH", "/api/users/nobody", json={"role": "viewer"})).status == 404
        assert (await admin.post("/users/nobody/remove")).status == 404
        assert (await admin.post("/users/nobody/link")).status == 404


async def test_the_role_that_somebody_has_is_chosen_in_the_form(page: Site) -> None:
    async with signed_in(page) as admin, user(page, "operator", "anna"):
        assert form_in(await admin.get("/users"), "/users/anna/role")["role"] == "operator"


# The command line


async def told(page: Site, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    settings: Any = SimpleNamespace(socket=page.socket)
    async with api_of(settings) as api:
        await cli_users.run(parse(["user", *words]), api)
    return str(capsys.readouterr().out)


async def test_the_command_line_adds_changes_and_removes(
    page: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["a password of Anna's", "another of Anna's", "short"])

    async def answered(prompt: str, *, hidden: bool = False) -> str:
        assert hidden
        return next(typed)

    monkeypatch.setattr(cli_users, "typed", answered)
    assert "anna is added, as operator" in await told(
        page, capsys, "add", "anna", "--role", "operator", "--password", "-"
    )
    assert re.search(r"^anna +operator +set", await told(page, capsys, "list"), re.MULTILINE)
    async with browser(page) as anna:
        assert (await anna.log_in("a password of Anna's", name="anna")).path == "/"
        assert "signed out" in await told(page, capsys, "password", "anna", "--password", "-")
        assert (await anna.get("/")).path == "/login"
        assert (await anna.log_in("another of Anna's", name="anna")).path == "/"
        with pytest.raises(RequestRefused):
            await told(page, capsys, "password", "anna", "--password", "-")
        assert "is viewer now" in await told(page, capsys, "role", "anna", "viewer")
        link = (await told(page, capsys, "add", "boris", "--link")).strip()
        assert (await anna.get(link)).status == 200
    assert "is removed" in await told(page, capsys, "remove", "anna", "--yes")
    assert await all_users(page) == {"admin": "administrator", "boris": "viewer"}
    with pytest.raises(RequestRefused, match="no user anna"):
        await told(page, capsys, "role", "anna", "viewer")


async def test_a_password_is_asked_for_at_a_terminal_only(
    page: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a password of Anna's\n"))
    with pytest.raises(Unanswerable, match="add --password -"):
        await told(page, capsys, "add", "anna")
    assert list(await all_users(page)) == ["admin"]
