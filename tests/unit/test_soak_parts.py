"""The parts of the soak that judge: what is right for a call that a fault hits, what is left, what has grown."""

import asyncio
import os
import socket
import subprocess
import sys
import wave
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import aiohttp
import pytest

from ari_app.api_client import NotRunning
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.soak import plan
from ari_app.sandbox.soak.api import PatientApi
from ari_app.sandbox.soak.audit import Made, audit
from ari_app.sandbox.soak.census import Census, census, descendants
from ari_app.sandbox.soak.plan import Fault, Kind
from ari_app.sandbox.soak.report import Report
from ari_app.sandbox.soak.scripts import SCRIPTS
from ari_app.sandbox.soak.talks import CONNECTED_S, GAP_MOST_MS, STAYS_S, Talk, Talks
from ari_app.sandbox.tones import write_tone
from media.sockets import short_address

ANNA = 7
WAIT_S = 20.0
ANSWERED = Kind.IN_CALLER_HANGS_UP


def made(kind: Kind = Kind.IN_CALLER_HANGS_UP, began_at: float = 100.0, **known: Any) -> Made:
    return Made(1, kind, "101", ANNA, began_at, **{"ended_at": began_at + 10} | known)


def row(direction: str = "in", status: str | None = "ANSWER", at: float = 101.0, **known: Any) -> dict[str, Any]:
    whose = {"pbx_party": "101", "person_id": None} if direction == "out" else {"pbx_party": "1", "person_id": ANNA}
    ended = None if status is None else at + 1
    basics = {"id": "c1", "direction": direction, "status": status, "began_at": at, "ended_at": ended, "detail": "so"}
    return basics | whose | known


def test_a_call_with_its_own_ending() -> None:
    assert audit([made()], [row()]) == []
    back = made(Kind.OUT_CALLED_BACK)
    assert audit([back], [row("out", "BUSY"), row("back", at=105.0, id="c2")]) == []


@pytest.mark.parametrize(
    ("call", "rows", "said"),
    [
        (made(), [], "is not in the history (in)"),
        (made(), [row(), row(id="c2")], "2 rows in in the history in place of 1"),
        (made(), [row(status="BUSY")], "ended with BUSY (in, so, call c1) in place of ANSWER"),
        (made(), [row(status=None)], "has no end"),
        (made(), [row("out"), row(id="c2")], "1 rows out in the history in place of 0"),
        (made(trouble="no answer"), [row()], "no answer"),
        (made(began_at=200.0), [row(), row(at=201.0, id="c2")], "nobody made the call"),
        (made(faults={Fault.DATABASE_LOCKED}), [row(status="ERROR")], "in place of ANSWER"),
        (made(faults={Fault.ARI_STALLED}, trouble="no audio"), [row(status="BUSY")], "in place of"),
        (made(faults={Fault.DISK_FULL}), [], "is not in the history"),
        (made(faults={Fault.MEDIA_KILLED}), [], "is not in the history"),
        (made(faults={Fault.ARI_CUT}), [row(status="NOTFOUND")], "in place of ANSWER or CANCEL or ERROR"),
        (made(faults={Fault.ARI_CUT}, talked=True), [row(status="ERROR")], "in place of ANSWER"),
        (made(faults={Fault.BOT_429}, trouble="no keypad"), [row(status="CANCEL")], "in place of ANSWER"),
        (made(Kind.OUT_CALLED_BACK), [row("out", "BUSY")], "is not in the history (back)"),
        (made(faults={Fault.DATABASE_LOCKED}, trouble="no answer"), [row()], "no answer"),
        (made(faults={Fault.BOT_DOWN}, trouble="no answer"), [row()], "no answer"),
        (made(faults={Fault.ARI_CUT}, talked=True, trouble="cut"), [row()], "cut"),
        (made(faults={Fault.MTPROTO_CUT}, talked=True, trouble="cut"), [row()], "cut"),
        (made(faults={Fault.CONTROLLER_KILLED}, talked=True, trouble="cut"), [row()], "cut"),
        (made(faults={Fault.CONTROLLER_KILLED}, talked=True), [row(status="ERROR")], "in place of ANSWER"),
        (made(faults={Fault.CONTROLLER_KILLED}, talked=True), [row(), row(id="c2")], "2 rows in"),
        (made(faults={Fault.CONTROLLER_KILLED}, talked=True, gap_ms=GAP_MOST_MS + 1), [row()], "nothing was heard"),
    ],
)
def test_what_is_wrong(call: Made, rows: list[dict[str, Any]], said: str) -> None:
    wrong = audit([call], rows)
    assert any(said in each for each in wrong), wrong


@pytest.mark.parametrize(
    ("call", "rows"),
    [
        (made(faults={Fault.ASTERISK_KILLED}, trouble="the phone is silent"), [row(status="ERROR")]),
        (made(faults={Fault.ASTERISK_KILLED}, trouble="the phone is silent"), []),
        (made(faults={Fault.MEDIA_KILLED}, trouble="ended"), [row(status="ERROR")]),
        (made(faults={Fault.MEDIA_KILLED}, trouble="ended"), [row(status="CANCEL")]),
        (made(Kind.OUT_PHONE_HANGS_UP, faults={Fault.ARI_STALLED}, trouble="no audio"), [row("out", "BUSY")]),
        (made(Kind.OUT_CALLED_BACK, faults={Fault.BOT_DOWN}, trouble="no card"), [row("out", "BUSY")]),
        (made(Kind.IN_KEYPAD, faults={Fault.BOT_DOWN}, trouble="no keypad"), [row()]),
        (made(Kind.IN_KEYPAD, faults={Fault.ARI_CUT}, talked=True, trouble="no key"), [row()]),
        (made(faults={Fault.ASTERISK_KILLED}, talked=True, trouble="cut"), [row()]),
        (made(faults={Fault.CONTROLLER_KILLED}, trouble="ended"), [row(status="ERROR")]),
        (made(faults={Fault.CONTROLLER_KILLED}, trouble="nobody rang"), []),
        (made(faults={Fault.CONTROLLER_KILLED}, talked=True, gap_ms=GAP_MOST_MS), [row()]),
    ],
)
def test_what_is_right_for_a_call_that_a_fault_hits(call: Made, rows: list[dict[str, Any]]) -> None:
    assert audit([call], rows) == []


def test_a_media_process_carries_one_call() -> None:
    """Of all the calls that are live when one is killed."""

    def live(person_id: int, kills: set[int]) -> Made:
        return Made(1, ANSWERED, "101", person_id, 100.0, 110.0, faults={Fault.MEDIA_KILLED}, kills=kills)

    def its(person_id: int, status: str) -> dict[str, Any]:
        return row(status=status, person_id=person_id, id=str(person_id))

    calls = [live(1, {4}), live(2, {4}), live(3, {5})]
    assert audit(calls, [its(1, "ERROR"), its(2, "ANSWER"), its(3, "ERROR")]) == []
    (wrong,) = audit(calls, [its(1, "ERROR"), its(2, "ERROR"), its(3, "ERROR")])
    assert wrong.startswith("one media process was killed, and 2 calls did not go as they should")
    calls[1].trouble = "cut"
    assert len(audit(calls, [its(1, "ERROR"), its(2, "ANSWER"), its(3, "ERROR")])) == 1


def test_a_row_belongs_to_the_call_that_began_before_it() -> None:
    first, second = made(), made(Kind.IN_DECLINED, began_at=110.1)
    assert audit([first, second], [row(at=100.1), row(status="BUSY", at=110.2, id="c2")]) == []


def test_the_same_seed_gives_the_same_soak() -> None:
    assert plan.calls(1, 200) == plan.calls(1, 200) != plan.calls(2, 200)
    assert list(islice(plan.faults(1), 60)) == list(islice(plan.faults(1), 60))


def test_every_kind_and_every_fault_comes_early() -> None:
    assert {call.kind for call in plan.calls(3, len(Kind))} == set(Kind) == set(SCRIPTS)
    faults = set(Fault) - {Fault.CONTROLLER_KILLED}
    assert {planned.fault for planned in islice(plan.faults(3), len(faults))} == faults
    assert Fault.CONTROLLER_KILLED not in {planned.fault for planned in islice(plan.faults(3), 200)}
    often = Counter(call.kind for call in plan.calls(3, 2000))
    assert often[Kind.IN_CALLER_HANGS_UP] > 2 * often[Kind.OUT_NO_MEDIA]


def test_kills_are_spread_over_the_calls() -> None:
    assert plan.kills(1, 500, 6) == plan.kills(1, 500, 6) != plan.kills(2, 500, 6)
    for part, number in enumerate(plan.kills(1, 500, 6)):
        assert part * 500 / 6 < number < (part + 1) * 500 / 6
    assert plan.kills(1, 1, 1) == [1]
    assert plan.kills(1, 10, 0) == []


async def test_a_kill_waits_for_somebody_who_stays() -> None:
    talks, now = Talks(), asyncio.get_running_loop().time
    async with asyncio.timeout(WAIT_S):
        long = asyncio.create_task(talks.talk(now() - 10, STAYS_S))
        short = asyncio.create_task(talks.talk(now(), 0.1))
        before = await talks.talk(now(), 0.0)
        async with talks.kill_is_due():
            assert not (long.done() or short.done())
            new = asyncio.create_task(talks.talk(now(), 0.0))
            await asyncio.sleep(0)
        made = [before, await long, await short, await new]
    assert [talk.survives for talk in made] == [False, True, True, False]
    assert [talk.is_known for talk in made] == [True, True, True, False]
    assert not Talk(100.0, 110.0, killed_at=100.0 + CONNECTED_S / 2).is_known


class FakeSupervisor:
    """Has the program ready; `kill` takes the one at work, and `start` brings the next."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.start()

    def start(self) -> None:
        self.program = object()
        self.ready.set()

    async def at_work(self) -> object:
        await self.ready.wait()
        return self.program


class FakeApi:
    """Raises what is to be raised, in order, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def ask(self, *_: Any) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_what_a_kill_has_met_is_asked_again_of_the_next_program() -> None:
    supervisor, api = FakeSupervisor(), FakeApi(aiohttp.ServerDisconnectedError())
    patient = PatientApi(cast(Any, api), cast(Any, supervisor))
    supervisor.ready.clear()
    async with asyncio.timeout(WAIT_S):
        asking = asyncio.create_task(patient.ask("GET", "/status"))
        await asyncio.sleep(0)
        assert api.asked == 0, "there is none to ask"
        supervisor.start()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await asking  # nobody had killed that one
        api.errors.append(NotRunning("gone"))
        asked = api.ask

        async def killed_meanwhile(*given: Any) -> str:
            supervisor.ready.clear()
            asyncio.get_running_loop().call_soon(supervisor.start)
            return await asked(*given)

        api.ask = killed_meanwhile  # type: ignore[method-assign]
        assert await patient.ask("GET", "/status") == "done"


def test_the_longest_gap_of_a_talk(tmp_path: Path) -> None:
    person, phone, silent = (tmp_path / name for name in ("person.wav", "phone.wav", "silent.wav"))
    write_tone(person, 440.0, 5.0)
    write_tone(phone, 440.0, 4.9)
    write_tone(silent, 440.0, 5.0, level_dbfs=-90.0)
    talk = Talk(100.0, 104.9, killed_at=102.0)
    assert talk.gap_ms(person, phone) == 0
    assert Talk(100.0, 106.0).gap_ms(person, phone) == 1100, "the phone's is shorter"
    assert talk.gap_ms(silent, phone) == 4900
    transferred = tmp_path / "transferred.wav"
    with wave.open(str(transferred), "wb") as target, wave.open(str(person), "rb") as tone:
        target.setparams(tone.getparams())
        sound = tone.readframes(tone.getnframes())
        target.writeframes(sound + bytes(2 * 48000) + sound)
    assert talk.gap_ms(transferred, phone) == 0, "as long as they talked"
    assert Talk(100.0, 107.0).gap_ms(transferred, transferred) == 1000


def test_a_census() -> None:
    pid = os.getpid()
    before = census(pid)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        now = census(pid)
        assert child.pid in descendants(pid)
        child.communicate(b"\n")
    assert now.processes == before.processes + 1
    assert now.fds > before.fds
    assert now.rss_mb > 1
    assert census(pid).processes == before.processes


def test_a_census_tells_requests_from_what_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, before = server.getsockname()[1], census(os.getpid())
        with socket.create_connection(("127.0.0.1", port)):
            now = census(os.getpid(), [port])
            assert (now.fds, now.requests) == (before.fds, 1)
            assert census(os.getpid()).fds == before.fds + 1


def test_a_census_knows_media_processes_whoever_has_started_them(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as closed:
        for each, name in ((listening, f"{uuid4().hex}.sock"), (closed, f"{uuid4().hex}.sock")):
            with short_address(tmp_path / name) as address:
                each.bind(address)
        assert census(os.getpid(), sockets=tmp_path).media == 0
        listening.listen()
        assert census(os.getpid(), sockets=tmp_path).media == 1


def test_growth_is_wrong() -> None:
    report = Report(1, samples=[Census(4, 30 + 2 * each, 2, 8, 100.0 + 10 * each) for each in range(9)])
    report.look_for_growth()
    assert report.wrong == [
        "fds: 32 in the first third, 44 in the last",
        "memory: 110 MB in the first third, 170 MB in the last",
    ]
    report.made = [made(gap_ms=10), Made(0, ANSWERED, "101", ANNA, 1.0)]
    assert report.as_json() == {
        "ok": False,
        "calls": 1,
        "faults": {fault.title: 0 for fault in Fault},
        "wrong": report.wrong,
        "left": {},
        "rss_mb": [110.0, 170.0],
        "fds": [32.0, 44.0],
        "survivors": 1,
        "gap_ms": 10,
    }


def test_a_program_that_stays_as_it_is() -> None:
    report = Report(1, samples=[Census(4, 30 + each % 2, 2, 8, 100.0 + each) for each in range(9)])
    report.look_for_growth()
    assert report.ok


async def test_a_proxy_stalls_and_cuts() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async with asyncio.timeout(WAIT_S):
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"1")
            assert await reader.readexactly(1) == b"1"
            assert proxy.connections == 1
            answer = asyncio.create_task(reader.readexactly(1))
            with proxy.stalled():
                writer.write(b"2")
                done, _ = await asyncio.wait({answer}, timeout=0.1)
                assert not done
            assert await answer == b"2"
            async with proxy.away():
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await reader.readexactly(1)
                refused, other = await asyncio.open_connection("127.0.0.1", proxy.port)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await refused.readexactly(1)
                other.close()
            writer.close()
            again, other = await asyncio.open_connection("127.0.0.1", proxy.port)
            other.write(b"3")
            assert await again.readexactly(1) == b"3"
            other.close()
