"""The JSON API of the real program, held to its OpenAPI document by schemathesis and by hand."""

import asyncio
import json
import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import ClientResponse

from ari_app import api_client
from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage
from ari_app.web.areas import OPERATIONS, ROLES
from ari_app.web.http.openapi import document
from ari_app.web.http.operation import Operation
from ari_app.web.http.roles import ANYBODY, Role
from tests.e2e.whole_program import WholeProgram, api, whole_program
from tests.integration.web_helpers import Browser
from tests.unit.fake_ari import eventually
from tests.unit.webhook_receiver import receiver

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
ROUND_S = 150.0
LONGEST_FAILURE = 3000
NAME = "<script>alert(1)</script>"
EVENT_S = 30.0
OTHER_LINE = "+79990000009"
SPARE_TOKENS = 20  # those that are revoked for a try

# Each round finds the line as the ones before have left it: what takes its session away comes late.
ROUNDS = (
    r"GET (?!.*/(sign-in|card/))",
    r"POST .*/(setup|test-call|preview)$",
    r"POST /api/(access|doctor|calls)",
    r"\w+ .*/sign-in",
    r"(POST|PATCH|PUT) ",
    r"(GET|DELETE) .*/card/",
    r"DELETE ",
)
NOT_ASKED = {
    "GET /api/events",  # an answer without an end: test_a_line_from_its_beginning_to_its_end
}
NEVER_DONE = {
    "POST /api/access/link",  # by the Unix socket only
    "POST /api/access/password",  # it knows no password
    *(" ".join(operation) for operation in ROLES.people_only),  # not by a token
    "DELETE /api/users/{name}",  # the only one
    # There is no webhook yet, or its id is not known any more: tests/integration/test_web_webhooks.py
    "GET /api/webhooks/{id}",
    "GET /api/webhooks/{id}/deliveries",
    "POST /api/webhooks/{id}/deliveries/{delivery}/send",
    "DELETE /api/webhooks/{id}",
    # Nobody is told of alerts, nothing is muted, and no backup has that name: test_web_alerts.py and
    # test_web_backups.py of tests/integration
    "POST /api/alerts/test",
    "DELETE /api/alerts/mutes/{id}",
    "DELETE /api/backups/files/{name}",
    # There is one machine: tests/integration/test_web_cluster.py
    "GET /api/cluster",
    "GET /api/cluster/calls",
    "POST /api/cluster/hangup",
    "POST /api/cluster/move",
    "POST /api/cluster/forget",
    # There is no provider: tests/integration/test_web_oidc_ways.py
    "GET /api/access/oidc",
    "POST /api/access/oidc/test",
}
PERHAPS_DONE = {
    "POST /api/calls/{id}/hangup",  # a call that was placed may live yet, or not: test_a_call_is_seen_and_ended
}
MERGE_PATCHES = {"PATCH /api/alerts/settings", "PATCH /api/backups/settings"}
"""Their document takes any object (RFC 7396), and the program refuses settings that it does not know."""
SECRET = re.compile(r"password|hash|secret|token|session|key$", re.IGNORECASE)
SHOWN_ONCE = {
    ("make_token", "token"),
    ("make_link", "link"),
    ("make_user_link", "link"),
    ("add_webhook", "secret"),
    ("renew_webhook_secret", "secret"),
}
NO_SECRET = {"password_hint", "sessions"}  # of a backup: how many


@dataclass
class Findings:
    """What came of asking for one operation: the statuses of its answers, and one failure of each sort."""

    statuses: set[int] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)


def label(operation: Operation) -> str:
    """As schemathesis names it."""
    return f"{operation.method} {operation.path}"


def name(operation: Operation) -> str:
    return operation.function.__name__


# --- the document by itself


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(document(OPERATIONS, ROLES)))
    return made


def test_the_document_is_openapi_3_1(described: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(described).validate()


def test_names_are_unique() -> None:
    names = [name(each) for each in OPERATIONS]
    assert sorted(set(names)) == sorted(names)
    places = [label(each) for each in OPERATIONS]
    assert sorted(set(places)) == sorted(places)


def test_a_name_of_the_document_means_one_thing(described: dict[str, Any]) -> None:
    """Two models of one name would be described as one of them."""
    for each in OPERATIONS:
        alone = json.loads(json.dumps(document([each], ROLES)))["components"]["schemas"]
        for model, schema in alone.items():
            assert described["components"]["schemas"][model] == schema, f"{name(each)}: another {model} takes its place"


@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_an_operation_says_what_it_does_and_how_it_refuses(operation: Operation, described: dict[str, Any]) -> None:
    said = described["paths"][operation.path][operation.method.lower()]
    assert said["operationId"] == name(operation)
    assert said["summary"]
    assert said["tags"]
    need = ROLES.need(operation.method, operation.path)
    assert (need.value if isinstance(need, Role) else "no token") in said["description"]
    statuses = set(said["responses"])
    assert ({"401", "403"} <= statuses) is (need != ANYBODY)
    assert ("404" in statuses) or not operation.places
    assert {"400", "415", "422"} <= statuses or not operation.body
    assert len([each for each in statuses if each.startswith("2")]) == 1
    for status, answer in said["responses"].items():
        assert answer["description"]
        if status >= "4":
            assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_an_answer_has_no_place_for_a_secret(operation: Operation, described: dict[str, Any]) -> None:
    """Of a secret an answer says that it is "set", and no more."""
    said = described["paths"][operation.path][operation.method.lower()]
    for status, answer in said["responses"].items():
        for content in answer.get("content", {}).values():
            for key, schema in properties(content["schema"], described, set()):
                if SECRET.search(key) and key not in NO_SECRET and (name(operation), key) not in SHOWN_ONCE:
                    assert leaves(schema) <= {"set", None, False, True}, (status, key, schema)


def properties(schema: Any, described: dict[str, Any], seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Every property of a schema, and of those below it."""
    if isinstance(schema, list):
        for each in schema:
            yield from properties(each, described, seen)
    if not isinstance(schema, dict):
        return
    if (target := schema.get("$ref")) and target not in seen:
        model = described["components"]["schemas"][target.rpartition("/")[2]]
        yield from properties(model, described, seen | {target})
    for key, each in schema.items():
        if key == "properties":
            yield from each.items()
        yield from properties(list(each.values()) if key == "properties" else each, described, seen)


def leaves(schema: dict[str, Any]) -> set[Any]:
    """Every value that a schema lets through; an object for more than a few."""
    if "const" in schema or "enum" in schema:
        return {schema["const"]} if "const" in schema else set(schema["enum"])
    if "anyOf" in schema:
        return {each for below in schema["anyOf"] for each in leaves(below)}
    few: dict[str, set[Any]] = {"null": {None}, "boolean": {False, True}}
    return few.get(schema.get("type", ""), {"anything"})


# --- the real program


@pytest.fixture
async def program(sandbox: Stage) -> AsyncIterator[WholeProgram]:
    """A line that works, and a bot."""
    config = await sandbox.configuration(bot=sandbox.bot())
    await sandbox.sign_in_lines(load(config))
    async with whole_program(config) as running:
        yield running
    assert "unexpected error" not in running.printed
    assert "Traceback" not in running.printed, running.printed


async def token(program: WholeProgram, right: str = "write") -> str:
    """A new API token; by the Unix socket, as an administrator on the server would make one."""
    async with api_client.program(program.settings) as administrator:
        made = await administrator.ask("POST", "/access/tokens", {"name": "tests", "right": right})
    return str(made["token"])


@pytest.mark.timeout(600)
async def test_schemathesis(program: WholeProgram, sandbox: Stage, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Whatever is asked, the answer is one that the document describes; and each operation was done at least once."""
    await one_call(sandbox)
    for _ in range(SPARE_TOKENS):
        await token(program)
    secret = await token(program)
    wanted = {label(each) for each in OPERATIONS} - NOT_ASKED
    found: dict[str, Findings] = defaultdict(Findings)
    left = set(wanted)
    for pattern in ROUNDS:
        now = {each for each in left if re.match(pattern, each)}
        left -= now
        await ask(program, secret, sorted(now), tmp_path, found)
    assert not left, f"no round asks for {left}"
    async with api(program.url, secret) as its:
        assert (await its.get("/api/status")).status == 200, "the token that was used has been revoked meanwhile"
    assert wanted == set(found)
    for each in sorted(wanted):
        with subtests.test(each):
            failures = {
                name: said
                for name, said in found[each].failures.items()
                if not (each in MERGE_PATCHES and name.startswith("positive_data_acceptance"))
            }
            assert not failures, "\n\n".join(failures.values())
            done = any(200 <= status < 300 for status in found[each].statuses)
            assert each in PERHAPS_DONE or done is (each not in NEVER_DONE), sorted(found[each].statuses)


async def one_call(sandbox: Stage) -> None:
    """A call for the history."""
    async with SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone, sandbox.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await phone.established()
        await call.hang_up()
        await phone.closed()


async def ask(
    program: WholeProgram, secret: str, operations: list[str], folder: Path, found: dict[str, Findings]
) -> None:
    """Have schemathesis ask for some operations, and add what it finds."""
    report = folder / "report.ndjson"
    command = ["-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
    command += ["run", f"{program.url}/api/openapi.json", "--header", f"Authorization: Bearer {secret}"]
    command += ["--no-color", "--continue-on-failure", "--report", "ndjson", "--report-ndjson-path", str(report)]
    for each in operations:
        command += ["--include-name", each]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(ROUND_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    failed = False
    for line in report.read_text().splitlines():
        ((kind, event),) = json.loads(line).items()
        if kind == "ScenarioFinished":
            failed |= take(event["recorder"], found[event["recorder"]["label"]])
    assert process.returncode == int(failed), printed.decode()


def take(recorded: dict[str, Any], finding: Findings) -> bool:
    """Add what one scenario found; whether anything failed in it."""
    method = recorded["label"].partition(" ")[0]
    interactions = recorded.get("interactions", {})
    for each in interactions.values():
        if each["response"] and each["request"]["method"] == method:
            finding.statuses.add(each["response"]["status_code"])
    failed = False
    for case, checks in recorded.get("checks", {}).items():
        for check in (each for each in checks if each["status"] == "failure"):
            failed = True
            failure = check["failure_info"]["failure"]
            exchange = interactions.get(case, {})
            shown = json.dumps([exchange.get("request"), exchange.get("response")], ensure_ascii=False)
            text = f"{check['name']}: {failure['title']}: {failure['message']}\n{shown}"
            finding.failures.setdefault(f"{check['name']} {failure['title']}", text[:LONGEST_FAILURE])
    return failed


async def test_a_line_from_its_beginning_to_its_end(program: WholeProgram) -> None:
    async with api(program.url, await token(program)) as its, told(its) as events:
        added = await its.ask("POST", "/api/lines", json={"number": OTHER_LINE, "name": NAME, "api_hash": "a" * 32})
        assert (added.status, (await added.json())["name"]) == (201, NAME)
        assert (await its.ask("POST", "/api/lines", json={"number": OTHER_LINE})).status == 409
        await event(events, "lines", OTHER_LINE)
        got = await (await its.get(f"/api/lines/{OTHER_LINE}")).json()
        assert (got["number"], got["calls"], got["max_calls"]) == (OTHER_LINE, 0, 1)
        changed = await its.ask("PATCH", f"/api/lines/{OTHER_LINE}/settings", json={"max_calls": 3, "name": None})
        kept = await (await its.get(f"/api/lines/{OTHER_LINE}/settings")).json()
        assert await changed.json() == kept
        assert (kept["max_calls"], kept["name"], kept["api_hash"]) == (3, "", "set")
        while await colours(its, OTHER_LINE) != ["green", "red", "green"]:
            await event(events, "line", OTHER_LINE)
        assert [each["number"] for each in await (await its.get("/api/lines")).json()] == [LINE, OTHER_LINE]
        assert (await its.ask("DELETE", f"/api/lines/{OTHER_LINE}")).status == 204
        await event(events, "lines", OTHER_LINE)
        assert (await its.get(f"/api/lines/{OTHER_LINE}")).status == 404
        assert (await its.ask("DELETE", f"/api/lines/{OTHER_LINE}")).status == 404


async def test_a_call_is_seen_and_ended(program: WholeProgram, sandbox: Stage) -> None:
    async with (
        api(program.url, await token(program)) as its,
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
        told(its) as events,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await phone.established()
        (live,) = await (await its.get("/api/calls/live")).json()
        id = live["call"]["id"]
        assert (live["call"]["direction"], live["call"]["line"]) == ("in", LINE)
        assert (await its.get(f"/api/calls/{id}")).status == 200
        assert (await its.ask("POST", f"/api/calls/{id}/hangup")).status == 204
        await phone.closed()
        while (await (await its.get(f"/api/calls/{id}")).json())["state"] != "ended":
            await event(events, "call", id)
        assert (await its.ask("POST", f"/api/calls/{id}/hangup")).status == 404
        page = await (await its.get("/api/calls")).json()
        assert ([each["id"] for each in page["calls"]], page["total"]) == ([id], 1)
        export = await its.get("/api/calls.csv")
        assert export.headers["Content-Type"].startswith("text/csv")
        assert id in export.text


async def test_a_program_places_a_call_once(program: WholeProgram, sandbox: Stage) -> None:
    """The phone rings first, then the person; the same key again is the same call. A webhook tells of it."""
    asked = {"to": ANNA, "from": "101@phones", "line": LINE}
    async with (
        api(program.url, await token(program)) as its,
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
        told(its) as events,
        receiver() as crm,
    ):
        hook = await (await its.ask("POST", "/api/webhooks", json={"url": crm.url})).json()

        async def place(**changes: str) -> Any:
            return await its.ask("POST", "/api/calls", json=asked | changes, headers={"Idempotency-Key": "order-4711"})

        placed = await place()
        assert placed.status == 202, placed.text
        where, id = placed.headers["Location"], (await placed.json())["id"]
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        assert await (await place()).json() == {"id": id}
        assert (await place(to="@boris")).status == 422
        while (await (await its.get(where)).json())["state"] != "talking":
            await event(events, "call", id)
        await call.hang_up()
        await phone.closed()
        while (await (await its.get(where)).json())["state"] != "ended":
            await event(events, "call", id)
        whole = await (await its.get(where)).json()
        assert (whole["call"]["direction"], whole["call"]["status"], whole["call"]["line"]) == ("back", "ANSWER", LINE)
        assert await (await place()).json() == {"id": id}
        assert (await (await its.get("/api/calls")).json())["total"] == 1
        await eventually(lambda: any(each["type"] == "call.ended" for each in crm.bodies))
        sent = [each["type"] for each in crm.verified(hook["secret"]) if each["data"].get("call_id") == id]
        assert sent == ["call.offered", "call.ringing", "call.ringing", "call.answered", "call.ended"]


async def test_a_token_that_may_read_changes_nothing(program: WholeProgram) -> None:
    async with api(program.url, await token(program, "read")) as its, api(program.url) as nobody, told(its) as events:
        while await colours(its, LINE) != ["green", "green", "red"]:  # it has no dialogue with the bot
            await event(events, "line", LINE)
        before = await (await its.get("/api/lines")).json()
        for operation in OPERATIONS:
            path = operation.path
            places = {"number": LINE, "id": "1", "flavour": "vanilla", "kind": "picture"}
            places |= {"name": "anna", "delivery": "1", "person": "7"}
            for place, value in places.items():
                path = path.replace(f"{{{place}}}", value)
            if not ROLES.may(Role.VIEWER, operation.path, operation.method):
                assert (await its.ask(operation.method, path, json={})).status == 403, label(operation)
            refused = (await nobody.ask(operation.method, path)).status == 401
            assert refused is (ROLES.need(operation.method, path) != ANYBODY), label(operation)
        assert await (await its.get("/api/lines")).json() == before


async def colours(its: Browser, number: str) -> list[str]:
    """A line's lights."""
    lights = await (await its.get(f"/api/lines/{number}/lights")).json()
    return [lights[name]["colour"] for name in ("calls", "client", "bot")]


@asynccontextmanager
async def told(its: Browser) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """The live events from now on, each with its kind and data."""
    async with its.http.get(f"{its.url}/api/events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield _events(answer)


async def _events(answer: ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    kind = ""
    async for line in answer.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            yield kind, json.loads(value)


async def event(events: AsyncIterator[tuple[str, Any]], kind: str, key: str) -> None:
    """Wait for an event."""
    async with asyncio.timeout(EVENT_S):
        while True:
            told_kind, data = await anext(events)
            if told_kind == kind and data.get("key") == key:
                return
