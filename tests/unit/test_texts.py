"""What a line says, when it says it, and what an administrator is told of a text that can't be used."""

import tomllib
from datetime import datetime
from typing import get_args

import pytest
from telethon.tl import types

from ari_app.cooldown import Cooldown
from ari_app.lines.settings import LineSettings, SettingRefused
from ari_app.telegram.chat import AUTO_ANSWER_S, may_be_answered
from ari_app.telegram.peers import Person
from ari_app.telegram.texts import ENGLISH, RUSSIAN, LineTexts, MessageTemplates, TextName, Texts, language_for, rule_of
from tests.unit.test_line_settings import SAMPLE

ANNA = Person(7, phone="+79990000002", first_name="Анна", language="ru")
NOON = datetime(2026, 12, 24, 12, 5)


def templates(**texts: str) -> MessageTemplates:
    return MessageTemplates(
        "Acme", "Sales", "+79990000001", LineTexts.model_validate({"ru": texts}), clock=lambda: NOON
    )


def test_the_variables() -> None:
    said = templates(card="{caller_name} {caller_number} {company} {line} {number} {date} {time} {{x}}").text(
        "card", ANNA
    )
    assert said == "Анна +79990000002 Acme Sales +79990000001 24.12.2026 12:05 {x}"


@pytest.mark.parametrize("name", ["{company}", "{", "}}", "{0.__class__}", "<b>**x**</b>", "%s", "\\n", "$company"])
def test_a_name_is_inserted_as_it_is(name: str) -> None:
    assert templates(card="Hi {caller_name}!").text("card", Person(7, first_name=name, language="ru")) == f"Hi {name}!"


def test_the_pressed_keys() -> None:
    assert templates(keypad_dialled="{line}: {digits}").text("keypad_dialled", ANNA, digits="1#") == "Sales: 1#"


def test_every_default_in_both_languages() -> None:
    assert set(get_args(TextName)) == set(Texts.model_fields)
    for name in get_args(TextName):
        said = {templates().text(name, Person(7, first_name="Bo", language=code), digits="12") for code in ("en", "ru")}
        assert len(said) == 2
        assert all("{" not in each for each in said)


def test_a_text_that_got_too_long_is_cut() -> None:
    texts = templates(card_button="{caller_name}" * 3)
    said = texts.text("card_button", Person(7, first_name="x" * 60, language="ru"))
    assert len(said) == rule_of("card_button").length
    assert said.endswith("x…")


@pytest.mark.parametrize(
    ("lang_code", "unknown", "language"),
    [
        ("ru", "en", "ru"),
        ("be", "en", "ru"),
        ("kk", "en", "ru"),
        ("ru-RU", "en", "ru"),
        ("uk", "ru", "en"),
        ("pt-br", "ru", "en"),
        ("", "en", "en"),
        ("", "ru", "ru"),
    ],
)
def test_the_language(lang_code: str, unknown: str, language: str) -> None:
    assert language_for(lang_code, "ru" if unknown == "ru" else "en") == language


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ('auto_answer = "Hi {name}"', "texts.ru.auto_answer: {name} is no variable of this text"),
        ('auto_answer = "Hi {}"', "texts.ru.auto_answer: {} is no variable"),
        ('auto_answer = "{caller_name.id}"', "texts.ru.auto_answer: {caller_name.id} is no variable"),
        ('card = "{digits}"', "texts.ru.card: {digits} is no variable"),
        ('card = "{caller_name"', "texts.ru.card: A brace is left open"),
        ('card = "caller_name}"', "texts.ru.card: A brace is left open, or closed alone"),
        ('card = "{caller_name!r}"', "texts.ru.card: {caller_name} may have nothing behind its name"),
        ('card = "{caller_name:>9}"', "texts.ru.card: {caller_name} may have nothing behind its name"),
        ('card = " "', "texts.ru.card: It is empty"),
        (f'card_button = "{"x" * 65}"', "texts.ru.card_button: It is longer than the 64 characters"),
        ('crad = "x"', "texts.ru.crad: This is no setting"),
    ],
)
def test_a_text_that_cannot_be_used(texts: str, said: str) -> None:
    with pytest.raises(SettingRefused) as error:
        LineSettings.of({"number": "+79990000001", "texts": {"ru": tomllib.loads(texts)}})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_other_texts_stay_the_defaults() -> None:
    texts = LineSettings.of({"number": "+79990000001", "texts": {"ru": {"auto_answer": ""}}}).texts
    assert texts.ru == RUSSIAN.model_copy(update={"auto_answer": ""})
    assert texts.en == ENGLISH


def test_the_sample_shows_the_defaults() -> None:
    given = tomllib.loads(SAMPLE.read_text())["texts"]
    assert given == LineTexts().model_dump()


def test_the_same_is_said_once_in_a_while() -> None:
    now = [0.0]
    recently = Cooldown(AUTO_ANSWER_S, clock=lambda: now[0])
    assert recently.admit(7)
    now[0] = AUTO_ANSWER_S - 1
    assert not recently.admit(7)
    assert recently.admit(8)
    now[0] = AUTO_ANSWER_S
    assert recently.admit(7)


@pytest.mark.parametrize(
    ("sender", "answered"),
    [
        (types.User(7), True),
        (types.User(7, bot=True), False),
        (types.User(7, is_self=True), False),
        (types.User(7, support=True), False),
        (types.User(7, deleted=True), False),
        (types.User(777000), False),
        (types.User(9), False),
    ],
)
def test_who_gets_an_automatic_answer(sender: types.User, answered: bool) -> None:
    assert may_be_answered(sender, lambda person: person.id == 9) is answered
