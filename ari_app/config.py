"""The configuration: one TOML file; environment variables override it.

`ASTERGRAM_` and the key, with two underscores between the levels: ASTERGRAM_ASTERISK__PASSWORD is [asterisk] password.
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ari_app.lines.settings import Secret
from ari_app.web.settings import WebSettings
from ari_app.wrong import reason

ENV_PREFIX = "ASTERGRAM_"
ENV_DELIMITER = "__"


class ConfigError(Exception):
    """The configuration can't be used; the text is one line that names the file and the key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AsteriskSettings(_Section):
    """[asterisk]: where ARI is, and how the audio goes there."""

    url: str = Field("http://127.0.0.1:8088", pattern=r"^https?://")
    user: str = "astergram"
    password: Secret
    app: str = "telegram"
    transport: Literal["rtp", "websocket"] = "rtp"
    media_host: str = "127.0.0.1"


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
        raise ConfigError(f"{path}: no such file; docs/astergram.sample.toml shows every key")
    try:
        return FromFile()
    except ValidationError as error:
        # A misspelt key is the cause of the missing one: name it first.
        wrong = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        raise ConfigError(f"{path}: {_sentence(wrong[0])}") from None
    except ValueError as error:  # TOML syntax, an environment variable that is no JSON
        raise ConfigError(f"{path}: {error}") from None


def _sentence(error: Any) -> str:
    """One line for one thing wrong; never shows a secret's value."""
    key = ".".join(str(part) for part in error["loc"])
    variable = ENV_PREFIX + ENV_DELIMITER.join(str(part) for part in error["loc"]).upper()
    where = f"{key} (or {variable} in the environment)" if variable in os.environ else key
    match error["type"]:
        case "missing":
            return f"{key} is missing; set it in the file or as {variable}"
        case "extra_forbidden":
            return f"{where} is no key of Astergram's; docs/astergram.sample.toml shows every key"
        case "too_short":
            return f"{where} is empty; it needs a value"
        case _:
            return f"{where}: {reason(error)}"
