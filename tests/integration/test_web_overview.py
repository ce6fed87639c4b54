"""The overview: the lights, the calls now, today's figures."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from ari_app.calls import outcome
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import EndedByAdministrator
from ari_app.calls.registry import NoRoom
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from tests.integration.web_calls import LINE, MALLORY, SCRIPT, a_call, calls_site, put, talking
from tests.integration.web_helpers import program, signed_in
from tests.integration.web_lines import lines_site

ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


async def test_with_no_line_it_leads_to_the_first_one(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        html = (await admin.get("/")).text
    assert 'href="/lines/add"' in html
    assert 'href="/connect"' in html
    assert "There is no line yet" in html
    assert "Nobody is talking now." in html


async def test_it_shows_each_line_with_its_lights(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        lines = [LineSettings(number=LINE, name=SCRIPT)]
        async with lines_site(tmp_path, telegram, lines) as shown, signed_in(shown.site) as admin:
            await shown.book.lines[LINE].first_attempt_done()
            html = (await admin.get("/overview/lines")).text
    assert f'<a href="/lines/{LINE.replace("+", "%2B")}">{ESCAPED}</a>' in html
    assert SCRIPT not in html
    assert html.count('class="dot ') == 3
    assert "Not signed in" in html
    assert "<html" not in html, "it is a part of the page"


LIVE = {
    "status": None,
    "cause": None,
    "reason": "",
    "ended_at": None,
    "answered": False,
    "to_answer_s": None,
    "talked_s": 0.0,
}
UNANSWERED = {"status": "NOANSWER", "answered": False, "to_answer_s": None, "talked_s": 0.0}


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_each_call_of_today_is_in_one_of_the_tiles(tmp_path: Path, language: str) -> None:
    async with calls_site(tmp_path) as page, signed_in(page, Accept_Language=language) as admin, program(page) as cli:
        now = page.clock.now
        kinds: tuple[tuple[str, dict[str, Any]], ...] = (
            ("in", {}),
            ("in", UNANSWERED),
            ("in", LIVE),
            ("out", {}),
            ("out", UNANSWERED),
            ("back", UNANSWERED),
        )
        for number, (direction, known) in enumerate(kinds):
            for again in range(number + 1):
                await put(page, a_call(10 * number + again, now, direction=direction, **known))
        html = " ".join((await admin.get("/overview/today")).text.split())
        tiles = [int(each) for each in re.findall(r"<dt>[^<]+</dt><dd>(\d+)</dd>", html)][:6]
        assert tiles == [6, 15, 5, 2, 11, 3]
        assert sum(tiles[:2]) == sum(tiles[2:])
        figures = await (await cli.get("/api/figures/today")).json()
    assert [figures[name] for name in ("incoming", "outgoing", "back")] == [6, 9, 6]
    assert [figures[name] for name in ("answered", "missed", "unanswered", "pending")] == [5, 2, 11, 3]


async def test_it_shows_the_calls_now(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        registry = page.services.registry
        async with talking(registry, MALLORY, pbx_party=SCRIPT) as call:
            html = (await admin.get("/overview/calls")).text
            whole = (await admin.get("/")).text
            call.end(outcome.by_administrator(Direction.IN, talking=True))
        after = (await admin.get("/overview/calls")).text
    assert SCRIPT not in html + whole
    assert f'<a href="/calls/{call.id}">{ESCAPED}' in html
    assert "Talking" in html
    assert f'action="/calls/{call.id}/hangup"' in html
    assert f'data-meter="{call.id}" data-level="from_telegram_dbfs"' in html
    assert f'data-meter="{call.id}" data-level="to_telegram_dbfs"' in html
    assert 'value="-25.0"' in html
    assert "data-since=" in html
    assert "Nobody is talking now." in after


@pytest.mark.parametrize("htmx", [True, False])
async def test_a_call_is_ended_from_it(tmp_path: Path, htmx: bool) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        await admin.get("/")
        headers = {"HX-Request": "true"} if htmx else {}
        async with talking(page.services.registry) as call:
            answer = await admin.post(f"/calls/{call.id}/hangup", headers=headers)
            async with asyncio.timeout(5):
                await call.ended()
        assert call.ending is not None
        assert call.ending.reason == EndedByAdministrator()
        assert answer.status == 200
        assert "The call is being ended." in answer.text
        assert answer.path == f"/calls/{call.id}" + ("/hangup" if htmx else "")
        again = await admin.post(f"/calls/{call.id}/hangup", headers=headers)
        assert "The call was over already." in again.text


async def test_nobody_ends_a_call_without_being_asked_to(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin, talking(page.services.registry) as call:
        answer = await admin.ask("POST", f"/calls/{call.id}/hangup", data={})
        assert answer.status == 403
        assert call.ending is None
        call.end(outcome.shut_down(talking=True))


async def test_it_says_that_one_more_call_is_refused(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page, Accept_Language="ru") as admin, program(page) as cli:
        page.services.registry.admission.capacity.limits = AdmissionLimits(max_calls=1)
        assert "note orange" not in (await admin.get("/overview/trouble")).text
        async with talking(page.services.registry, MALLORY) as call:
            html = (await admin.get("/")).text
            status = (await (await cli.get("/api/status")).json())["admission"]
            call.end(outcome.by_administrator(Direction.IN, talking=True))
    assert "Astergram достиг предела звонков: 1. Ещё один звонок будет отклонён. Увеличьте max_calls" in html
    assert status["room"] == 0
    assert status["shortage"].startswith("Astergram has reached its limit of calls: 1. Raise max_calls in [calls]")


async def test_new_calls_are_stopped_and_taken_again(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        assert "New calls" in (await admin.get("/settings")).text
        async with talking(page.services.registry) as call:
            begun = await admin.post("/drain")
            assert begun.path == "/"
            assert "Astergram takes no new calls: it is being drained." in begun.text
            assert "1 call is left." in begun.text
            assert "it takes no new calls" in (await admin.get("/settings")).text
            with pytest.raises(NoRoom):
                async with talking(page.services.registry, MALLORY):
                    pass
            call.end(outcome.by_administrator(Direction.IN, talking=True))
        assert "0 calls are left." in (await admin.get("/overview/trouble")).text
        cancelled = await admin.post("/drain/cancel")
        assert "Calls are taken on again." in cancelled.text
        assert "being drained" not in cancelled.text


async def test_new_calls_are_stopped_by_a_program(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, program(page) as cli:
        began_at = page.services.registry.drain._clock()
        begun = await (await cli.ask("PUT", "/api/drain")).json()
        assert (begun["draining"], begun["calls"]) == (True, 0)
        assert begun["since"] >= began_at
        assert await (await cli.ask("PUT", "/api/drain")).json() == begun
        assert (await (await cli.get("/api/status")).json())["admission"]["room"] == 0
        cancelled = await (await cli.ask("DELETE", "/api/drain")).json()
        assert cancelled == {"draining": False, "since": None, "calls": 0}
        assert await (await cli.get("/api/drain")).json() == cancelled


async def test_nobody_stops_new_calls_without_being_asked_to(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        assert (await admin.ask("POST", "/drain", data={})).status == 403
        assert not page.services.registry.drain.active


async def test_today_counts_only_today(tmp_path: Path) -> None:
    async with calls_site(tmp_path) as page, signed_in(page) as admin:
        now = page.clock.now
        missed = {"answered": False, "status": "NOANSWER", "to_answer_s": None, "talked_s": 0.0}
        await put(page, a_call(1, now), a_call(2, now, **missed), a_call(3, now, direction="out"))
        await put(page, a_call(4, now - 3 * 86400))
        html = " ".join((await admin.get("/overview/today")).text.split())
    for name, shown in (
        ("Inbound", "2"),
        ("Outbound", "1"),
        ("Missed", "1"),
        ("Not reached", "0"),
        ("Talk time", "1:40"),
    ):
        assert f"<dt>{name}</dt><dd>{shown}</dd>" in html
