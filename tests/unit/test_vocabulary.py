"""The field's terms: words that the project once had for them do not come back."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("ari_app", "media", "dialplan", "scripts", "tests", "docs", ".ci")
SUFFIXES = {"", ".py", ".md", ".html", ".conf", ".toml", ".js", ".css", ".po", ".cfg"}
ELSEWHERE = ("vendor", "__pycache__", "test_vocabulary.py")

WORDS = {
    r"\b[Ss]tory\b|\b[Ss]tories\b": "handle a call; handler; scenario",
    r"\bDesk\b": "CallRegistry",
    r"\bNearSide\b|\bnear side\b|\bnear=": "PBX party",
    r"\bDialler\b": "CallingChannel",
    r"\bExchange\b(?! (audio|RTP))": "CallDispatcher",
    r"\bbegins_to_talk\b": "media_up",
    r"\balongside\b|\bends_with\b|\bat_end\b": "spawn, end_when, on_end",
    r"\bKeys\b(?! pressed)": "DtmfQueue, KeyExchange",
    r"\bKept[A-Z]\w*": "...Row, ...Repository",
    r"\b[Ww]ordings?\b": "templates, message",
    r"\bNews\b": "EventBus",
    r"\bLineBook\b|\bWorks\b": "LineManager, LineFactory",
    r"\b[Mm]end(s|ed|ing)?\b": "repair",
    r"\b[Ss]weeps?\b": "clean-up",
    r"\bsettled\b": "first_attempt_done",
    r"\bTurns\b|\bRecently\b": "RateLimiter, Cooldown",
    r"leaves? out requests": "backs off",
    r"nonsense:": "protocol error",
    r"nobody expected": "unexpected error",
    r"\bNursery\b|\bPauses\(": "Forker, SilenceDetector",
    r"\b[Hh]e\b|\b[Hh]is\b|\b[Hh]im\b": "they, the caller",
    r"\b[Ss]trays?\b": "stale objects",
    r"\bladder\b|\brungs\b": "call flow, events",
    # On the pages.
    r"\bTake it off\b|\bBring it to work\b": "Danger zone, Actions",
    r"\bExamine now\b|\bWhat the doctor says\b": "Run diagnostics, Diagnostics",
    r"\bneeds you\b": "Action required",
    r"[Сс]еанс": "сессия",
    r"[Ээ]кстеншен": "внутренний номер",
    r"[Вв]строенн\w+ режим": "инлайн-режим",
    r"[Оо]блачн\w+ парол": "пароль двухэтапной проверки",
}
"""Each with what it is called now."""

STORED = {
    "ari_app/store/migrations.py",
    "tests/integration/test_api_recorded.py",
    "tests/unit/test_store.py",
    "tests/unit/test_events.py",
}
"""What an earlier version has written, or answered, by its own names."""


def sources() -> Iterator[Path]:
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "setup.cfg"))
    for room in ROOMS:
        yield from (path for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix in SUFFIXES)


def test_old_words_stay_away() -> None:
    patterns = {re.compile(word): instead for word, instead in WORDS.items()}
    any_word = re.compile("|".join(WORDS))
    found = []
    for path in sources():
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        if name in STORED or any(each in name for each in ELSEWHERE) or not any_word.search(text):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            found += [f"{name}:{number}: {line.strip()} ({patterns[each]})" for each in patterns if each.search(line)]
    assert found == []


def test_one_word_means_one_thing() -> None:
    """A public class of the program has a name of its own."""
    names: dict[str, list[str]] = {}
    for room in ("ari_app", "media"):
        for path in (ROOT / room).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("ari_app/sandbox/"):  # which models what the others are, from outside
                for found in re.findall(r"^class ([A-Z]\w*)", path.read_text(), re.MULTILINE):
                    names.setdefault(found, []).append(name)
    assert {name: places for name, places in names.items() if len(places) > 1} == {}
