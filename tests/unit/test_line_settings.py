"""What an administrator may set for a line."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ari_app.lines.settings import LineSettings, SettingRefused, check_together

SAMPLE = Path(__file__).parents[2] / "docs" / "line.sample.toml"
NUMBER = "+79990000001"


def line(number: str = NUMBER, **settings: Any) -> LineSettings:
    return LineSettings.of({"number": number, **settings})


def test_the_sample_has_every_key_with_its_default() -> None:
    text = SAMPLE.read_text()
    settings = LineSettings.of(tomllib.loads(text))
    sections: dict[str, BaseModel] = {
        "": settings,
        "card": settings.card,
        "texts": settings.texts,
        "en": settings.texts.en,
        "ru": settings.texts.ru,
    }
    for name, section in sections.items():
        for key, field in type(section).model_fields.items():
            if key in sections:
                continue
            assert f"{key} = " in text, f"[{name}] {key} is not in the sample"
            if not field.is_required():
                assert getattr(section, key) == field.default, f"[{name}] {key}"


def test_a_number_is_kept_as_e164() -> None:
    assert line("+7 999 000-00-01").number == NUMBER


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ({"number": "one"}, "number", "'one' is no phone number"),
        ({"deny": ["anna"]}, "deny.0", "'anna' is no destination"),
        ({"card": {"callback": "605"}}, "card.callback", "EXTENSION@CONTEXT"),
        ({"card": {"contact_phone": "8 800"}}, "card.contact_phone", "'8 800' is no phone number"),
        ({"color": "red"}, "color", "is no setting of Astergram's"),
        ({"max_calls": 0}, "max_calls", "At least 1, please."),
        ({"context": "a,b"}, "context", "the name of one context"),
        ({"context": "a\n"}, "context", "the name of one context"),
        ({"language": "de"}, "language", "One of these, please: 'en', 'ru'."),
        ({"card": 5}, "card", "a group of settings"),
    ],
)
def test_what_is_wrong_is_said(settings: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        LineSettings.of({"number": NUMBER} | settings)
    (wrong,) = refused.value.wrong
    assert wrong.key == key
    assert said in str(wrong.reason)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingRefused) as refused:
        LineSettings.of({"number": NUMBER, "max_calls": "many", "card": {"callback": "605", "card_every_s": 3e6}})
    assert [str(wrong) for wrong in refused.value.wrong] == [
        "max_calls: Enter a number.",
        "card.card_every_s: At most 2592000, please.",
        "card.callback: Enter EXTENSION@CONTEXT, such as 600@queues, or nothing.",
    ]


def test_only_one_line_is_for_a_caller_and_only_one_the_default() -> None:
    with pytest.raises(SettingRefused, match="2 lines have '101' in their callers"):
        check_together([line(callers=["101"]), line("+79990000009", callers=["101", "102"])])
    with pytest.raises(SettingRefused, match="only one can be the default"):
        check_together([line(default=True), line("+79990000009", default=True)])
    check_together([line(default=True, callers=["101"]), line("+79990000009", callers=["102"])])


def test_changes_are_a_merge_patch() -> None:
    settings = line(name="Sales", card={"callback": "600@queues", "busy": False}, texts={"ru": {"card": "Звонить?"}})
    changed = settings.changed({"name": None, "card": {"busy": None}, "texts": {"ru": {"card": None}}, "max_calls": 3})
    assert changed == line(card={"callback": "600@queues"}, max_calls=3)
    assert settings.changed({"card": {"missed": True}}).card.callback == "600@queues"


def test_what_the_store_keeps_is_read_back() -> None:
    settings = line(api_id=7, api_hash="tg secret", callers=["101"], texts={"ru": {"card": "{company}?"}})
    again = LineSettings.model_validate_json(settings.stored())
    assert again == settings
    assert again.api_hash is not None
    assert again.api_hash.get_secret_value() == "tg secret"
    assert "max_calls" not in json.loads(settings.stored())


def test_a_secret_is_not_shown() -> None:
    settings = line(api_hash="tg secret")
    assert "secret" not in repr(settings) + settings.model_dump_json()
    assert settings.changed({"name": "Sales"}).api_hash == settings.api_hash
    with pytest.raises(SettingRefused) as refused:
        settings.changed({"api_id": "tg secret"})
    assert "tg secret" not in str(refused.value)
