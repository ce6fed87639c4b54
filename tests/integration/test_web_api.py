"""The machinery of the JSON API, held to its OpenAPI document."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ari_app import __version__, zones
from ari_app.web.areas import OPERATIONS, ROLES
from ari_app.web.http.openapi import document
from ari_app.web.server import LARGEST_BODY
from tests.integration.web_helpers import PASSWORD, Browser, Site, held_to_its_document, program, signed_in, site

PROBLEM_JSON = "application/problem+json"
OURS = "^/(api/(access|status)|health|metrics)"  # other areas need parts that aren't served here


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


@pytest.fixture
async def cli(page: Site) -> AsyncIterator[Browser]:
    async with program(page) as opened:
        yield opened


async def test_the_status_is_told(page: Site, cli: Browser) -> None:
    page.steady.now += 5
    status = await (await cli.get("/api/status")).json()
    assert (status["version"], status["running_s"], status["calls"]) == (__version__, 5.0, 0)
    assert (status["timezone"], status["telegram_offset_s"]) == (zones.name_of(zones.MACHINE), None)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/nothing-there", {}, 404),
        ("GET", "/api", {}, 404),
        ("PUT", "/api/access/tokens", {"json": {}}, 405),
        ("POST", "/api/access/tokens", {"data": b"{"}, 415),
        ("POST", "/api/access/tokens", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/api/access/tokens", {"data": b"\xff", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/api/access/tokens", {"data": b"[" * 99999, "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/api/access/tokens", {"json": {"name": ""}}, 422),
        ("POST", "/api/access/tokens", {"json": {"name": "x", "right": "all"}}, 422),
        ("POST", "/api/access/tokens", {"json": {"name": "x", "more": 1}}, 422),
        ("POST", "/api/access/tokens", {"data": b"null", "headers": {"Content-Type": "application/json"}}, 422),
        ("DELETE", "/api/access/tokens/one", {}, 422),
        ("DELETE", "/api/access/tokens/0", {}, 422),
        ("DELETE", "/api/access/tokens/99999999999999999999", {}, 422),
        ("DELETE", "/api/access/tokens/99", {}, 404),
    ],
)
async def test_what_is_not_done_is_told_as_a_problem(
    cli: Browser, method: str, path: str, options: dict[str, object], status: int
) -> None:
    answer = await cli.ask(method, path, **options)
    problem = await answer.json()
    assert (answer.status, answer.headers["Content-Type"], problem["status"]) == (status, PROBLEM_JSON, status)
    assert problem["title"]
    assert problem["detail"]
    if status == 422:
        assert problem["errors"][0]["reason"]


async def test_too_large_a_body_is_refused(cli: Browser) -> None:
    body = io.BytesIO(json.dumps({"name": "x" * LARGEST_BODY}).encode())
    answer = await cli.ask("POST", "/api/access/tokens", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.headers["Content-Type"]) == (413, PROBLEM_JSON)


async def test_a_problem_never_repeats_what_was_sent(cli: Browser) -> None:
    body = {"old": ["my-secret"], "new": 5, "my-field": "my-secret"}
    answer = await cli.ask("POST", "/api/access/password", json=body)
    assert answer.status == 422
    assert "my-secret" not in answer.text


async def test_a_problem_is_told_in_the_askers_language(cli: Browser) -> None:
    answer = await cli.get("/api/nothing-there", headers={"Accept-Language": "ru"})
    assert (await answer.json())["detail"] == "Не найдено."


async def test_the_password_is_changed_by_the_api(page: Site, cli: Browser) -> None:
    async with signed_in(page) as admin:
        wrong = {"old": "a wrong guess", "new": "a new password"}
        assert (await cli.ask("POST", "/api/access/password", json=wrong)).status == 403
        short = {"old": PASSWORD, "new": "short"}
        assert (await cli.ask("POST", "/api/access/password", json=short)).status == 422
        right = {"old": PASSWORD, "new": "a new password"}
        assert (await cli.ask("POST", "/api/access/password", json=right)).status == 204
        assert (await admin.get("/settings")).path.startswith("/login")
        assert (await admin.log_in("a new password")).path == "/"


async def test_guesses_at_the_api_are_slowed_down_too(page: Site, cli: Browser) -> None:
    async with signed_in(page):
        pass
    guess = {"old": "a wrong guess", "new": "a new password"}
    for _ in range(5):
        assert (await cli.ask("POST", "/api/access/password", json=guess)).status == 403
    answer = await cli.ask("POST", "/api/access/password", json=guess)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")


async def test_the_document_names_every_operation_once(cli: Browser) -> None:
    document = await (await cli.get("/api/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)


async def test_every_reference_in_the_document_leads_somewhere(cli: Browser) -> None:
    text = (await cli.get("/api/openapi.json")).text
    schemas = json.loads(text)["components"]["schemas"]
    references = {part.partition('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert references
    assert references <= set(schemas)


def without_example(part: Any, path: str = "") -> Iterator[str]:
    """The places of what has a form of its own, and shows none that fits."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str) and not part.get("examples"):
            yield path
        for name, value in part.items():
            yield from without_example(value, f"{path}/{name}")
    elif isinstance(part, list):
        for place, value in enumerate(part):
            yield from without_example(value, f"{path}/{place}")


def test_what_has_a_form_of_its_own_shows_an_example() -> None:
    """Or the page would make one up of the regular expression."""
    assert [*without_example(document(OPERATIONS, ROLES))] == []


def test_each_operation_is_shown_as_a_command() -> None:
    described = document(OPERATIONS, ROLES)["paths"]
    assert 'curl -H "Authorization: Bearer $TOKEN" "$URL/api/status"' in described["/api/status"]["get"]["description"]
    assert described["/health"]["get"]["description"] == 'Needs no token.\n\n    curl "$URL/health"'
    made = described["/api/access/tokens"]["post"]["description"]
    assert "-X POST" in made
    assert "-d @body.json" in made


@pytest.mark.timeout(180)
async def test_schemathesis_finds_no_answer_outside_of_the_document(page: Site, tmp_path: Path) -> None:
    await held_to_its_document(page, tmp_path, OURS)
