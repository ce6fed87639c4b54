"""What a spreadsheet makes of the exported calls, whatever separator it expects."""

import csv
import io
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.reports.history import History
from ari_app.store.calls import CallRepository, CallRow, Details, Query
from ari_app.store.store import Store, open_store

NOW = 1_800_000_000.0
BOM = "\ufeff"
ATTACKS = (
    "=1+1", "+1+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n", '=HYPERLINK("http://x")', "+7=1", "+", "+७",
    "a;=1+1;b", "a; =1+1", "a\t=1+1\tb", "a|=1+1|b", "a,=1+1,b", "a\n=1+1\nb", "a\r\n@SUM(A1)", "a;\t-1",
    "a;+79990000002", 'a;"=1+1";b', 'a;" =1+1"', 'a\n"=1+1"', '"=1+1', "\u200b=1+1", "\ufeff=1+1", "\xa0=1+1",
    "a;\u200b=1+1",
    "＝1+1", "＋1+1", "－1+1", "＠SUM(A1)", "a;＝1+1", "−1+1", "﹦1+1", "\u2028=1", "a\x85=1",
)  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


async def exported(store: Store, **known: Any) -> str:
    """The export of one call."""
    basics: dict[str, Any] = {
        "id": "c00001", "began_at": NOW, "ended_at": NOW + 60, "direction": "in", "line": "+79990000001", "peer": "7",
        "pbx_party": "101", "person_id": 7, "name": "Anna", "phone": "", "username": "", "status": "ANSWER",
        "cause": 16, "reason": "", "answered": True, "refused": False, "to_answer_s": 4.0, "talked_s": 50.0,
    }  # fmt: skip
    CallRepository(store).save(CallRow(**basics | known), Details())
    return "".join([piece async for piece in History(store).export_csv(Query())]).removeprefix(BOM)


def taken_for_formulas(text: str, separator: str) -> list[str]:
    """The cells that a spreadsheet with this separator would work out; a number with its sign is only a number.

    Like Python's reader, spreadsheets see a quote as one only where a cell begins.
    """
    lines = io.StringIO(text, newline="") if separator == "," else text.replace("\r", "\n").split("\n")
    cells = [cell for row in csv.reader(lines, delimiter=separator) for cell in row]
    taken = []
    for cell in cells:
        seen = "".join(sign for sign in cell if sign.isprintable()).strip()
        plain = seen.startswith("+") and seen[1:].isdecimal() and seen.isascii()
        if unicodedata.normalize("NFKC", seen[:1]) in ("=", "+", "-", "@", "−") and not plain:
            taken.append(cell)
    return taken


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ATTACKS)
async def test_what_a_caller_is_called_is_no_formula(store: Store, name: str, separator: str) -> None:
    text = await exported(store, name=name, pbx_party=name, peer=name, username=name, reason=name)
    assert taken_for_formulas(text, separator) == []


def test_the_reader_of_these_tests_finds_a_formula() -> None:
    for separator in ",;\t|":
        assert taken_for_formulas(f'"x"{separator}"=1+1"\r\n', separator) == ["=1+1"]
    assert taken_for_formulas('"x","a;=1+1;b"\r\n', ";") == ["=1+1"]


@pytest.mark.parametrize("name", ["a;=1+1;b", 'Анна "Ё", \nЁлкина', "", "=1", "\r", "a,b"])
async def test_every_cell_is_quoted(store: Store, name: str) -> None:
    text = await exported(store, name=name)
    head = text.split("\r\n")[0]
    assert head == ",".join(f'"{column}"' for column in next(csv.reader([head])))
    row = list(csv.reader(io.StringIO(text, newline="")))[1]
    again = ",".join('"' + cell.replace('"', '""') + '"' for cell in row)
    assert text == f"{head}\r\n{again}\r\n"


@pytest.mark.parametrize(
    "name", ["+79990000002", "Анна", "", "a=b", "1-2", "'quoted", "Anna; Boris", 'Anna "A", Boris', "anna@example.com"]
)
async def test_other_cells_stay_as_they_are(store: Store, name: str) -> None:
    row = next(csv.DictReader(io.StringIO(await exported(store, name=name), newline="")))
    assert row["person"] == name
