"""The configuration: one TOML file; environment variables override it.

`ASTERGRAM_` and the key, with two underscores between the levels: ASTERGRAM_ASTERISK__PASSWORD is [asterisk] password.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ari_app.telegram.peers import Destination
from ari_app.telegram.texts import Language, LineTexts

ENV_PREFIX = "ASTERGRAM_"
ENV_DELIMITER = "__"


class ConfigError(Exception):
    """The configuration can't be used; the text is one line that names the file and the key."""


def _e164(text: str) -> str:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{text!r} is no phone number with a country code, such as +79990000001") from error
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _list_entry(text: str) -> str:
    return str(Destination.parse(text))


Number = Annotated[str, AfterValidator(_e164)]
ListEntry = Annotated[str, AfterValidator(_list_entry)]
Secret = Annotated[SecretStr, Field(min_length=1)]


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
    """[telegram]: the application's identity, and which Telegram."""

    api_id: int
    api_hash: Secret
    test_mode: bool = False
    host: str = ""
    port: int = Field(443, ge=1, le=65535)
    dc_id: int = Field(2, ge=1)
    public_key_file: Path | None = None


class CardSection(_Section):
    """[lines.card]: the business card."""

    no_answer: bool = True
    declined: bool = True
    busy: bool = True
    cancelled: bool = True
    cancelled_after_s: float = Field(10.0, ge=0)
    missed: bool = False
    card_every_s: float = Field(3600.0, ge=0, le=30 * 86400)
    callback: str = Field("", pattern=r"^([^\s@/&|,;]+@[^\s@/&|,;]+)?$")
    contact_phone: Literal[""] | Number = ""
    contact_first_name: str = ""
    contact_last_name: str = ""
    contact_vcard: FilePath | None = None
    picture: FilePath | None = None


class LineSettings(_Section):
    """[[lines]]: one Telegram account."""

    number: Number
    name: str = ""
    context: str = "from-telegram"
    max_calls: int = Field(1, ge=1)
    callers: tuple[str, ...] = ()
    default: bool = False
    bare_number_prefix: str = Field("", pattern=r"^(\+[0-9]*)?$")
    allow: tuple[ListEntry, ...] = ()
    deny: tuple[ListEntry, ...] = ()
    only_contacts: bool = False
    resolve_cache_s: float = Field(86400.0, ge=0)
    not_found_cache_s: float = Field(3600.0, ge=0)
    calls_per_minute: int = Field(0, ge=0)
    calls_per_day: int = Field(0, ge=0)
    flood_margin_s: float = Field(30.0, ge=0)
    peer_flood_s: float = Field(86400.0, ge=0)
    company: str = ""
    language: Language = "en"
    texts: LineTexts = LineTexts()
    card: CardSection = CardSection()


class BotSettings(_Section):
    """[bot]: the installation's bot, which makes the messages with buttons."""

    token: Secret
    api_url: str = Field("", pattern=r"^(https?://.*)?$")


class CallSettings(_Section):
    """[calls]: what bounds every call; seconds."""

    ring_s: float = Field(90.0, gt=0)
    connect_s: float = Field(5.0, gt=0)


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
    telegram: TelegramSettings
    lines: tuple[LineSettings, ...] = Field((), min_length=1)
    bot: BotSettings | None = None
    calls: CallSettings = CallSettings()
    media: MediaSection = MediaSection()
    company: str = ""
    state_dir: Path = Path("/var/lib/astergram")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("lines")
    @classmethod
    def _one_line_for_each_caller(cls, lines: tuple[LineSettings, ...]) -> tuple[LineSettings, ...]:
        for caller, count in Counter(caller for line in lines for caller in set(line.callers)).items():
            if count > 1:
                raise ValueError(f"{count} lines have {caller!r} in their callers; a phone can have one line only")
        if sum(line.default for line in lines) > 1:
            raise ValueError("more than one line has default = true; only one can be the default")
        return lines

    @property
    def database(self) -> Path:
        """The program's own database."""
        return self.state_dir / "astergram.db"

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
            return f"{where}: {error['msg'].removeprefix('Value error, ')}"
