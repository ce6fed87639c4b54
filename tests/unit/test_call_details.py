"""What another machine of the cluster has of one of its calls, and nobody keeps but it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from typing import Any, cast

import pytest

from ari_app.calls.events import CallOffered, Connected, TimedEvent
from ari_app.calls.progress import CallState, Milestones
from ari_app.calls.samples import Sample
from ari_app.cluster.call_details import DETAILS, MOST_BYTES, CallDetails
from ari_app.i18n import message
from ari_app.reports.history import CallRecord, History, details_of
from ari_app.reports.whole_calls import WholeCalls, told_of
from ari_app.store.errors import StoreUnavailable
from tests.fake_messenger import FakeMessenger, Network
from tests.integration.web_calls import a_call

CALL = a_call(1, 1000.0)
WHOLE = CallRecord(
    CALL,
    CallState.ENDED,
    (TimedEvent(0.0, CallOffered("Anna")), TimedEvent(4.5, Connected())),
    Milestones(1.0, 4.0, 4.2, 4.5),
    (Sample(5.0, 2.5, 1, 20, -20.0, -25.0),),
)
LIVE = replace(WHOLE, call=replace(CALL, status=None, cause=None, reason="", ended_at=None), state=CallState.TALKING)
SILENT, STRANGE, NOTHING = "which does not answer", "does not understand its answer", "has nothing of it any more"


class Calls:
    """What a machine's history has, by id."""

    def __init__(self, *records: CallRecord) -> None:
        self.records = {each.call.id: each for each in records}
        self.error: Exception | None = None

    async def one(self, call_id: str) -> CallRecord | None:
        if self.error:
            raise self.error
        return self.records.get(call_id)


class Machine:
    """One of three; it knows what the others are called, and `c` is never there."""

    def __init__(self, network: Network, name: str, *records: CallRecord) -> None:
        self.messenger, self.kept = FakeMessenger(network, name), Calls(*records)
        others = {each: each for each in ("a", "b", "c") if each != name}
        history = cast(History, self.kept)
        details = CallDetails(self.messenger, lambda: others, lambda call_id: told_of(history, call_id))
        details.serve()
        self.calls = WholeCalls(history, details)


def shared(record: CallRecord, machine: str) -> CallRecord:
    """As another machine has it of the stream."""
    return CallRecord(replace(record.call, machine=machine), CallState.ENDED)


async def test_a_call_of_another_machine_has_its_flow_and_measurements() -> None:
    network: Network = {}
    a, b = Machine(network, "a", shared(WHOLE, "b")), Machine(network, "b", WHOLE)
    assert await a.calls.one(CALL.id) == replace(WHOLE, call=replace(CALL, machine="b"))
    assert await b.calls.one(CALL.id) == WHOLE
    assert a.kept.records == {CALL.id: shared(WHOLE, "b")}, "it keeps nothing of it"
    assert not b.messenger.asked


async def test_one_that_goes_on_is_found_where_it_is() -> None:
    network: Network = {}
    a, _ = Machine(network, "a"), Machine(network, "b", LIVE)
    assert await a.calls.one(CALL.id) == replace(LIVE, call=replace(LIVE.call, machine="b"))
    asked = len(a.messenger.asked)
    for unknown in ("x", "\udcff", CALL.id + "\n"):
        assert await a.calls.one(unknown) is None
    assert len(a.messenger.asked) == asked, "nobody has such a call"
    assert await a.calls.one("0" * 12) is None


async def test_who_is_nobody_here_stays_nobody() -> None:
    """The other machine has not erased them yet."""
    network: Network = {}
    nobody = replace(CALL, name="", person_id=None, peer="", machine="b")
    a, _ = Machine(network, "a", CallRecord(nobody, CallState.ENDED)), Machine(network, "b", WHOLE)
    found = await a.calls.one(CALL.id)
    assert found
    assert found.call == nobody


async def test_a_machine_that_is_away_or_has_nothing() -> None:
    network: Network = {}
    theirs, gone = shared(WHOLE, "c"), shared(WHOLE, "b")
    a, b = Machine(network, "a", theirs), Machine(network, "b")
    for machine, known, said in (("c", theirs, SILENT), ("b", gone, NOTHING), ("d", shared(WHOLE, "d"), SILENT)):
        a.kept.records[CALL.id] = known
        found = await a.calls.one(CALL.id)
        assert found
        assert (found.call, found.events, found.to_answer_s) == (known.call, (), CALL.to_answer_s)
        assert said in str(found.missing)
        assert f"achine {machine}" in str(found.missing)
    del b.messenger.slow_answers[DETAILS]  # as one of an earlier version
    a.kept.records[CALL.id] = gone
    found = await a.calls.one(CALL.id)
    assert found
    assert SILENT in str(found.missing)


def answer(**changes: Any) -> bytes:
    told = {"call": asdict(CALL), "state": "ended", "details": asdict(details_of(WHOLE))}
    return json.dumps(told | changes).encode()


def details(**changes: str) -> bytes:
    return answer(details=asdict(details_of(WHOLE)) | changes)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b"[" * 100_000,
        answer(call={}),
        answer(call=asdict(replace(CALL, id="0" * 12))),
        answer(call=asdict(replace(CALL, began_at=float("nan")))),
        answer(call=asdict(replace(CALL, direction="up"))),
        answer(state="unheard of"),
        answer(state="talking"),
        details(events="{"),
        details(events="5"),
        details(events="[5]"),
        details(events="{}") + b"x",
        details(events="[" * 100_000),
        details(events='[{"at_s": 1e999, "type": "Connected"}]'),
        details(events='[{"type": "Connected"}]'),
        details(events='[{"at_s": 1, "type": "CallEnded", "status": "x", "cause": 1, "reason": "y"}]'),
        details(events='[{"at_s": 1, "type": "Note", "where": "x", "text": "y"}]'),
        details(milestones='{"rings_s": "x"}'),
        details(milestones='{"rings_s": NaN}'),
        details(milestones="[]"),
        details(samples="[]"),
        details(samples='{"at_s": [1]}'),
        details(
            samples=json.dumps({name: [value] for name, value in asdict(WHOLE.samples[0]).items()} | {"lost": "x"})
        ),
        details(samples='{"at_s": [1], "jitter_ms": [1e400]}'),
        details(samples=details_of(WHOLE).samples.replace("[20]", "[" + "9" * 400 + "]")),
    ],
)
async def test_what_is_not_understood_is_not_shown(said: bytes) -> None:
    network: Network = {}
    a, b = Machine(network, "a", shared(WHOLE, "b")), Machine(network, "b")

    async def answers(question: bytes) -> bytes:
        return said

    b.messenger.slow_answers[DETAILS] = answers
    found = await a.calls.one(CALL.id)
    assert found
    assert (found.call, found.events, found.samples) == (shared(WHOLE, "b").call, (), ())
    assert STRANGE in str(found.missing)
    a.kept.records.clear()
    assert await a.calls.one(CALL.id) is None


async def test_a_later_version_may_say_more() -> None:
    network: Network = {}
    a, b = Machine(network, "a", shared(WHOLE, "b")), Machine(network, "b")

    async def answers(question: bytes) -> bytes:
        kept = details_of(WHOLE)
        more = {
            "events": kept.events[:-1] + ', {"at_s": 9.0, "type": "Unheard"}]',
            "milestones": kept.milestones[:-1] + ', "new_s": 1.0}',
            "samples": kept.samples[:-1] + ', "new": [1]}',
            "new": 1,
        }
        return answer(call=asdict(CALL) | {"new": 1}, details=more, new=1)

    b.messenger.slow_answers[DETAILS] = answers
    found = await a.calls.one(CALL.id)
    assert found
    assert (found.milestones, found.samples, found.missing) == (WHOLE.milestones, WHOLE.samples, None)
    assert [str(each.event) for each in found.events][2:] == ["Unheard"]


async def test_what_whoever_may_use_nats_can_ask() -> None:
    network: Network = {}
    b = Machine(network, "b", WHOLE, shared(replace(WHOLE, call=a_call(2, 1.0)), "a"))
    ask = b.messenger.slow_answers[DETAILS]
    for question in (b"", b"x", b"../../etc/pw", b"0" * 10_000, b"\xff" * 12, CALL.id.encode() + b"\n"):
        assert await ask(question) == b""
    assert await ask(a_call(2, 1.0).id.encode()) == b"null", "only its own"
    assert b"Anna" in await ask(CALL.id.encode())
    b.kept.error = StoreUnavailable(message("Disk full."))
    assert await ask(CALL.id.encode()) == b""


async def test_what_would_not_go_into_a_message_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    network: Network = {}
    large = tuple(TimedEvent(1.0, CallOffered("x" * 1000)) for _ in range(MOST_BYTES // 1000))
    a, _ = Machine(network, "a", shared(WHOLE, "b")), Machine(network, "b", replace(WHOLE, events=large))
    found = await a.calls.one(CALL.id)
    assert found
    assert STRANGE in str(found.missing)
    assert "too large" in caplog.text


async def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.cluster.call_details.ASK_S", 0.01)
    messenger, asked = FakeMessenger({}, "b"), 0

    async def hangs(call_id: str) -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    CallDetails(messenger, dict, hangs).serve()
    ask = messenger.slow_answers[DETAILS]
    assert await asyncio.gather(*(ask(CALL.id.encode()) for _ in range(20))) == [b""] * 20
    assert asked < 20, "a few at a time"


async def test_the_only_machine_asks_nobody() -> None:
    calls = WholeCalls(cast(History, Calls(WHOLE)))
    assert await calls.one(CALL.id) == WHOLE
    assert await calls.one("0" * 12) is None
