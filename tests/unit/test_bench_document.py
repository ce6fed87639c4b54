"""docs/measured.md, made from a report."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ari_app.sandbox.bench import __main__ as bench
from ari_app.sandbox.bench import document
from ari_app.sandbox.bench.report import Found, Report
from ari_app.sandbox.bench.sizes import FULL
from ari_app.sandbox.command import UNUSABLE

SVG = "{http://www.w3.org/2000/svg}"


def report(**changes: Any) -> dict[str, Any]:
    """A full run, in which the keypad failed and nothing was refused."""
    made = Report(bench.PARTS, bench.context(bench.parse([]), [], FULL))
    for part in bench.PARTS:
        made.found[part.name] = found = Found()
        for key in part.keys:
            found.put(key, 240 if key.startswith("echo_ms") else 2)
    made.found["cost"].row("one call", transport="rtp", media_cpu_pct=3.1)
    made.found["calls"].put("refused_in_ms", None, "nothing refused a call: of 24 calls 3 had gaps, at 2 looks")
    made.found["calls"].put("calls_ended_by", "of 24 calls 3 had gaps, at 2 looks")
    for calls in (1, 3, 5):
        made.found["calls"].row("calls at once", calls=calls, media_cpu_pct=3.0, asterisk_cpu_pct=1.0)
    for transport, total in (("rtp", 300), ("websocket", 280)):
        made.found["loss"].row(
            "packets from Asterisk", transport=transport, impairment="nothing", buffer_ms=40, echo_p50_ms=total
        )
    made.found["keypad"] = Found()
    made.failed["keypad"] = "TimeoutError"
    made.context["took_s"] = 1400
    return made.as_json() | changes


def test_the_page_says_what_was_measured_where_and_how() -> None:
    page = document.documents(report())[document.NAME]
    assert "`scripts/bench`, 23 minutes" in page
    assert f"{report()['machine']['cores']} cores of" in page
    assert "| person → Echo() → person, rtp | at most 240 ms | 240 ms | yes |" in page
    assert "| the one too many is refused within | at most 300 ms | – | not measured |" in page
    assert "It failed: TimeoutError" in page
    assert "- `refused_in_ms`: nothing refused a call: of 24 calls 3 had gaps, at 2 looks" in page
    assert "There were no more calls because: of 24 calls 3 had gaps" in page
    assert "| rtp | 300 | 240 | 40 | 20 |" in page
    assert page.rstrip().endswith("## What was missed, and why")


def test_each_part_has_its_section() -> None:
    page = document.documents(report())[document.NAME]
    assert set(document.SECTIONS) == {part.name for part in bench.PARTS}
    assert all(f"\n## {heading}\n" in page for heading, _ in document.SECTIONS.values())


def test_the_pictures_are_files_of_their_own() -> None:
    made = document.documents(report())
    pictures = {name for name in made if name.endswith(".svg")}
    assert pictures == {"measured-cost.svg", "measured-loss.svg", "measured-calls.svg"}
    for name in pictures:
        assert f"]({name})" in made[document.NAME]
        root = ET.fromstring(made[name])  # noqa: S314 - our own
        assert root.tag == f"{SVG}svg"
        assert float(root.attrib["width"]) > 0
        assert root.findall(f"{SVG}rect")
        assert "--chart-first" in (root.findtext(f"{SVG}style") or "")
    calls = ET.fromstring(made["measured-calls.svg"])  # noqa: S314 - our own
    assert len(calls.findall(f"{SVG}rect")) == 4, "two of each number of calls that was to be measured"


def test_what_was_not_measured_has_no_picture() -> None:
    assert set(document.documents(report(tables={}, echo_ms=None))) == {document.NAME, "measured-cost.svg"}


def test_what_is_written_by_hand_is_kept(tmp_path: Path) -> None:
    source, docs = tmp_path / "report.json", tmp_path / "docs"
    docs.mkdir()
    source.write_text(json.dumps(report()))
    assert bench.main(["--folder", str(tmp_path), "--document", str(docs)]) == 0
    page = docs / document.NAME
    page.write_text(page.read_text() + "\nThe delay: Asterisk's own packets.\n")
    by_hand = page.read_text().partition(document.BY_HAND)[2]
    source.write_text(json.dumps(report(calls_without_gap=77)))
    assert bench.main(["--folder", str(tmp_path), "--document", str(docs)]) == 0
    assert "| 77 |" in page.read_text()
    assert page.read_text().partition(document.BY_HAND)[2] == by_hand
    assert by_hand.endswith("The delay: Asterisk's own packets.\n")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quick": True}, "not of a full run"),
        ({"only": ["echo"]}, "not of a full run"),
        (None, "run scripts/bench first"),
    ],
)
def test_a_page_is_made_of_a_full_run_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any] | None, said: str
) -> None:
    if changes is not None:
        (tmp_path / "report.json").write_text(json.dumps(report(**changes)))
    assert bench.main(["--folder", str(tmp_path), "--document", str(tmp_path)]) == UNUSABLE
    assert said in capsys.readouterr().err
    assert not (tmp_path / document.NAME).exists()
