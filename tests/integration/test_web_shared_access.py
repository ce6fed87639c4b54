"""Two machines of a cluster: users, API tokens and signed-in browsers of one page are those of the other one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest

from ari_app.app.cluster import shared_page
from ari_app.cluster.engine import connected
from ari_app.cluster.shared_settings import Cipher, EngineSettings, SharedPage
from ari_app.sandbox.nats import PrivateNats
from tests.fake_engine import Engine, WayToEngine
from tests.integration.web_helpers import PASSWORD, Browser, Clock, Site, browser, program, signed_in, site

SECRET = "of the two machines only"
SOON_S = 30.0
LOOK_S = 0.05
OTHER = "another long password"


@dataclass
class Cluster:
    """Two pages, of machines whose clocks agree, and their ways to NATS."""

    a: Site
    b: Site
    clock: Clock
    ways: tuple[WayToEngine, ...] = ()

    def later(self) -> None:
        """A second."""
        self.clock.now += 1

    def cut_off(self, *, away: bool = True) -> None:
        """From NATS, both; or no longer."""
        for each in self.ways:
            each.away = away


@asynccontextmanager
async def pages(folder: Path, a: SharedPage, b: SharedPage, *ways: WayToEngine) -> AsyncIterator[Cluster]:
    clock = Clock(1_800_000_000.0)
    async with site(folder / "a", clock=clock, shared_page=a) as first:
        clock.now += 1  # each has an administrator of its own first start
        async with site(folder / "b", clock=clock, shared_page=b) as second:
            yield Cluster(first, second, clock, ways)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    users, sessions, cipher = Engine(), Engine(), Cipher(SECRET)
    ways = [(WayToEngine(users), WayToEngine(sessions)) for _ in range(2)]
    a, b = (SharedPage(*(EngineSettings(way, cipher, cipher.hidden) for way in its)) for its in ways)
    async with pages(tmp_path, a, b, *ways[0], *ways[1]) as its:
        yield its


@pytest.fixture
async def on_nats(tmp_path: Path) -> AsyncIterator[Cluster]:
    """With a real server between them."""
    async with (
        PrivateNats(tmp_path / "nats", servers=1) as nats,
        connected(nats.urls, "a") as a,
        connected(nats.urls, "b") as b,
        pages(tmp_path, shared_page(a, SECRET), shared_page(b, SECRET)) as its,
    ):
        yield its


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another machine has to hear of first."""
    async with asyncio.timeout(SOON_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(LOOK_S)


async def can_sign_in(page: Site, name: str, password: str = PASSWORD) -> bool:
    async with browser(page, f"127.0.1.{1 + sum(name.encode()) % 200}") as someone:
        return (await someone.log_in(password, name=name)).path == "/"


async def users(page: Site) -> dict[str, str]:
    async with program(page) as cli:
        return {each["name"]: each["role"] for each in await (await cli.get("/api/users")).json()}


@asynccontextmanager
async def moved(someone: Browser, there: Site) -> AsyncIterator[Browser]:
    """The same browser, where the page's name leads to the other machine."""
    (secret,) = [each.value for each in someone.http.cookie_jar if "visitor" not in each.key]
    async with browser(there) as opened:
        opened.http.cookie_jar.update_cookies({f"astergram-{there.served.port}": secret})
        yield opened


async def is_in(someone: Browser) -> bool:
    return (await someone.get("/account")).path == "/account"


async def test_by_nats(on_nats: Cluster) -> None:
    await users_follow(on_nats)
    async with signed_in(on_nats.a) as someone, moved(someone, on_nats.b) as there:
        await soon(lambda: is_in(there))


async def test_users_of_one_machine_are_users_of_the_other(cluster: Cluster) -> None:
    await users_follow(cluster)


async def users_follow(cluster: Cluster) -> None:
    a, b = cluster.a, cluster.b
    async with signed_in(a), program(a) as on_a, program(b) as on_b:  # `admin` has a password on A since
        await soon(lambda: can_sign_in(b, "admin"))
        made = {"name": "anna@example.com", "role": "operator", "password": PASSWORD}
        assert (await on_a.ask("POST", "/api/users", json=made)).status == 201

        async def knows_anna() -> bool:
            return "anna@example.com" in await users(b)

        await soon(knows_anna)
        assert await can_sign_in(b, "anna@example.com")
        cluster.later()
        assert (await on_b.ask("PATCH", "/api/users/anna@example.com", json={"role": "viewer"})).status == 200
        changed = await on_b.ask("PUT", "/api/users/anna@example.com/password", json={"password": OTHER})
        assert changed.status == 204, changed.text
        await soon(lambda: can_sign_in(a, "anna@example.com", OTHER))
        assert (await users(a))["anna@example.com"] == "viewer"
        assert not await can_sign_in(a, "anna@example.com", PASSWORD)
        assert (await on_a.ask("DELETE", "/api/users/anna@example.com")).status == 204

        async def has_forgotten_anna() -> bool:
            return await users(b) == {"admin": "administrator"}

        await soon(has_forgotten_anna)


async def test_a_token_works_on_both_machines_until_it_is_revoked(cluster: Cluster) -> None:
    a, b = cluster.a, cluster.b
    async with signed_in(a) as admin:
        await admin.get("/settings")
        page = await admin.post("/settings/tokens", {"name": "CRM", "scope": "admin"})
        secret = page.text.partition("astergram_")[2].partition("<")[0].split('"')[0]
        async with program(b, f"astergram_{secret}") as crm, program(b) as cli:

            async def works() -> bool:
                return (await crm.get("/api/status")).status == 200

            async def is_refused() -> bool:
                return (await crm.get("/api/status")).status == 401

            await soon(works)
            (told,) = await (await cli.get("/api/access/tokens")).json()
            assert (told["name"], told["made_by"], told["role"]) == ("CRM", "admin", "administrator")
            assert (await cli.ask("DELETE", f"/api/access/tokens/{told['id']}")).status == 204
            await soon(is_refused)
        async with program(a, f"astergram_{secret}") as crm:
            await soon(is_refused)


async def test_a_browser_is_signed_in_and_out_on_both_machines(cluster: Cluster) -> None:
    async with signed_in(cluster.a) as someone, moved(someone, cluster.b) as there:
        await soon(lambda: is_in(there))
        cluster.later()
        assert (await there.post("/logout")).path == "/login"

        async def is_out() -> bool:
            return not await is_in(someone)

        await soon(is_out)


async def test_another_password_signs_the_other_browsers_out_everywhere(cluster: Cluster) -> None:
    async with signed_in(cluster.a) as someone, moved(someone, cluster.b) as there:
        await soon(lambda: is_in(there))
        cluster.later()
        async with browser(cluster.b) as own:
            assert (await own.log_in()).path == "/"
            cluster.later()
            await own.get("/account")
            fields = {"old_password": PASSWORD, "new_password": OTHER, "password_again": OTHER}
            assert (await own.post("/account/password", fields)).status == 200

            async def is_out() -> bool:
                return not await is_in(someone)

            await soon(is_out)
            assert not await is_in(there)
            assert await is_in(own)
            async with moved(own, cluster.a) as there:
                await soon(lambda: is_in(there))


async def test_two_factor_authentication_is_asked_for_on_both(cluster: Cluster) -> None:
    async with signed_in(cluster.a) as someone:
        page = (await someone.get("/account/two-factor")).text
        totp = pyotp.TOTP(page.partition("<code>")[2].partition("<")[0].replace(" ", ""))
        shown = await someone.post("/account/two-factor", {"code": totp.at(int(cluster.clock.now))})
        assert shown.status == 200, shown.text

        async def asks() -> bool:
            async with browser(cluster.b) as other:
                return "challenge" in (await other.log_in()).text

        await soon(asks)


async def test_while_nats_is_away_people_sign_in_and_nothing_is_changed(cluster: Cluster) -> None:
    a, b = cluster.a, cluster.b
    async with signed_in(a) as someone, program(a) as cli, moved(someone, b) as there:
        await soon(lambda: is_in(there))
        cluster.cut_off()
        made = {"name": "boris", "role": "viewer", "password": PASSWORD}
        refused = await cli.ask("POST", "/api/users", json=made)
        assert (refused.status, "NATS has not answered, so nothing was changed" in refused.text) == (503, True)
        await someone.get("/users")
        refused = await someone.post("/users", {"name": "boris", "role": "viewer"})
        assert (refused.status, "NATS has not answered, so nothing was changed" in refused.text) == (503, True)
        for answer in (await cli.ask("POST", "/api/access/tokens", json={"name": "CRM"}), refused):
            assert answer.status == 503
        assert await users(a) == {"admin": "administrator"}
        cluster.later()
        async with browser(b) as own:
            assert (await own.log_in()).path == "/"
            assert (await someone.post("/logout")).path == "/login"
            assert await is_in(there)
            cluster.cut_off(away=False)

            async def is_out() -> bool:
                return not await is_in(there)

            await soon(is_out)
            async with moved(own, a) as elsewhere:
                await soon(lambda: is_in(elsewhere))
        assert (await cli.ask("POST", "/api/users", json=made)).status == 201
