"""Two-factor authentication: turned on, asked for, lost, and needed."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pyotp
import pytest

from ari_app.web.access.throttle import CODES as CODE_TRIES
from ari_app.web.access.two_factor import CHALLENGE_S, CHALLENGE_TRIES, RECOVERY_CODES, STEP_S
from ari_app.web.areas import ROLES
from ari_app.web.http.roles import ANYBODY
from tests.integration.test_web_roles import ADDRESSES
from tests.integration.web_helpers import (
    PASSWORD,
    Answer,
    Browser,
    Clock,
    Site,
    browser,
    program,
    signed_in,
    site,
    user,
)
from tests.unit.test_route_roles import ALL

KEY = re.compile(r"<code>([A-Z2-7]{32})</code>")
CODES = re.compile(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}")
CHALLENGE = re.compile(r'name="challenge" value="([\w-]+)"')
NEXT = STEP_S


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


async def turned_on(page: Site, who: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """Turn it on; the device, and the recovery codes. Its code of now is used up."""
    totp = pyotp.TOTP(KEY.findall((await who.get("/account/two-factor")).text)[0])
    answer = await who.post("/account/two-factor", {"code": totp.at(page.clock.now)})
    codes = CODES.findall(answer.text)
    assert len(set(codes)) == RECOVERY_CODES, answer.text
    return totp, codes


async def with_code(who: Browser, asked: Answer, code: str, **fields: str) -> Answer:
    challenge = CHALLENGE.findall(asked.text)[0]
    return await who.post("/login/code", {"challenge": challenge, "code": code, **fields})


async def test_signing_in_asks_for_the_code_of_the_device(page: Site) -> None:
    async with signed_in(page) as admin, browser(page) as again:
        totp, codes = await turned_on(page, admin)
        shown = (await admin.get("/account/two-factor")).text
        assert not [each for each in (totp.secret, *codes) if each in shown]
        page.clock.now += NEXT
        asked = await again.log_in(next="/lines")
        assert (asked.status, asked.path, "/account" in asked.text) == (200, "/login", False)
        assert (await again.get("/lines")).path.startswith("/login")  # nobody is signed in yet
        assert (await with_code(again, asked, "000000")).status == 403
        assert (await with_code(again, asked, totp.at(page.clock.now), next="/lines")).path == "/lines"


async def test_a_code_works_once_and_none_that_is_older(page: Site) -> None:
    async with signed_in(page) as admin, browser(page) as again:
        totp, _ = await turned_on(page, admin)
        used = totp.at(page.clock.now)
        assert (await with_code(again, await again.log_in(), used)).status == 403
        page.clock.now += NEXT
        newer = totp.at(page.clock.now + NEXT)  # the device's clock is fast
        assert (await with_code(again, await again.log_in(), newer)).path == "/"
        async with browser(page) as thief:
            asked = await thief.log_in()
            for code in (newer, totp.at(page.clock.now), used, totp.at(page.clock.now + 2 * NEXT)):
                assert (await with_code(thief, asked, code)).status == 403


async def test_a_code_is_used_up_over_a_restart(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    async with site(tmp_path, clock=clock) as page, signed_in(page) as admin, browser(page) as again:
        totp, _ = await turned_on(page, admin)
        clock.now += NEXT
        used = totp.at(clock.now)
        assert (await with_code(again, await again.log_in(), used)).path == "/"
    async with site(tmp_path, clock=clock) as page, browser(page) as thief:
        assert (await with_code(thief, await thief.log_in(), used)).status == 403


async def test_a_recovery_code_works_once(page: Site) -> None:
    async with signed_in(page) as admin, browser(page) as again:
        _, codes = await turned_on(page, admin)
        answer = await with_code(again, await again.log_in(), codes[0].upper().replace("-", " "))
        assert (answer.path, f"{RECOVERY_CODES - 1} recovery codes are left" in answer.text) == (
            "/account/two-factor", True,
        )  # fmt: skip
        async with browser(page) as thief:
            assert (await with_code(thief, await thief.log_in(), codes[0])).status == 403
        await again.get("/account/two-factor")
        made = await again.post("/account/two-factor/codes", {"password": PASSWORD})
        assert not set(CODES.findall(made.text)) & set(codes)
        async with browser(page) as later:
            assert (await with_code(later, await later.log_in(), codes[1])).status == 403


async def test_a_challenge_ends_by_time_by_tries_and_with_the_password(page: Site) -> None:
    async with signed_in(page) as admin, browser(page, "127.0.0.2") as again, program(page) as cli:
        totp, _ = await turned_on(page, admin)
        asked = await again.log_in()
        page.steady.now += CHALLENGE_S
        page.clock.now += CHALLENGE_S
        over = await with_code(again, asked, totp.at(page.clock.now))
        assert (over.status, "once more" in over.text) == (403, True)
        asked = await again.log_in()
        for _ in range(CHALLENGE_TRIES):
            await with_code(again, asked, "000000")
            page.steady.now += 20  # the address has to wait, too
        assert (await with_code(again, asked, totp.at(page.clock.now))).status == 403
        page.steady.now += 900
        asked = await again.log_in()
        await cli.ask("PUT", "/api/users/admin/password", json={"password": "a new password"})
        assert (await with_code(again, asked, totp.at(page.clock.now))).status == 403
        assert (await again.post("/login/code", {"challenge": "guessed", "code": "000000"})).status == 403


async def test_wrong_codes_slow_down_though_the_password_is_right(page: Site) -> None:
    async with signed_in(page) as admin, browser(page, "127.0.0.2") as guesser:
        await turned_on(page, admin)
        statuses = []
        for _ in range(4):
            asked = await guesser.log_in()
            statuses.append(asked.status)
            if asked.status == 200:
                statuses.append((await with_code(guesser, asked, "000000")).status)
        assert statuses[-1] == 429
    async with program(page) as cli:
        failed = (await (await cli.get("/api/audit?action=sign-in%20failed")).json())["entries"]
        assert [each["subject"] for each in failed] == ["admin"] * statuses.count(403)


async def test_codes_are_guessed_from_everywhere_more_and_more_slowly(page: Site) -> None:
    async with signed_in(page) as admin:
        totp, _ = await turned_on(page, admin)
    page.clock.now += NEXT
    for number in range(CODE_TRIES.free_tries):
        async with browser(page, f"127.0.3.{number}") as guesser:
            assert (await with_code(guesser, await guesser.log_in(), "000000")).status == 403
    async with browser(page, "127.0.4.1") as again:
        asked = await again.log_in()
        answer = await with_code(again, asked, totp.at(page.clock.now))
        assert (answer.status, "wrong codes" in answer.text) == (429, True)
        page.steady.now += CODE_TRIES.first_delay_s
        assert (await with_code(again, asked, totp.at(page.clock.now))).path == "/"


async def test_it_is_turned_off_with_the_password_only(page: Site) -> None:
    async with signed_in(page) as admin:
        await turned_on(page, admin)
        await admin.get("/account/two-factor")
        assert (await admin.post("/account/two-factor/off", {"password": "wrong"})).status == 422
        assert (await admin.post("/account/two-factor/off", {"password": PASSWORD})).path == "/account/two-factor"
        async with browser(page) as again:
            assert (await again.log_in()).path == "/"


async def test_a_wrong_code_does_not_turn_it_on(page: Site) -> None:
    async with signed_in(page) as admin:
        await admin.get("/account/two-factor")
        assert (await admin.post("/account/two-factor", {"code": "000000"})).status == 422
        async with browser(page) as again:
            assert (await again.log_in()).path == "/"


@pytest.mark.parametrize("way", ["page", "api"])
async def test_an_administrator_turns_it_off_for_a_lost_device(page: Site, way: str) -> None:
    async with signed_in(page) as admin, user(page, "viewer", "anna") as anna, program(page) as cli:
        await turned_on(page, anna)
        assert (await (await cli.get("/api/users")).json())[1]["two_factor"] is True
        if way == "page":
            await admin.get("/users")
            assert (await admin.post("/users/anna/two-factor/off")).path == "/users"
        else:
            assert (await cli.ask("DELETE", "/api/users/anna/two-factor")).status == 204
        async with browser(page) as again:
            assert (await again.log_in(name="anna")).path == "/"


async def test_a_link_to_set_a_password_asks_for_the_code_too(page: Site) -> None:
    async with signed_in(page) as admin, browser(page) as again, program(page) as cli:
        totp, _ = await turned_on(page, admin)
        link = (await (await cli.ask("POST", "/api/access/link")).json())["link"]
        page.clock.now += NEXT
        asked = await again.set_password(link, "a new password")
        assert asked.path == "/password"
        assert (await again.get("/")).path == "/login"
        assert (await with_code(again, asked, totp.at(page.clock.now))).path == "/"


async def test_a_role_that_needs_it_can_do_nothing_else_before(tmp_path: Path) -> None:
    async with site(tmp_path, {"require_two_factor": ["administrator"]}) as page, browser(page) as admin:
        assert (await admin.set_password(page.served.first_link)).path == "/account/two-factor"
        assert (await admin.get("/settings")).path == "/account/two-factor"
        for path in ("/settings/installation", "/account/two-factor/off", "/drain"):
            assert (await admin.post(path, {"company": "Evil"})).status == 403
        assert (await admin.get("/api/status")).status == 403
        assert (await admin.get("/overview/calls", headers={"HX-Request": "true"})).status == 403
        await turned_on(page, admin)
        assert (await admin.get("/settings")).path == "/settings"
        async with program(page) as cli:
            assert (await cli.get("/api/status")).status == 200
        async with user(page, "viewer", "anna") as anna:
            assert (await anna.get("/lines")).path == "/lines"


ENROLMENT = {
    ("GET", "/account/two-factor"),
    ("POST", "/account/two-factor"),
    ("POST", "/account/passkeys"),
    ("POST", "/logout"),
}


async def test_every_other_route_is_closed_to_who_has_to_turn_it_on(tmp_path: Path) -> None:
    """Walked by the table of routes; a route that is open to everybody is open to them, too."""
    async with site(tmp_path, {"require_two_factor": ["administrator"]}) as page, browser(page) as admin:
        await admin.set_password(page.served.first_link)
        await admin.get("/account/two-factor")
        csrf = {"X-CSRF-Token": admin.csrf}
        for method, path in ALL:
            if ROLES.need(method, path) != ANYBODY and (method, path) not in ENROLMENT:
                answer = await admin.ask(method, ADDRESSES.get(path, path), headers=csrf, allow_redirects=False)
                sent_there = (answer.status, answer.headers.get("Location")) == (303, "/account/two-factor")
                assert answer.status == 403 or (method == "GET" and sent_there), (method, path, answer.status)


async def test_the_page_that_turns_it_on_shows_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path, {"require_two_factor": ["administrator"]}) as page, browser(page) as admin:
        await admin.set_password(page.served.first_link)
        for path in ("/account/two-factor", "/nothing-there"):
            shown = (await admin.get(path)).text
            assert ("data-worker" in shown, 'href="/lines"' in shown, 'action="/logout"' in shown) == (
                False, False, True,
            ), path  # fmt: skip
        await turned_on(page, admin)
        assert 'href="/lines"' in (await admin.get("/account/two-factor")).text


@pytest.mark.parametrize("path", ["/events", "/api/events"])
@pytest.mark.parametrize("change", ["turned off", "role"])
async def test_live_events_end_where_it_has_to_be_turned_on(tmp_path: Path, path: str, change: str) -> None:
    async with (
        site(tmp_path, {"require_two_factor": ["administrator"]}) as page,
        user(page, "viewer", "anna") as anna,
        program(page) as cli,
    ):
        if change == "turned off":
            await turned_on(page, anna)
            await cli.ask("PATCH", "/api/users/anna", json={"role": "administrator"})
        async with anna.http.get(page.url + path) as events:
            assert (await events.content.readline()).startswith(b"retry")
            if change == "turned off":
                await cli.ask("DELETE", "/api/users/anna/two-factor")
            else:
                await cli.ask("PATCH", "/api/users/anna", json={"role": "administrator"})
            assert b"data" not in await events.content.read()  # to its end


async def test_a_browser_that_has_shown_a_password_only_is_out_once_it_is_on(tmp_path: Path) -> None:
    settings = {"require_two_factor": ["administrator"]}
    async with site(tmp_path, settings) as page, browser(page) as admin, browser(page) as thief:
        await admin.set_password(page.served.first_link)
        assert (await thief.log_in()).path == "/account/two-factor"
        await turned_on(page, admin)
        assert (await thief.get("/settings")).path.startswith("/login")
        assert (await admin.get("/settings")).path == "/settings"


async def test_a_key_is_shown_to_one_browser_only(page: Site) -> None:
    """Else who knows the password, too, would know the key that its user confirms."""
    async with signed_in(page) as admin, signed_in(page) as thief:
        first, others, again = [
            KEY.findall((await who.get("/account/two-factor")).text)[0] for who in (admin, thief, admin)
        ]
        assert (first == again, first == others) == (True, False)


async def test_neither_codes_are_kept_nor_is_the_key_told(page: Site) -> None:
    async with signed_in(page) as admin, program(page) as cli:
        totp, codes = await turned_on(page, admin)
        told = (await cli.get("/api/users")).text + (await cli.get("/api/audit")).text
        assert "two-factor on" in told
        assert totp.secret not in told
    with closing(sqlite3.connect(page.database)) as database:
        dumped = "\n".join(database.iterdump())
    assert not [code for code in codes if code in dumped or code.replace("-", "") in dumped]
