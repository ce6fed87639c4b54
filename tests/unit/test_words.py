"""What a page says in place of what is kept of a call's story."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import ari_app.calls
from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.calls.progress import CallState
from ari_app.store.calls import STOPPED
from ari_app.telegram import lists
from ari_app.telegram.phone import Discarded, DiscardReason
from ari_app.web import words

AS_IT_IS = "{text}"
FREE = {"str(refusal)", "f'{ending.status.value}, cause {int(ending.cause)}: {ending.detail}'"}  # others' words


def steps() -> Iterator[tuple[str, str]]:
    """Every text that the sources put on a ladder, with something in the place of its values."""
    folder = Path(next(iter(ari_app.calls.__path__)))
    for source in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("add_event", "_step")
                and len(node.args) == 2
                and ast.unparse(node.args[1]) not in (FREE | {"text"})
            ):
                yield f"{source.name}:{node.lineno}", filled(node.args[1])


def filled(text: ast.expr) -> str:
    """A text of the source; each place in it has a word."""
    if isinstance(text, ast.JoinedStr):
        return "".join(filled(part) if isinstance(part, ast.Constant) else "word" for part in text.values)
    assert isinstance(text, ast.Constant), ast.unparse(text)
    return str(text.value)


def test_every_step_of_a_call_has_its_words() -> None:
    found = dict(steps())
    assert len(found) > 15
    assert {place: text for place, text in found.items() if words.step(text).sentence.text == AS_IT_IS} == {}


def endings() -> Iterator[str]:
    for direction in Direction:
        for talking in (False, True):
            for reason in (*DiscardReason, None):
                yield outcome.telegram_ended(Discarded(reason, 1), direction, talking).detail
            for cause in (16, 19, 38):
                yield outcome.asterisk_ended(cause, direction, talking).detail
            yield outcome.by_administrator(direction, talking).detail
            yield outcome.session_ended(direction, talking).detail
    yield outcome.shut_down(talking=True).detail
    yield outcome.audio_lost("the process ended", talking=True).detail
    yield outcome.no_media(30).detail
    yield outcome.asterisk_away(8.0, talking=True).detail
    yield outcome.REDIALLED.detail
    yield outcome.not_answered(60).detail
    yield outcome.line_full(2).detail
    yield STOPPED


@pytest.mark.parametrize("detail", sorted(set(endings())))
def test_every_ending_of_a_call_has_its_words(detail: str) -> None:
    assert words.ending(detail).text != AS_IT_IS
    assert str(words.ending(detail))


def test_every_refusal_of_the_lists_has_its_words() -> None:
    texts = [
        filled(node)
        for node in ast.walk(ast.parse(inspect.getsource(lists)))
        if isinstance(node, ast.JoinedStr) and "line's" in ast.unparse(node)
    ]
    assert len(texts) >= 4
    assert [text for text in texts if words.ending(text).text == AS_IT_IS] == []


def test_values_are_kept() -> None:
    said = words.step("rings at 101@from-telegram")
    assert str(said.sentence) == "Rings at 101@from-telegram"
    assert str(words.step("101 dials +79990000002").sentence) == "101 dials +79990000002"
    assert str(words.step("somebody dials @anna").sentence) == "Somebody dials @anna"
    ended = words.step("ANSWER, cause 16: ended on Telegram (hangup)").sentence
    assert ended.values["cause"] == "16"
    assert str(ended.values["detail"]) == "Ended on Telegram: hung up."


@pytest.mark.parametrize("text", ["", "{x}", "Telegram refused it: {boom", "<script>alert(1)</script>", "a\nb"])
def test_what_is_not_known_is_said_as_it_is(text: str) -> None:
    assert str(words.step(text).sentence) == text
    assert str(words.ending(text)) == text


def test_who_rings_whom() -> None:
    rings = words.step("rings")
    assert [words.way(rings, direction) for direction in Direction] == ["to", "from", "from"]
    assert words.way(words.step("asked to call"), Direction.OUT) == "to"
    assert words.way(words.step("connected"), Direction.IN) == ""


def test_everything_has_a_name() -> None:
    assert set(words.STATES) == set(CallState)
    assert set(words.DIRECTIONS) == set(Direction)
    assert set(words.STATUSES) == set(outcome.Status)
