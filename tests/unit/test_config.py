"""What an administrator may write, and what they are told when it can't be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from ari_app.config import AgiSettings, AmiSettings, ClusterSettings, ConfigError, Settings, load
from ari_app.web.oidc.settings import OidcSettings

SECTIONS = (
    "asterisk",
    "telegram",
    "bot",
    "ami",
    "cluster",
    "agi",
    "web",
    "oidc",
    "calls",
    "retention",
    "media",
    "backups",
    "updates",
    "log",
    "traces",
)
OPTIONAL: dict[str, type[BaseModel]] = {
    "ami": AmiSettings,
    "agi": AgiSettings,
    "oidc": OidcSettings,
    "cluster": ClusterSettings,
}
SAMPLE = Path(__file__).parents[2] / "docs" / "astergram.sample.toml"
GOOD = """
[asterisk]
password = "pbx secret"
[telegram]
api_id = 1
api_hash = "tg secret"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("ASTERGRAM_"):
            monkeypatch.delenv(name)
    path = tmp_path / "astergram.toml"
    path.write_text(GOOD)
    return path


def test_a_command_that_only_asks_the_program_waits_for_no_telethon() -> None:
    code = "import ari_app.cli.commands, ari_app.cli.api, sys; sys.exit('telethon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_start_takes_up_the_calls_before_it_loads_what_they_do_not_need() -> None:
    heavy = ("aiogram", "ari_app.doctor", "ari_app.web.server", "jinja2")
    code = f"import ari_app.cli.commands, ari_app.cli.serve, sys; sys.exit(bool({{*{heavy}}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_smallest_file_is_enough(file: Path) -> None:
    settings = load(file)
    assert settings.telegram.api_id == 1
    assert settings.asterisk.password.get_secret_value() == "pbx secret"


def test_the_environment_overrides_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERGRAM_ASTERISK__PASSWORD", "another")
    monkeypatch.setenv("ASTERGRAM_MEDIA__WARM", "7")
    settings = load(file)
    assert (settings.asterisk.password.get_secret_value(), settings.media.warm) == ("another", 7)


def test_the_sample_has_every_key_with_its_default() -> None:
    settings, text = load(SAMPLE), SAMPLE.read_text()
    sections: dict[str, BaseModel | None] = {"": settings, **{name: getattr(settings, name) for name in SECTIONS}}
    for name, section in sections.items():
        kind = type(section) if section else OPTIONAL[name]
        for key, field in kind.model_fields.items():
            if key in sections:
                continue
            assert f"{key} = " in text, f"[{name}] {key} is not in the sample"
            if section and not field.is_required():
                assert getattr(section, key) == field.default, f"[{name}] {key}"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('password = "pbx secret"', "", "asterisk.password is missing; set it in the file or as ASTERGRAM_ASTERISK__"),
        ('password = "pbx secret"', 'password = ""', "asterisk.password is empty"),
        (
            'password = "pbx secret"',
            'pasword = "x"',
            "asterisk.pasword is no key of Astergram's, did you mean asterisk.password?",
        ),
        ("api_id = 1", 'api_id = "one"', "telegram.api_id: Enter a number."),
        ("[asterisk]", "[asterisk", "Expected ']' at the end of a table declaration"),
        ("[telegram]", "[extra]\n[telegram]", "extra is no key of Astergram's"),
        ("[telegram]", "[web]\nport = -1\n[telegram]", "web.port: At least 0, please."),
        ("[telegram]", "[calls]\nring_s = inf\n[telegram]", "calls.ring_s: Enter a number."),
        (
            "[telegram]",
            '[web]\nproxies = ["::1", "10.0.0.0/99"]\n[telegram]',
            "web.proxies.1: '10.0.0.0/99' is no address or network, such as 127.0.0.1 or 10.0.0.0/8",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(file: Path, before: str, after: str, said: str) -> None:
    file.write_text(GOOD.replace(before, after))
    with pytest.raises(ConfigError) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_everything_that_is_wrong_is_said_at_once(file: Path) -> None:
    text = GOOD.replace("[telegram]", '[web]\nport = -1\nhots = "0.0.0.0"\n[telegram]\ndc_id = 0')
    file.write_text(f'shade = "red"\nlog_levl = "DEBUG"\n{text}[calls]\nring_s = 0')
    with pytest.raises(ConfigError) as error:
        load(file)
    first, *lines = str(error.value).splitlines()
    assert first == f"{file}: 6 things are wrong:"
    assert lines == [
        "  telegram.dc_id: At least 1, please.",
        "  web.port: At least 0, please.",
        "  web.hots is no key of Astergram's, did you mean web.host? docs/astergram.sample.toml shows every key",
        "  calls.ring_s: More than 0, please.",
        "  shade is no key of Astergram's; docs/astergram.sample.toml shows every key",
        "  log_levl is no key of Astergram's, did you mean log_level? docs/astergram.sample.toml shows every key",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[asterisk]", '[asterisk]\nurl = "127.0.0.1:8088"', "asterisk.url has to begin with http:// or https://"),
        ("[telegram]", '[bot]\napi_url = "x"\n[telegram]', "bot.api_url has to begin with http:// or https://"),
        ("api_id = 1", "api_id = " + "1" * 5000, "holds a number of thousands of digits"),
        ("tg secret", "tg s\udce9cret", "is no text in UTF-8"),
    ],
)
def test_no_regular_expression_and_nothing_of_pythons_own_is_shown(
    file: Path, before: str, after: str, said: str
) -> None:
    file.write_text(GOOD.replace(before, after), "utf-8", "surrogateescape")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert said in str(error.value)
    assert len(str(error.value)) < 300
    assert "^" not in str(error.value)


@pytest.mark.parametrize("variable", ["ASTERGRAM_ASTERISK", "ASTERGRAM_WEB__PROXIES"])
def test_a_variable_that_is_no_json(file: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "{secret")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert f"{variable} in the environment is no JSON" in str(error.value)
    assert "secret" not in str(error.value)


def test_fastagi_is_off_unless_there_is_a_section(file: Path) -> None:
    assert load(file).agi is None
    file.write_text(GOOD + '[agi]\nallow = ["192.0.2.10", "10.0.0.0/8"]\n')
    agi = load(file).agi
    assert agi
    assert (agi.host, agi.port, agi.timeout_s) == ("127.0.0.1", 4573, 3.0)
    assert [str(each) for each in agi.allow] == ["192.0.2.10/32", "10.0.0.0/8"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path)


def test_secrets_are_not_shown(file: Path) -> None:
    settings: Settings = load(file)
    assert "secret" not in repr(settings).replace("turn_secret", "")
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
