"""A database that can't be used, and unexpected errors: what the page and the API say of them."""

import asyncio
import threading
from pathlib import Path

import pytest

from ari_app.store import store as store_module
from ari_app.store.store import Store
from ari_app.tasks import Failures
from tests.integration.web_calls import calls_site
from tests.integration.web_helpers import PASSWORD, browser, program, signed_in
from tests.unit.storage_trouble import locked

PATIENCE_S = 30.0
SHORT_S = 0.3
LOCKED = "Another program has locked"
NEW = "another long password"


def keep(store: Store) -> None:
    """Something that a call has to keep."""
    store.later(("pause", "a"), lambda db: db.table("pauses").delete_where())


async def test_the_overview_and_the_api_say_that_the_database_is_away(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin, program(page) as cli:
        store = page.services.store
        async with locked(store, page.database):
            keep(store)
            assert not await store.written()
            html = (await admin.get("/")).text
            status = (await (await cli.get("/api/status")).json())["database"]
        assert '<p class="note red">' in html
        assert f"{LOCKED} {page.database}: stop that program. Calls go on" in html
        assert "1 change waits." in html
        assert status["trouble"] == f"{LOCKED} {page.database}: stop that program."
        assert (status["waiting"], status["lost"]) == (1, 0)
        await store.queue.flush(PATIENCE_S)
        assert "note red" not in (await admin.get("/overview/trouble")).text
        answer = await (await cli.get("/api/status")).json()
        assert answer["database"] == {"trouble": None, "since": None, "waiting": 0, "lost": 0}


async def test_what_is_lost_stays_to_be_seen(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        page.services.store.queue.lost = 3
        assert "3 changes could not be kept and are lost" in (await admin.get("/overview/trouble")).text


async def test_a_change_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "RUN_S", SHORT_S)
    async with calls_site(tmp_path) as page, program(page) as cli:
        async with locked(page.services.store, page.database):
            answer = await cli.ask("PATCH", "/api/installation", json={"company": "Acme"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert (await answer.json())["detail"].startswith(LOCKED)
        assert (await (await cli.get("/api/installation")).json())["company"] == ""
        assert page.services.installation.settings.company == ""


async def test_a_page_does_not_wait_for_a_disk_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    async with calls_site(tmp_path) as page, signed_in(page) as admin, program(page) as cli:
        monkeypatch.setattr(store_module, "RUN_S", SHORT_S)
        stuck = asyncio.create_task(page.services.store.run(lambda db: release.wait(PATIENCE_S)))
        try:
            answer = await admin.get("/")
            assert answer.status == 503
            assert "does not answer within 0.3 s: check its disk." in answer.text
            assert (await cli.get("/api/status")).status == 200
        finally:
            release.set()
            await asyncio.wait({stuck})
            assert stuck.exception() is not None


async def test_unexpected_errors_are_to_be_looked_for_in_the_log(tmp_path: Path) -> None:
    failures = Failures()
    async with calls_site(tmp_path, failures=failures) as page, signed_in(page) as admin, program(page) as cli:
        assert "unexpected" not in (await admin.get("/")).text
        assert (await (await cli.get("/api/status")).json())["unexpected_errors"] == {
            "count": 0, "last_at": None, "last_in": None,
        }  # fmt: skip
        failures.add("call a", ValueError("SECRET"))
        failures.add("call <b>", ValueError("SECRET"))
        html = (await admin.get("/")).text
        status = (await (await cli.get("/api/status")).json())["unexpected_errors"]
    assert "2 unexpected errors since the start, the last one in: call &lt;b&gt;. Look into the log." in html
    assert "SECRET" not in html + str(status)
    assert (status["count"], status["last_in"]) == (2, "call <b>")


async def test_signing_in_and_out_goes_on(tmp_path: Path) -> None:
    """Whoever comes to see what is wrong gets in, and stays in afterwards; who has signed out is out."""
    async with calls_site(tmp_path) as page, signed_in(page), browser(page) as late, browser(page) as leaving:
        await leaving.log_in()
        async with locked(page.services.store, page.database):
            assert (await late.log_in()).path == "/"
            assert f"{LOCKED} {page.database}" in (await late.get("/overview/trouble")).text
            assert "Sign in" in (await leaving.post("/logout")).text
            assert (await leaving.get("/")).path.startswith("/login")
        await page.services.store.queue.flush(PATIENCE_S)
        assert (await late.get("/")).path == "/"
        assert (await leaving.get("/")).path.startswith("/login")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/sessions/others", {}),
        ("/account/password", {"old_password": PASSWORD, "new_password": NEW, "password_again": NEW}),
    ],
)
async def test_who_is_signed_out_stays_out_though_their_sign_in_was_not_written_yet(
    tmp_path: Path, path: str, fields: dict[str, str]
) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin, browser(page) as late:
        async with locked(page.services.store, page.database):
            await late.log_in()
            await page.services.store.written()
        assert len(page.services.store.queue) > 0
        assert (await admin.post(path, fields)).status == 200
        assert (await late.get("/")).path.startswith("/login")
        await page.services.store.queue.flush(PATIENCE_S)
        assert (await late.get("/")).path.startswith("/login")
