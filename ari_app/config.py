"""The configuration: one TOML file; environment variables override it.

`ASTERGRAM_` and the key, with two underscores between the levels: ASTERGRAM_ASTERISK__PASSWORD is [asterisk] password.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ari_app.suggest import alike, dotted_keys
from ari_app.web.http.settings import WebSettings
from ari_app.wrong import reason
from ari_app.zones import Timezone

ENV_PREFIX = "ASTERGRAM_"
ENV_DELIMITER = "__"
SAMPLE = "docs/astergram.sample.toml shows every key"
ADDRESS = "has to begin with http:// or https://"
FORMS = {"asterisk.url": ADDRESS, "bot.api_url": ADDRESS}
"""In words, what the patterns of these keys ask for."""

Secret = Annotated[SecretStr, Field(min_length=1)]


class ConfigError(Exception):
    """The configuration can't be used; the text names the file, and each key that is wrong, on a line of its own."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AsteriskSettings(_Section):
    """[asterisk]: where ARI is, and how the audio goes there."""

    url: str = Field("http://127.0.0.1:8088", pattern=r"^https?://")
    user: str = "astergram"
    password: Secret
    app: str = "telegram"
    transport: Literal["rtp", "websocket"] = "rtp"
    media_host: str = "127.0.0.1"
    away_s: float = Field(8.0, gt=0)


class TelegramSettings(_Section):
    """[telegram]: the application's identity, unless it is set on the page, and which Telegram."""

    api_id: int | None = Field(None, ge=1)
    api_hash: Secret | None = None
    test_mode: bool = False
    host: str = ""
    port: int = Field(443, ge=1, le=65535)
    dc_id: int = Field(2, ge=1)
    public_key_file: Path | None = None


class BotSettings(_Section):
    """[bot]: the installation's bot, which makes the messages with buttons, unless its token is set on the page."""

    token: Secret | None = None
    api_url: str = Field("", pattern=r"^(https?://.*)?$")


class AmiSettings(_Section):
    """[ami]: Asterisk's manager interface; only the doctor uses it."""

    host: str = "127.0.0.1"
    port: int = Field(5038, ge=1, le=65535)
    user: str = "astergram"
    password: Secret


class CallSettings(_Section):
    """[calls]: what bounds every call, in seconds, and how long calls are remembered."""

    ring_s: float = Field(90.0, gt=0)
    connect_s: float = Field(5.0, gt=0)
    history_days: int = Field(400, ge=1)


class MediaSection(_Section):
    """[media]: the media processes."""

    warm: int = Field(2, ge=0)
    orphan_s: float = Field(10.0, gt=0)


class Settings(BaseSettings):
    """The whole file."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER
    )

    asterisk: AsteriskSettings
    telegram: TelegramSettings = TelegramSettings()
    bot: BotSettings = BotSettings()
    ami: AmiSettings | None = None
    web: WebSettings = WebSettings()
    calls: CallSettings = CallSettings()
    media: MediaSection = MediaSection()
    company: str = ""
    timezone: Timezone = ""
    state_dir: Path = Path("/var/lib/astergram")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def database(self) -> Path:
        """The program's own database."""
        return self.state_dir / "astergram.db"

    @property
    def socket(self) -> Path:
        """Where the command line talks to the running program."""
        return self.state_dir / "astergram.sock"

    def session(self, number: str) -> Path:
        """A line's session file."""
        return self.state_dir / "lines" / f"{number.lstrip('+')}.session"


def load(path: Path) -> Settings:
    """Read the file and the environment; raises ConfigError."""

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, TomlConfigSettingsSource(settings_cls, path)

    if not path.is_file():
        raise ConfigError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; {SAMPLE}")
    try:
        return FromFile()
    except ValidationError as error:
        wrong = _sentences(error.errors(include_url=False))
    except UnicodeDecodeError:
        wrong = ["is no text in UTF-8"]
    except SettingsError as error:
        wrong = [_no_json(error)]
    except ValueError as error:  # TOML syntax
        # Python's own for a number too long to be one tells how to change Python.
        wrong = ["holds a number of thousands of digits" if "sys.set_int_max_str_digits" in str(error) else str(error)]
    if len(wrong) == 1:
        raise ConfigError(f"{path}: {wrong[0]}")
    raise ConfigError("\n  ".join([f"{path}: {len(wrong)} things are wrong:", *wrong]))


def _no_json(error: SettingsError) -> str:
    """Which variable it is about, which pydantic-settings does not tell; its value may be a secret."""
    value = getattr(error.__cause__, "doc", None)  # json.JSONDecodeError's
    names = [name for name, its in os.environ.items() if name.upper().startswith(ENV_PREFIX) and its == value]
    named = " or ".join(names) or f"a variable that begins with {ENV_PREFIX}"
    return f"{named} in the environment is no JSON, which a section and a list have to be there"


def _sentences(errors: Sequence[Any]) -> list[str]:
    """One line for each thing that is wrong; never shows a secret's value."""
    keys = sorted({*Settings.model_fields, *dotted_keys(Settings)})
    unknown = [_key(error) for error in errors if error["type"] == "extra_forbidden"]
    meant = {key: found for key in unknown if (found := alike(key, keys))}
    return [
        _sentence(error, meant)
        for error in errors
        # A key that is missing because it is misspelt is said already.
        if not (error["type"] == "missing" and _key(error) in meant.values())
    ]


def _key(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"])


def _sentence(error: Any, meant: Mapping[str, str]) -> str:
    key = _key(error)
    variable = ENV_PREFIX + ENV_DELIMITER.join(str(part) for part in error["loc"]).upper()
    where = f"{key} (or {variable} in the environment)" if variable in os.environ else key
    match error["type"]:
        case "missing":
            return f"{key} is missing; set it in the file or as {variable}"
        case "extra_forbidden":
            question = f", did you mean {meant[key]}?" if key in meant else ";"
            return f"{where} is no key of Astergram's{question} {SAMPLE}"
        case "too_short":
            return f"{where} is empty; it needs a value"
        case "string_pattern_mismatch":
            return f"{where} {FORMS.get(key, 'does not have the form that is needed')}"
        case _:
            return f"{where}: {reason(error)}"
