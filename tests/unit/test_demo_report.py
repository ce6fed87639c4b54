"""The demo's verdict and its report."""

import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from ari_app.sandbox.demo.report import CallReport, HeardTone, Report, Side, Step, SurvivedCall

GOOD: dict[Side, HeardTone] = {
    "telegram": HeardTone(700.0, 700.2, -12.6, 0, 180),
    "phone": HeardTone(440.0, 439.9, -13.1, 0, None),
}


def talked(**changes: object) -> CallReport:
    call = CallReport("in-websocket", "in", "websocket", "opus", "ANSWER", True, "ANSWER", 150, dict(GOOD))
    return replace(call, **changes)  # type: ignore[arg-type]


def declined(status: str = "BUSY") -> CallReport:
    return CallReport("declined-rtp", "out", "rtp", "alaw", "BUSY", False, status, sip_status="486 Busy Here")


def survived(**changes: object) -> SurvivedCall:
    call = SurvivedCall("survives-rtp", "in", "rtp", "opus", "ANSWER", True, "ANSWER", 150, dict(GOOD))
    return replace(call, **{"heard_after": dict(GOOD), "gap_ms": 0} | changes)  # type: ignore[arg-type]


def test_the_report_has_the_agreed_shape() -> None:
    report = Report([Step("telegram", True, 0.5)], [talked(), declined()])
    written = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert written == {
        "ok": True,
        "steps": [{"name": "telegram", "ok": True, "at_s": 0.5}],
        "calls": [
            {
                "name": "in-websocket",
                "direction": "in",
                "transport": "websocket",
                "phone_codec": "opus",
                "status": "ANSWER",
                "setup_ms": 150,
                "heard": {
                    "telegram": {"expected_hz": 700.0, "hz": 700.2, "level_dbfs": -12.6, "gaps": 0, "delay_ms": 180},
                    "phone": {"expected_hz": 440.0, "hz": 439.9, "level_dbfs": -13.1, "gaps": 0, "delay_ms": None},
                },
            },
            {
                "name": "declined-rtp",
                "direction": "out",
                "transport": "rtp",
                "phone_codec": "alaw",
                "status": "BUSY",
                "setup_ms": None,
                "heard": {},
            },
        ],
    }


def heard(**changes: object) -> CallReport:
    return talked(heard={**GOOD, "telegram": replace(GOOD["telegram"], **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (heard(hz=704.0), "in-websocket: Anna heard 704 Hz, and 700 Hz was spoken"),
        (heard(level_dbfs=-31.0), "in-websocket: Anna heard it at -31 dBFS, and it was spoken at -12"),
        (heard(level_dbfs=-2.0), "in-websocket: Anna heard it at -2 dBFS, and it was spoken at -12"),
        (heard(gaps=2), "in-websocket: Anna heard it with 2 gaps"),
        (heard(level_dbfs=-99.0, hz=0.0), "in-websocket: Anna heard nothing"),
        (talked(heard={"telegram": GOOD["telegram"]}), "in-websocket: phone 101 was not recorded"),
        (talked(status="ERROR"), "in-websocket: TELEGRAM_STATUS is ERROR, and ANSWER was expected"),
        (declined("NOANSWER"), "declined-rtp: TELEGRAM_STATUS is NOANSWER, and BUSY was expected"),
        (talked(failures=["nobody came"], status=None, heard={}), "in-websocket: nobody came"),
    ],
)
def test_what_is_wrong_is_said_and_fails_the_demo(call: CallReport, problem: str) -> None:
    report = Report([], [talked(), call])
    assert report.problems() == [problem]
    assert report.as_json()["ok"] is False


def test_a_call_that_survives_is_told_of_before_and_after() -> None:
    assert Report([], [survived()]).problems() == []
    told = survived().as_json()
    assert told.keys() == talked().as_json().keys() | {"gap_ms"}
    assert (told["heard"], told["gap_ms"]) == ({"before": talked().as_json()["heard"]} | {"after": as_data(GOOD)}, 0)


def as_data(heard: dict[Side, HeardTone]) -> dict[str, object]:
    return {side: vars(tone) for side, tone in heard.items()}


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (survived(gap_ms=60), "survives-rtp: the longest gap across the kill was 60 ms"),
        (survived(gap_ms=None), "survives-rtp: the longest gap across the kill was None ms"),
        (survived(heard_after={"phone": GOOD["phone"]}), "survives-rtp: after the kill Anna was not recorded"),
        (survived(heard={"telegram": GOOD["telegram"]}), "survives-rtp: phone 101 was not recorded"),
        (survived(failures=["nobody came"], gap_ms=None), "survives-rtp: nobody came"),
    ],
)
def test_what_is_wrong_with_a_call_that_should_survive(call: SurvivedCall, problem: str) -> None:
    assert Report([], [call]).problems() == [problem]


def test_a_demo_without_calls_has_shown_nothing() -> None:
    assert Report().problems() == ["no call was placed"]


def test_a_failed_step_fails_the_demo() -> None:
    assert Report([Step("keypad", False, 1.0)], [talked()]).problems() == ["the step keypad failed"]


def test_silence_can_be_written_as_json() -> None:
    assert HeardTone.of(440.0, 0.0, -math.inf, 0, None).level_dbfs == -99.0


@pytest.mark.parametrize("plain", [True, False])
def test_the_table_fits_a_terminal(plain: bool) -> None:
    output = io.StringIO()
    unanswered = CallReport(
        "unanswered-websocket", "out", "websocket", "alaw", "NOANSWER", False, "NOANSWER", sip_status="480 Temporarily"
    )
    console = Console(file=output, width=80, force_terminal=False, no_color=True)
    console.print(Report([], [talked(), declined(), unanswered, survived()]).table(plain=plain))
    lines = output.getvalue().splitlines()
    assert "…" not in output.getvalue()
    first = next(number for number, line in enumerate(lines) if line.strip().startswith("call"))
    assert lines[first - 1].split() == ["tone", "level", "delay", "set-up"]
    assert lines[first].split() == ["call", "status", "heard", "by", "Hz", "dBFS", "gaps", "ms", "ms"]
    row = next(line for line in lines if line.strip().startswith("in "))
    assert row.split() == ["in", "ANSWER", "Anna", "700.2", "-12.6", "0", "180", "150"]
    row = next(line for line in lines if "SIP 480" in line)
    assert row.split() == ["websocket,", "alaw", "SIP", "480"]
    row = next(line for line in lines if "longest gap" in line)
    assert row.split()[:4] == ["longest", "gap", "0", "ms"]
