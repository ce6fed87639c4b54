"""What connects an Asterisk, and what the doctor finds, on the page and by the API."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ari_app.bus import EventBus
from ari_app.doctor import Doctor, Finding, Grade, LineNeeds, Topic
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import message
from ari_app.web.connect.checkup import KEPT_S, Checkup
from tests.integration.web_calls import SCRIPT
from tests.integration.web_helpers import Browser, Clock, Site, nowhere, program, signed_in, site

LINE = "+79990000001"


def here(folder: Path) -> Surroundings:
    """An installation with a line, whose Asterisk and Telegram are away."""
    return replace(nowhere(folder), ari_user="pbx_user", app="desk", lines=(LineNeeds(LINE, "from-somewhere", 2),))


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    clock = Clock(1_800_000_000.0)
    async with site(tmp_path, clock=clock, doctor=Doctor(lambda: here(tmp_path), clock)) as served:
        yield served


@pytest.fixture
async def admin(page: Site) -> AsyncIterator[Browser]:
    async with signed_in(page) as browser:
        yield browser


async def test_the_lines_to_copy_are_this_installations(admin: Browser) -> None:
    html = (await admin.get("/connect")).text
    for text in ("[pbx_user]", "[from-somewhere]", "79990000001,1,", "Stasis(desk,", "bindport = 1"):
        assert text in html
    assert html.count("data-copy ") == 4
    assert "secret" not in re.sub(r"secret = THE_\w+|The secret is", "", html), "no password is shown"


@pytest.mark.parametrize(("flavour", "file"), [("freepbx", "extensions_custom.conf"), ("mikopbx", "modules.conf")])
async def test_each_kind_of_asterisk_has_its_own(admin: Browser, flavour: str, file: str) -> None:
    html = (await admin.get(f"/connect/{flavour}")).text
    assert f"<h2>{file}</h2>" in html
    assert f'href="/connect/{flavour}" aria-current="page"' in html


async def test_another_kind_is_not_there(admin: Browser) -> None:
    assert (await admin.get("/connect/other")).status == 404


async def test_the_page_comes_before_the_doctor(page: Site, admin: Browser) -> None:
    html = (await admin.get("/connect/vanilla")).text
    assert "Diagnostics" in html
    assert 'hx-trigger="load, again' in html
    with page.services.bus.subscribe() as events:
        part = (await admin.get("/connect/vanilla/findings", headers={"HX-Request": "true"})).text
        assert (await events.get()).kind == "doctor"
    for topic in ("ari", "ami", "dialplan"):
        assert f'<div id="findings-{topic}" hx-swap-oob="true">' in part
        assert f'<div id="findings-{topic}">' in html
    assert "AMI is not configured" in part
    assert "does not answer" in part
    again = (await admin.get("/connect/vanilla")).text
    assert "does not answer" in again
    assert 'hx-trigger="load' not in again


async def test_diagnostics_run_when_they_are_asked_for(page: Site, admin: Browser) -> None:
    await admin.get("/connect/vanilla")
    answer = await admin.post("/connect/vanilla/examine")
    assert answer.path == "/connect/vanilla"
    assert "does not answer" in answer.text
    assert "Diagnostics found" in (await admin.get("/")).text


async def test_the_api_tells_the_same(page: Site, tmp_path: Path) -> None:
    async with program(page) as cli:
        told = await (await cli.get("/api/connect/mikopbx", headers={"Accept-Language": "ru"})).json()
        assert [each["file"] for each in told][-1] == "extensions.conf"
        assert "from-somewhere" in told[-1]["text"]
        assert re.search("[а-я]", told[-1]["todo"])
        assert (await cli.get("/api/connect/other")).status == 422
        first = await (await cli.get("/api/doctor")).json()
        assert first["problems"] == sum(each["grade"] == "problem" for each in first["findings"]) > 0
        page.clock.now += 10
        assert (await (await cli.get("/api/doctor")).json())["at"] == first["at"]
        assert (await (await cli.ask("POST", "/api/doctor")).json())["at"] == first["at"] + 10


async def test_what_is_found_is_escaped(tmp_path: Path) -> None:
    class Dishonest(Doctor):
        async def examine(self) -> list[Finding]:
            said = message("{what} is wrong.", what=SCRIPT)
            return [Finding(Topic.ARI, Grade.PROBLEM, said, said), Finding(Topic.TIME, Grade.OK, said)]

    async with site(tmp_path, doctor=Dishonest(lambda: here(tmp_path))) as page, signed_in(page) as admin:
        html = (await admin.get("/connect/vanilla/findings")).text
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt; is wrong.") == 3
    assert SCRIPT not in html


class Counting(Doctor):
    """Counts the examinations, each of which waits until it may go on."""

    def __init__(self) -> None:
        self.examinations = 0
        self.go_on = asyncio.Event()

    async def examine(self) -> list[Finding]:
        self.examinations += 1
        await self.go_on.wait()
        return []


async def test_whoever_asks_at_the_same_time_shares_an_examination() -> None:
    doctor, clock = Counting(), Clock(1000.0)
    checkup = Checkup(doctor, EventBus(), clock)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(checkup.examined()) for _ in range(3)]
        await asyncio.sleep(0)
        doctor.go_on.set()
    assert doctor.examinations == 1
    assert {each.result().at for each in asking} == {1000.0}
    clock.now += KEPT_S - 1
    assert checkup.recent is not None
    await checkup.examined(anew=True)
    assert doctor.examinations == 2
    clock.now += KEPT_S
    assert checkup.recent is None
    await checkup.examined()
    assert doctor.examinations == 3
