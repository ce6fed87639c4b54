"""What clients of the API have asked and been answered before its vocabulary was changed: they get it still.

`recorded/api.jsonl` was written on the last commit before, by `python -m tests.integration.test_api_recorded`, on
`recorded/astergram.sql`: the database of a soak of that time, and with it each sentence that the history could hold.
"""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ari_app import api_client
from ari_app.app import running
from ari_app.config import Settings
from ari_app.reports.export import BOM
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.sandbox.telegram.device import API_HASH, API_ID
from tests.e2e.whole_program import api
from tests.integration.web_helpers import Browser
from tests.integration.web_lines import NOBODY

RECORDED = Path(__file__).with_name("recorded")
KEPT_DAYS = 36500  # the calls were in 2025 and 2026
LINE, NEW = "+79990000001", "+79990000002"
RENAMED: Mapping[str, str] = {"near": "pbx_party", "ladder": "events"}
"""Fields that have another name since, as CHANGELOG.md lists them."""
VOLATILE = {"since", "running_s", "tasks", "waiting", "version", "made_at", "used_at", "start", "end", "day", "date"}
"""What differs from one run to another."""
PROSE = {"sentence", "detail", "reason", "text", "todo", "ending", "title"}
"""What people read: that it is there is promised, its words are not."""

REQUESTS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/status", None),
    ("GET", "/lines", None),
    ("GET", f"/lines/{LINE}", None),
    ("GET", f"/lines/{LINE}/settings", None),
    ("GET", f"/lines/{LINE}/lights", None),
    ("GET", f"/lines/{LINE}/card", None),
    ("GET", f"/lines/{LINE}/setup", None),
    ("GET", "/lines/+79990000010", None),
    ("PATCH", f"/lines/{LINE}/settings", {"max_calls": 3, "name": "Sales", "deny": ["+79990000005"]}),
    ("PATCH", f"/lines/{LINE}/settings", {"max_calls": 0}),
    ("PATCH", f"/lines/{LINE}/settings", {"card": {"no_answer": True, "callback": "queue"}, "nmae": 1}),
    ("PATCH", f"/lines/{LINE}/settings", {"texts": {"en": {"card": "Hello {name}", "keypad": "{unknown}"}}}),
    (
        "POST",
        f"/lines/{LINE}/texts/preview",
        {"name": "card", "language": "en", "template": "Hello {caller_name}, {company}"},
    ),
    ("POST", f"/lines/{LINE}/test-call", {"destination": "+79990000003"}),
    ("POST", "/lines", {"number": NEW, "name": "Support", "callers": ["101"], "default": True}),
    ("POST", "/lines", {"number": NEW}),
    ("POST", "/lines", {"number": "12"}),
    ("POST", f"/lines/{NEW}/reset", None),
    ("POST", f"/lines/{NEW}/logout", None),
    ("DELETE", f"/lines/{NEW}", None),
    ("GET", "/installation", None),
    ("PATCH", "/installation", {"company": "Acme", "timezone": "Europe/Berlin"}),
    ("PATCH", "/installation", {"timezone": "Nowhere"}),
    ("GET", "/access/tokens", None),
    ("POST", "/access/tokens", {"name": "CRM", "right": "everything"}),
    ("DELETE", "/access/tokens/999", None),
    ("GET", "/connect/vanilla", None),
    ("GET", "/calls?limit=500", None),
    ("GET", "/calls?direction=out&status=BUSY&limit=1&offset=1", None),
    ("GET", "/calls?text=79990000011&answered=true&limit=2", None),
    ("GET", "/calls?direction=sideways", None),
    ("GET", "/calls/live", None),
    ("GET", "/calls/000000000000", None),
    ("POST", "/calls/000000000000/hangup", None),
    ("GET", "/calls.csv", None),
)


@asynccontextmanager
async def old_program(folder: Path) -> AsyncIterator[Browser]:
    """Today's program on the old database, asked by somebody who has a token."""
    state = folder / "state"
    state.mkdir()
    database = sqlite3.connect(state / "astergram.db")
    database.executescript((RECORDED / "astergram.sql").read_text())
    database.close()
    async with LocalTelegram(folder / "telegram.db") as telegram:
        key = folder / "telegram.pem"
        key.write_text(telegram.public_key_pem)
        settings = Settings.model_validate(
            {
                "state_dir": state,
                "timezone": "UTC",
                "asterisk": {"url": NOBODY, "user": "astergram", "password": "secret"},
                "telegram": {
                    "host": telegram.host, "port": telegram.port, "public_key_file": key, "api_id": API_ID,
                    "api_hash": API_HASH,
                },
                "calls": {"history_days": KEPT_DAYS},
                "media": {"warm": 0},
                "web": {"port": 0},
            }
        )  # fmt: skip
        async with running(settings) as app, api_client.program(settings) as administrator:
            for line in app.lines:
                await line.first_attempt_done()
            made = await administrator.ask("POST", "/access/tokens", {"name": "a client", "right": "write"})
            async with api(app.web.url, made["token"]) as client:
                yield client


async def exchanges(client: Browser) -> AsyncIterator[dict[str, Any]]:
    """Each request with its answer, in the order in which they are made."""
    for method, path, body in REQUESTS:
        yield await exchange(client, method, path, body)
    for call in (await (await client.get("/api/calls?limit=500")).json())["calls"]:
        for language in ("en", "ru"):
            yield await exchange(client, "GET", f"/calls/{call['id']}", None, language)


async def exchange(client: Browser, method: str, path: str, body: Any, language: str = "en") -> dict[str, Any]:
    async with client.http.request(
        method, f"{client.url}/api{path}", json=body, headers={"Accept-Language": language}
    ) as answer:
        text = await answer.text()
    if answer.content_type == "text/csv":
        answered = steadied([*csv.DictReader(io.StringIO(text.removeprefix(BOM), newline=""))])
    else:
        answered = steadied(json.loads(text)) if text else ""
    return {"asked": [method, path, body, language], "status": answer.status, "answer": answered}


def steadied(value: Any, key: str = "") -> Any:
    """Without what differs from one run to another."""
    if isinstance(value, dict):
        return {name: steadied(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [steadied(each, key) for each in value]
    if key in VOLATILE and value is not None:
        return "..."
    return "a sentence" if key in PROSE and value else value


def renamed(value: Any) -> Any:
    """What was recorded, with the names that its fields have now."""
    if isinstance(value, dict):
        return {RENAMED.get(name, name): renamed(each) for name, each in value.items()}
    return [renamed(each) for each in value] if isinstance(value, list) else value


async def record() -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder:
        async with old_program(Path(folder)) as client:
            return [each async for each in exchanges(client)]


async def test_old_clients_get_what_they_got(tmp_path: Path) -> None:
    recorded = map(json.loads, (RECORDED / "api.jsonl").read_text().splitlines())
    async with old_program(tmp_path) as client:
        async for now in exchanges(client):
            before = next(recorded)
            assert now["asked"] == before["asked"]
            assert now["status"] == before["status"], now
            different = list(differences(renamed(before["answer"]), now["answer"]))
            assert not different, (now["asked"], different)
    assert next(recorded, None) is None


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where an answer is not what it was; it may have more fields than it had."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, each in before.items():
            if name not in now:
                yield f"{place}.{name} is gone"
            else:
                yield from differences(each, now[name], f"{place}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif before != now:
        yield f"{place}: {before!r} was, {now!r} is"


if __name__ == "__main__":
    for each in asyncio.run(record()):
        print(json.dumps(each, ensure_ascii=False))
