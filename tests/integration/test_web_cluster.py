"""The machines of a cluster, in the API and by the command line."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.api_client import RequestRefused
from ari_app.api_client import program as api_of
from ari_app.cli import cluster as cli_cluster
from ari_app.cli.parser import parse
from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.control import ForgetRefused, MoveRefused
from ari_app.cluster.devices import SIGNED_IN, WANTED
from ari_app.cluster.live_calls import MachineCall, MachineCalls
from ari_app.cluster.members import Member
from ari_app.i18n import message
from ari_app.lines.settings import LineSettings
from tests.integration.web_helpers import Site, program, signed_in, site, user
from tests.integration.web_lines import LINE, ManyLines


class TwoMachines:
    """A cluster of which one machine is silent."""

    machine = "a"
    trouble: str | None = None

    def __init__(self) -> None:
        self.moved: list[tuple[str, str]] = []
        self.forgotten: list[str] = []

    def machines(self) -> list[tuple[Member, float, bool]]:
        return [
            (Member("a", "1.0", (LINE,), 2, draining=True, bot=True, devices={LINE: SIGNED_IN}), 0.4, True),
            (Member("b", "1.0", (LINE,), bot=True, takes=(LINE,), devices={LINE: SIGNED_IN}), 62.0, False),
            (Member("c", "1.0", takes=(LINE,), devices={LINE: WANTED}), 0.4, True),
        ]

    def signed_in(self, line: str) -> list[str]:
        return ["a", "b"]

    async def move(self, line: str, machine: str) -> None:
        if machine != "b":
            raise MoveRefused(message("There is no machine {machine}.", machine=machine))
        self.moved.append((line, machine))

    async def forget(self, machine: str) -> None:
        if machine != "b":
            raise ForgetRefused(message("Machine {machine} is at work.", machine=machine))
        self.forgotten.append(machine)


@asynccontextmanager
async def with_a_line(folder: Path, cluster: TwoMachines, **services: Any) -> AsyncIterator[Site]:
    async with site(folder, cluster=cluster, **services) as page:
        page.services.lines._settings[LINE] = LineSettings.of({"number": LINE, "name": "Sales"})
        yield page


def socket_of(page: Site) -> Any:
    return SimpleNamespace(socket=page.socket)


async def test_the_only_machine(tmp_path: Path) -> None:
    async with site(tmp_path) as page, signed_in(page), api_of(socket_of(page)) as api:
        with pytest.raises(RequestRefused, match=r"This is the only machine: there is no \[cluster\]"):
            await cli_cluster.run(parse(["cluster"]), api)


async def test_which_machines_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with site(tmp_path, cluster=TwoMachines()) as page, signed_in(page), api_of(socket_of(page)) as api:
        await cli_cluster.run(parse(["cluster"]), api)
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].split() == ["a", "(this", "one)", "draining", "1.0", "2", f"{LINE},", "bot", LINE, "-"]
        silent = ["b", "silent", "for", "62", "s", "1.0", "0", "-", LINE, "-"]
        assert lines[2].split() == silent, "what it held is another's, and its device is its own"
        assert lines[3].split() == ["c", "there", "1.0", "0", "-", "-", LINE]


async def test_nats_is_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = TwoMachines()
    cluster.trouble = "connection refused"
    async with site(tmp_path, cluster=cluster) as page, signed_in(page), api_of(socket_of(page)) as api:
        await cli_cluster.run(parse(["cluster"]), api)
        assert "The NATS servers do not answer: connection refused" in capsys.readouterr().out


async def test_a_line_is_moved_and_the_audit_log_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = TwoMachines()
    async with site(tmp_path, cluster=cluster) as page, signed_in(page), program(page) as cli:
        page.services.lines._settings[LINE] = LineSettings(number=LINE)
        async with asyncio.timeout(10), api_of(socket_of(page)) as api:
            await cli_cluster.run(parse(["cluster", "move", LINE, "b"]), api)
            assert cluster.moved == [(LINE, "b")]
            assert capsys.readouterr().out == f"machine b holds line {LINE} now\n"
            for number, machine, said in ((LINE, "z", "There is no machine z"), ("+1", "b", "There is no line")):
                with pytest.raises(RequestRefused, match=said):
                    await cli_cluster.run(parse(["cluster", "move", number, machine]), api)
        audit = json.loads((await cli.ask("GET", "/api/audit")).text)["entries"]
        assert [(each["action"], each["subject"]) for each in audit[:1]] == [("line moved", f"{LINE} b")]


async def test_a_machine_is_forgotten_and_the_audit_log_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = TwoMachines()
    async with site(tmp_path, cluster=cluster) as page, signed_in(page), program(page) as cli:
        async with asyncio.timeout(10), api_of(socket_of(page)) as api:
            await cli_cluster.run(parse(["cluster", "forget", "b"]), api)
            assert cluster.forgotten == ["b"]
            assert capsys.readouterr().out == "machine b is forgotten\n"
            with pytest.raises(RequestRefused, match="Machine c is at work"):
                await cli_cluster.run(parse(["cluster", "forget", "c"]), api)
        audit = json.loads((await cli.ask("GET", "/api/audit")).text)["entries"]
        known = [(each["action"], each["subject"]) for each in audit if each["action"] == "machine forgotten"]
        assert ("machine forgotten", "b") in known


async def test_a_silent_machine_is_forgotten_on_the_overview(tmp_path: Path) -> None:
    cluster = TwoMachines()
    async with with_a_line(tmp_path, cluster) as page:
        async with signed_in(page) as admin:
            for path in ("/", "/overview/cluster"):
                seen = (await admin.get(path)).text
                assert seen.count('action="/cluster/forget"') == 1, "only what is silent"
                assert 'name="machine" value="b"' in seen
            done = await admin.post("/cluster/forget", {"machine": "b"})
            assert (done.path, cluster.forgotten) == ("/", ["b"])
            assert "Machine b is forgotten." in done.text
            assert "Machine c is at work." in (await admin.post("/cluster/forget", {"machine": "c"})).text
        async with user(page, "operator") as operator:
            assert "/cluster/forget" not in (await operator.get("/")).text
            assert (await operator.post("/cluster/forget", {"machine": "b"})).status == 403
    assert cluster.forgotten == ["b"]


async def test_the_overview_shows_the_machines(tmp_path: Path) -> None:
    cluster = TwoMachines()
    cluster.trouble = "<connection> refused"
    async with with_a_line(tmp_path, cluster) as page, signed_in(page) as admin:
        for path in ("/", "/overview/cluster"):
            seen = re.sub(r"<[^>]*>", " ", (await admin.get(path)).text)
            rows = " ".join(seen.split())
            assert f"a this machine takes no new calls Sales ({LINE}) 2 1.0" in rows
            assert "b silent 1 minute ago – 0 1.0" in rows, "what it held is another's"
            assert "The NATS servers do not answer: &lt;connection&gt; refused" in rows
    async with site(tmp_path / "alone") as page, signed_in(page) as admin:
        assert "Machines" not in (await admin.get("/")).text
        assert not (await admin.get("/overview/cluster")).text.strip()


async def test_the_page_of_a_line_shows_where_it_is_signed_in(tmp_path: Path) -> None:
    lines = ManyLines(1)
    (number,) = lines.lines
    async with site(tmp_path, cluster=TwoMachines(), lines=lines, statuses=lines) as page, signed_in(page) as admin:
        for path in ("", "/now"):
            assert "Signed in on: a, b" in (await admin.get(f"/lines/{number}{path}")).text
    async with site(tmp_path / "alone", lines=lines, statuses=lines) as page, signed_in(page) as admin:
        assert "Signed in on" not in (await admin.get(f"/lines/{number}")).text


async def test_a_line_is_moved_on_the_overview(tmp_path: Path) -> None:
    cluster = TwoMachines()
    async with with_a_line(tmp_path, cluster) as page:
        async with signed_in(page) as admin:
            done = await admin.post("/cluster/move", {"line": LINE, "machine": "b"})
            assert (done.path, cluster.moved) == ("/", [(LINE, "b")])
            assert f"Machine b acts for line {LINE} now." in done.text
            assert "There is no machine z." in (await admin.post("/cluster/move", {"line": LINE, "machine": "z"})).text
            assert "There is no line +1" in (await admin.post("/cluster/move", {"line": "+1", "machine": "b"})).text
        async with user(page, "viewer") as viewer:
            assert "/cluster/move" not in (await viewer.get("/")).text
            assert (await viewer.post("/cluster/move", {"line": LINE, "machine": "b"})).status == 403
    assert cluster.moved == [(LINE, "b")]


CALL = MachineCall("0f3a5c7e9b1d", 100.0, "in", LINE, "<b>Anna</b>", "101", "talking")


class CallsElsewhere:
    """Those of b; c does not answer."""

    def __init__(self) -> None:
        self.live = {CALL.id: CALL}

    async def elsewhere(self) -> list[MachineCalls]:
        return [MachineCalls("b", tuple(self.live.values())), MachineCalls("c", None)]

    async def hang_up(self, machine: str, call_id: str) -> bool:
        if machine != "b":
            raise EngineAway(f"machine {machine} is away")
        return self.live.pop(call_id, None) is not None


async def test_calls_of_other_machines_are_seen_and_ended_on_the_page(tmp_path: Path) -> None:
    calls = CallsElsewhere()
    async with site(tmp_path, cluster=TwoMachines(), cluster_calls=calls) as page:
        async with signed_in(page) as admin:
            seen = (await admin.get("/overview/elsewhere")).text
            assert f'<a href="/calls/{CALL.id}">&lt;b&gt;Anna&lt;/b&gt;</a>' in seen
            assert "No answer about its calls: c." in seen
        async with user(page, "viewer") as viewer:
            assert "/cluster/hangup" not in (await viewer.get("/overview/elsewhere")).text
            assert (await viewer.post("/cluster/hangup", {"machine": "b", "id": CALL.id})).status == 403
        async with user(page, "operator") as operator:
            for machine, said in (
                ("c", "Machine c does not answer: machine c is away."),
                ("b", "The call is being ended."),
                ("b", "The call was over already."),
            ):
                assert said in (await operator.post("/cluster/hangup", {"machine": machine, "id": CALL.id})).text
            assert not calls.live
            assert "Anna" not in (await operator.get("/overview/elsewhere")).text


async def test_and_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = CallsElsewhere()
    async with site(tmp_path, cluster=TwoMachines(), cluster_calls=calls) as page, signed_in(page):
        async with api_of(socket_of(page)) as api:
            await cli_cluster.run(parse(["cluster", "calls"]), api)
            shown = capsys.readouterr().out.splitlines()
            assert shown[1].split()[:7] == ["b", CALL.id, LINE, "in", CALL.who, "101", "talking"]
            assert shown[2].split() == ["c", "does", "not", "answer"]
            await cli_cluster.run(parse(["cluster", "calls", "--json"]), api)
            assert json.loads(capsys.readouterr().out)[0]["calls"][0]["id"] == CALL.id
            await cli_cluster.run(parse(["cluster", "hangup", "b", CALL.id]), api)
            assert not calls.live
            for machine, said in (("b", "There is no live call"), ("c", "Machine c does not answer")):
                with pytest.raises(RequestRefused, match=said):
                    await cli_cluster.run(parse(["cluster", "hangup", machine, CALL.id]), api)
        async with program(page) as cli:
            audit = json.loads((await cli.ask("GET", "/api/audit")).text)["entries"]
            assert {(each["action"], each["subject"]) for each in audit if each["action"] == "call ended"} == {
                ("call ended", f"{CALL.id} b"),
            }


async def test_alone_there_is_nothing_elsewhere(tmp_path: Path) -> None:
    async with site(tmp_path) as page, signed_in(page) as admin:
        assert not (await admin.get("/overview/elsewhere")).text.strip()
        assert (await admin.post("/cluster/hangup", {"machine": "b", "id": CALL.id})).status == 404
        assert (await admin.post("/cluster/move", {"line": LINE, "machine": "b"})).status == 404
        assert (await admin.post("/cluster/forget", {"machine": "b"})).status == 404
