"""A call is asked for on the page, by the API and on the command line."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_app.calls import outcome
from ari_app.calls.registry import CallRefused
from ari_app.i18n import message
from ari_app.pbx.placing import KeyInUse, KeyReused, NoContext
from ari_app.telegram.errors import NotReady
from ari_app.telegram.peers import MalformedDestination
from ari_app.telegram.profile import Target
from tests.integration.command import done, refused
from tests.integration.test_cli import written
from tests.integration.web_helpers import Site, form_in, program, signed_in, site

ID = "0123456789ab"
ASKED = {"to": "@anna", "from": "101@phones"}


class Placer:
    """Remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str, Target, str]] = []
        self.error: Exception | None = None

    async def place(self, line: str | None, to: str, target: Target, key: str = "") -> str:
        self.asked.append((line, to, target, key))
        if self.error:
            raise self.error
        return ID


@pytest.fixture
def placer() -> Placer:
    return Placer()


@pytest.fixture
async def page(tmp_path: Path, placer: Placer) -> AsyncIterator[Site]:
    (tmp_path / "state").mkdir()
    async with site(tmp_path / "state", placer=placer) as served:
        yield served


async def test_a_program_asks_for_a_call(page: Site, placer: Placer) -> None:
    async with program(page) as cli:
        answer = await cli.ask("POST", "/api/calls", json=ASKED, headers={"Idempotency-Key": '"order-4711"'})
        assert (answer.status, answer.headers["Location"]) == (202, f"/api/calls/{ID}")
        assert await answer.json() == {"id": ID}
        await cli.ask("POST", "/api/calls", json=ASKED | {"line": "+79990000001"})
    assert placer.asked == [
        (None, "@anna", Target("101", "phones"), "socket order-4711"),
        ("+79990000001", "@anna", Target("101", "phones"), ""),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedDestination("no destination"), 422),
        (KeyReused(message("This key was used.")), 422),
        (KeyInUse(message("Ask again.")), 409),
        (NotReady("no line is connected to Telegram"), 409),
        (CallRefused("full", outcome.line_full(1)), 409),
        (NoContext(cast(Any, SimpleNamespace(number="+79990000001")), "101"), 422),
    ],
)
async def test_why_a_call_is_not_placed(page: Site, placer: Placer, error: Exception, status: int) -> None:
    placer.error = error
    async with program(page) as cli:
        answer = await cli.ask("POST", "/api/calls", json=ASKED)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert (await answer.json())["detail"]
    async with signed_in(page) as admin:
        assert (await admin.post("/calls", {**ASKED, "line": "", "key": "1"})).status == 422


@pytest.mark.parametrize(
    ("asked", "headers"),
    [
        (ASKED | {"from": ""}, {}),
        (ASKED | {"from": "101@"}, {}),
        (ASKED | {"from": "1/n@phones"}, {}),
        (ASKED | {"from": "Local/101@phones"}, {}),
        (ASKED | {"from": "UnicastRTP/192.0.2.1:4000"}, {}),
        (ASKED | {"to": ""}, {}),
        ({"to": "@anna"}, {}),
        (ASKED | {"line": "sales"}, {}),
        (ASKED, {"Idempotency-Key": "x" * 256}),
        (ASKED, {"Idempotency-Key": "a b"}),
        (ASKED, {"Idempotency-Key": ""}),
        (ASKED, {"Idempotency-Key": '""'}),
    ],
)
async def test_what_makes_no_sense(page: Site, placer: Placer, asked: Any, headers: dict[str, str]) -> None:
    async with program(page) as cli:
        assert (await cli.ask("POST", "/api/calls", json=asked, headers=headers)).status == 422
    assert placer.asked == []


async def test_the_form(page: Site, placer: Placer) -> None:
    async with signed_in(page) as admin:
        wrong = await admin.post("/calls", {"from": "101@", "to": "@anna", "line": "", "key": "1"})
        assert (wrong.status, "such as 101@phones" in wrong.text) == (422, True)
        fields = form_in(wrong, "/calls")
        assert (fields["to"], placer.asked) == ("@anna", [])
        assert re.fullmatch(r"\w{32}", fields["key"])
        placer.error = MalformedDestination("'@' is nobody")
        assert "is nobody" in (await admin.post("/calls", fields | {"from": "101@phones"})).text
        placer.error = None
        await admin.post("/calls", fields | {"from": "101@phones"})
        *asked, key = placer.asked[-1]
        assert asked == [None, "@anna", Target("101", "phones")]
        assert key.endswith(f" {fields['key']}")


@pytest.mark.parametrize("phone", ["101", "PJSIP/101"])
async def test_a_phone_alone(page: Site, placer: Placer, phone: str, tmp_path: Path) -> None:
    config = written(tmp_path / "state")
    async with program(page) as cli, signed_in(page) as admin:
        assert (await cli.ask("POST", "/api/calls", json=ASKED | {"from": phone})).status == 202
        await admin.post("/calls", {**ASKED, "from": phone, "line": "", "key": "1"})
        await done("call", "@anna", "--from", phone, "--config", config)
    assert [target for _, _, target, _ in placer.asked] == [Target(phone)] * 3


async def test_a_phone_alone_without_a_context(page: Site, placer: Placer, tmp_path: Path) -> None:
    """What to enter is said by the field, to a program, and on the command line."""
    placer.error = NoContext(cast(Any, SimpleNamespace(number="+79990000001")), "101")
    async with program(page) as cli, signed_in(page) as admin:
        answer = await cli.ask("POST", "/api/calls", json=ASKED | {"from": "101"})
        assert "PJSIP/101" in (await answer.json())["detail"]
        wrong = await admin.post("/calls", {**ASKED, "from": "101", "line": "", "key": "1"})
        assert re.search(r'id="about-from">\s*<p class="error">101 alone is dialled', wrong.text), wrong.text
    said = await refused(1, "call", "@anna", "--from", "101", "--config", written(tmp_path / "state"))
    assert "enter 101@ and its context" in " ".join(said.split())


@pytest.mark.parametrize("key", ["x" * 256, "a b", "\N{SNOWMAN}", '""'])
async def test_the_form_takes_the_keys_that_programs_may_use(page: Site, placer: Placer, key: str) -> None:
    async with signed_in(page) as admin:
        assert (await admin.post("/calls", {**ASKED, "line": "", "key": key})).status == 422
    assert placer.asked == []


async def test_a_key_is_whose_it_is(page: Site, placer: Placer) -> None:
    async with program(page) as cli, signed_in(page) as admin:
        for name in ("CRM", "dialler"):
            made = await (await cli.ask("POST", "/api/access/tokens", json={"name": name, "scope": "calls"})).json()
            async with program(page, made["token"]) as its:
                for _ in range(2):
                    await its.ask("POST", "/api/calls", json=ASKED, headers={"Idempotency-Key": "1"})
        await cli.ask("POST", "/api/calls", json=ASKED, headers={"Idempotency-Key": "1"})
        await admin.post("/calls", {**ASKED, "line": "", "key": "1"})
    first, again, second, _, here, user = (key for *_, key in placer.asked)
    assert first == again
    assert len({first, second, here, user}) == 4


async def test_the_command_line(page: Site, placer: Placer, tmp_path: Path) -> None:
    config = written(tmp_path / "state")
    command = ("call", "@anna", "--from", "101@phones", "--line", "79990000001", "--key", "1", "--config", config)
    assert await done(*command) == f"call {ID} has begun\n"
    assert placer.asked == [("+79990000001", "@anna", Target("101", "phones"), "socket 1")]
    placer.error = NotReady("there is no line +79990000001")
    assert "there is no line" in await refused(1, *command)
