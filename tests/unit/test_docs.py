"""The pages of docs/: each is found from the README, each link leads somewhere, and what they quote is what is said."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUSSIAN = DOCS / "ru"
PICTURES = DOCS / "pictures"
PAGES = sorted([*DOCS.glob("*.md"), *RUSSIAN.glob("*.md")])
ALL_PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *PAGES]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ENGLISH_ONLY = {
    "architecture.md": "for whoever changes the code",
    "events.md": "made from the program, for programmers",
    "measured.md": "made from a run of scripts/bench",
    "monitoring.md": "a reference, mostly names of metrics",
    "webhooks.md": "made from the program, for programmers",
}
"""What administrators read and is not in Russian, and why."""
QUOTING = [each for each in PAGES if re.search(r"^> ", each.read_text(), re.MULTILINE)]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its blocks of code, which have no links and no headings."""
    return re.sub(r"^(```.*?^```|(?: {4}| {7}|\t).*?)$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> set[str]:
    """The names that its headings have, as GitHub makes them."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip())
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        times = found[slug] = found.get(slug, -1) + 1
        made.add(f"{slug}-{times}" if times else slug)
    return made


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link to a file of the project: as it is written, the file, and the heading in it."""
    for link in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            yield link, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_each_link_leads_somewhere(page: Path) -> None:
    for link, target, anchor in links(page):
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}: {sorted(anchors(target))}"


@pytest.mark.parametrize("index", [DOCS / "README.md", RUSSIAN / "README.md"], ids=name_of)
def test_an_administrator_finds_each_page_in_two_clicks(index: Path) -> None:
    linked = {target for _, target, _ in links(index)}
    assert {each for each in index.parent.glob("*.md") if each != index} <= linked
    assert index in {target for _, target, _ in links(ROOT / "README.md")}


def test_what_administrators_read_is_in_russian_too() -> None:
    english = {each.name for each in DOCS.glob("*.md")}
    assert english - set(ENGLISH_ONLY) == {each.name for each in RUSSIAN.glob("*.md")}
    assert set(ENGLISH_ONLY) <= english


def test_each_picture_is_shown() -> None:
    shown = {target for page in ALL_PAGES for _, target, _ in links(page)}
    assert set(PICTURES.rglob("*.png")) <= shown


# --- what is quoted: `> sentence`, with … for what differs


def with_gaps(text: str) -> str:
    """A template, with … in the place of what is filled in."""
    text = re.sub(r"(?<!\{)\{[^{}]*\}(?!\})", "…", text).replace("{{", "{").replace("}}", "}")
    return re.sub(r"%\(\w+\)[sd]|%(?:\.\d+f|[gsdr])", "…", text)


@cache
def said_by_the_program() -> list[str]:
    """Every text in the code, and every Russian one of the catalogue."""
    found: list[str] = []
    for path in [each for room in ("ari_app", "media") for each in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(with_gaps(node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
                found.append("".join(map(str, parts)))
    with (ROOT / "ari_app/web/ui/locale/ru.po").open("rb") as file:
        catalogue = read_po(file, "ru")
    for message in catalogue:
        texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
        found += [with_gaps(each) for each in texts]
    return found


@pytest.mark.parametrize("page", QUOTING, ids=name_of)
def test_what_is_quoted_is_said(page: Path) -> None:
    for quote in re.findall(r"^> (.*)$", page.read_text(), re.MULTILINE):
        assert any(quote in each for each in said_by_the_program()), quote


# --- the dialplan's variables


VARIABLE = r"(?:TELEGRAM_[A-Z_]+[A-Z]|X-TG-\w+)"


def variables() -> set[str]:
    """What the program sets, or a dialplan of the samples."""
    found = set()
    for path in (ROOT / "ari_app").rglob("*.py"):
        if "sandbox" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= set(re.findall(rf"^_*({VARIABLE})$", node.value))
    for path in (ROOT / "dialplan").glob("*.conf"):
        found |= set(re.findall(VARIABLE, path.read_text()))
    return found


def test_each_variable_of_the_dialplan_is_described() -> None:
    described = set(re.findall(VARIABLE, (DOCS / "dialplan.md").read_text()))
    assert variables() - described == {"TELEGRAM_CALLER"}, "which is the samples' own"


def test_no_other_variable_is_described() -> None:
    assert set(re.findall(VARIABLE, (DOCS / "dialplan.md").read_text())) <= variables()
