"""The parts of the chaos run that judge: what is right for a call that a fault hits, and whether histories agree."""

from collections import Counter
from typing import Any, cast

import pytest

from ari_app.sandbox.chaos import plan
from ari_app.sandbox.chaos.audit import difference
from ari_app.sandbox.chaos.plan import Fault
from ari_app.sandbox.chaos.report import Report
from ari_app.sandbox.chaos.rules import Made, Struck, judged, judged_text

LINE = "+79990000001"


def row(status: str | None = "ANSWER", machine: str = "a", id: str = "c1") -> dict[str, Any]:
    return {"id": id, "status": status, "machine": machine, "detail": "so"}


def made(*rows: dict[str, Any], fault: Fault | None = None, gives_up: bool = False, **known: Any) -> Made:
    hit = [Struck(fault, "machine a", 90.0, 95.0, 101.0)] if fault else []
    usual = {} if gives_up else {"answered_at": 102.0, "talked": True}
    return Made(1, LINE, "+7", 7, gives_up, 100.0, 110.0, **usual | known, rows=list(rows), hit=hit)


@pytest.mark.parametrize(
    "call",
    [
        made(row()),
        made(row(), row("CANCEL", "b", "c2"), fault=Fault.NATS_CUT),
        made(row("ERROR"), row("CANCEL", "a", "c2"), row("ANSWER", "b", "c3"), fault=Fault.PROGRAM_KILLED),
        made(row("ERROR"), talked=False, trouble="ended", fault=Fault.PROGRAM_KILLED),
        made(row(), talked=False, trouble="ended", fault=Fault.TELEGRAM_CUT),
        made(row(), keypads=1),
        made(row(), row("CANCEL", "b", "c2"), keypads=2),
        made(row("CANCEL"), gives_up=True, cards=1),
        made(row("ERROR"), gives_up=True, fault=Fault.PROGRAM_KILLED),
        made(row("CANCEL"), row("CANCEL", "b", "c2"), gives_up=True, cards=1, fault=Fault.SERVER_KILLED),
    ],
)
def test_a_call_as_it_may_be(call: Made) -> None:
    assert judged(call) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (made(row("CANCEL"), answered_at=None, talked=False, trouble="no answer"), "was not answered: no answer"),
        (
            made(row("CANCEL"), answered_at=None, talked=False, trouble="gone", fault=Fault.PROGRAM_KILLED),
            "was not answered: gone",
        ),
        (made(row(), trouble="hung up"), ": hung up"),
        (made(row(), trouble="hung up", fault=Fault.NATS_CUT), ": hung up"),
        (made(), "the history has nothing; they talked"),
        (made(row(), row("ANSWER", "b", "c2")), "the history has ANSWER on a (c1: so), ANSWER on b (c2: so)"),
        (made(row(), row("ANSWER", "b", "c2"), fault=Fault.PROGRAM_STOPPED), "they talked"),
        (made(row(None)), "has no end in the history"),
        (made(*[row("CANCEL", id=str(n)) for n in range(3)], row(), fault=Fault.DATA_LOST), "the history has CANCEL"),
        (made(row("ERROR"), gives_up=True, cards=1), "the caller gave up, and the history has ERROR"),
        (made(row("CANCEL"), gives_up=True), "0 cards came after it"),
        (made(row("CANCEL"), gives_up=True, cards=2), "2 cards came after it"),
        (made(row("CANCEL"), gives_up=True, cards=2, fault=Fault.TELEGRAM_CUT), "2 cards came after it"),
        (
            made(row("CANCEL"), row("CANCEL", "b"), gives_up=True, cards=2, fault=Fault.DATA_LOST),
            "2 cards came after it",
        ),
        (made(row("CANCEL"), gives_up=True, fault=Fault.NATS_CUT), "0 cards came after it"),
        (made(row(), cards=1), "1 cards came after it"),
        (made(row(), keypads=2), "2 keypads were shown"),
    ],
)
def test_a_call_as_it_must_not_be(call: Made, said: str) -> None:
    assert [each for each in judged(call) if said in each]


def test_a_text_is_answered_once() -> None:
    assert not judged_text(1)
    assert judged_text(0) == "was not answered"
    assert judged_text(2) == "was answered 2 times"


def test_a_fault_is_felt_until_all_is_well_again() -> None:
    struck = Struck(Fault.NATS_CUT, "machine a", 10.0, 20.0, 25.0)
    assert struck.hits(5.0, 11.0) and struck.hits(24.0, 30.0)
    assert not struck.hits(5.0, 9.0) and not struck.hits(26.0, 30.0)


def test_every_fault_comes_as_often_and_a_seed_tells_which() -> None:
    planned = list(plan.faults(7, 3 * len(Fault)))
    assert planned == list(plan.faults(7, 3 * len(Fault))) != list(plan.faults(8, 3 * len(Fault)))
    assert Counter(each.fault for each in planned) == dict.fromkeys(Fault, 3)


def test_histories_that_agree_and_others() -> None:
    machines = cast(Any, [type("Machine", (), {"name": name}) for name in "ab"])

    def history(*rows: dict[str, Any]) -> dict[str, Any]:
        return {each["id"]: each for each in rows}

    both = history(row(), row("CANCEL", "b", "c2"))
    assert difference(machines, [both, both]) == ""
    assert difference(machines, [both, history(row())]) == "1 calls: c2: a has CANCEL on b, b lacks it"
    assert "c1: a has ANSWER on a, b has ERROR on a" in difference(machines, [both, both | history(row("ERROR"))])
    assert difference(machines, [history(row(None))] * 2).startswith("1 calls: c1: a has None")


def test_a_report() -> None:
    report = Report(3, "proxies", made=[made(row()), made(row(), fault=Fault.NATS_CUT)], texts=2)
    report.struck = [Struck(Fault.NATS_CUT, "machine a", 90.0, 95.0, 101.0)]
    told = report.as_json()
    assert told["ok"] and told["calls"]["answered"] == 2 and told["answer_without_fault_s"] == 2.0
    assert told["faults"] == {
        "program cut from NATS": {
            "times": 1,
            "longest_answer_s": 2.0,
            "longest_until_served_s": 12.0,
            "longest_until_one_holder_s": 6.0,
        }
    }
    assert [each.row_count for each in report.tables()] == [1, 9]
    report.wrong.append("one")
    assert not report.ok
