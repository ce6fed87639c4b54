"""What an administrator may write, and what he is told when it can't be used."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ari_app.config import ConfigError, Settings, load

SAMPLE = Path(__file__).parents[2] / "docs" / "astergram.sample.toml"
GOOD = """
[asterisk]
password = "pbx secret"
[telegram]
api_id = 1
api_hash = "tg secret"
[[lines]]
number = "+7 999 000-00-01"
"""

CALLERS = 'callers = ["101"]\n'
ANOTHER = 'number = "+79990000009"\n[[lines]]\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("ASTERGRAM_"):
            monkeypatch.delenv(name)
    path = tmp_path / "astergram.toml"
    path.write_text(GOOD)
    return path


def test_the_smallest_file_is_enough(file: Path) -> None:
    settings = load(file)
    assert settings.lines[0].number == "+79990000001"
    assert settings.asterisk.password.get_secret_value() == "pbx secret"


def test_the_environment_overrides_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERGRAM_ASTERISK__PASSWORD", "another")
    monkeypatch.setenv("ASTERGRAM_MEDIA__WARM", "7")
    settings = load(file)
    assert (settings.asterisk.password.get_secret_value(), settings.media.warm) == ("another", 7)


def test_the_sample_has_every_key_with_its_default() -> None:
    settings = load(SAMPLE)
    text = SAMPLE.read_text()

    def keys(model: type[BaseModel]) -> list[str]:
        return list(model.model_fields)

    sections: dict[str, Any] = {"": settings, "lines": settings.lines[0]}
    sections |= {name: getattr(settings, name) for name in ("asterisk", "telegram", "bot", "calls", "media")}
    sections |= {"texts": settings.lines[0].texts, "en": settings.lines[0].texts.en, "ru": settings.lines[0].texts.ru}
    sections["card"] = settings.lines[0].card
    for name, section in sections.items():
        for key in keys(type(section)):
            if key in sections and not isinstance(getattr(section, key), str):
                continue
            assert f"{key} = " in text, f"[{name}] {key} is not in the sample"
            field = type(section).model_fields[key]
            if not field.is_required():
                assert getattr(section, key) == field.default, f"[{name}] {key}"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('password = "pbx secret"', "", "asterisk.password is missing; set it in the file or as ASTERGRAM_ASTERISK__"),
        ('password = "pbx secret"', 'password = ""', "asterisk.password is empty"),
        ('password = "pbx secret"', 'pasword = "x"', "asterisk.pasword is no key of Astergram's"),
        ("api_id = 1", 'api_id = "one"', "telegram.api_id: Input should be a valid integer"),
        ('number = "+7 999 000-00-01"', 'number = "one"', "lines.0.number: 'one' is no phone number"),
        ("[asterisk]", "[asterisk", "Expected ']' at the end of a table declaration"),
        ("[[lines]]\n", "[extra]\n", "extra is no key of Astergram's"),
        ("[[lines]]\n", '[[lines]]\ndeny = ["anna"]\n', "lines.0.deny.0: 'anna' is no destination"),
        (
            "[[lines]]\n",
            f"[[lines]]\ndefault = true\n{ANOTHER}default = true\n",
            "lines: more than one line has default",
        ),
        ("[[lines]]\n", '[[lines]]\ncard.callback = "605"\n', "lines.0.card.callback: String should match pattern"),
        ("[[lines]]\n", f"[[lines]]\n{CALLERS}{ANOTHER}{CALLERS}", "lines: 2 lines have '101' in their callers"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(file: Path, before: str, after: str, said: str) -> None:
    file.write_text(GOOD.replace(before, after))
    with pytest.raises(ConfigError) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_secrets_are_not_shown(file: Path) -> None:
    settings: Settings = load(file)
    assert "secret" not in repr(settings)
    file.write_text(GOOD.replace("api_id = 1", 'api_id = "tg secret"'))
    with pytest.raises(ConfigError) as error:
        load(file)
    assert "tg secret" not in str(error.value)


@pytest.mark.parametrize("text", ["", None], ids=["empty", "absent"])
def test_the_command_exits_with_2_and_one_line(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    command = [sys.executable, "-m", "ari_app.cli", "run", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert str(file) in done.stderr
