"""The configuration: one TOML file; environment variables override it.

`ASTERGRAM_` and the key, with two underscores between the levels: ASTERGRAM_ASTERISK__PASSWORD is [asterisk] password.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ari_app.cluster.devices import DEVICES
from ari_app.cluster.engine_leases import LEASE_S
from ari_app.cluster.patterns import MACHINE, SERVER
from ari_app.described import Setting
from ari_app.i18n import message
from ari_app.lines.retention import (
    AlertsDays,
    CardsDays,
    ContactsDays,
    DeliveriesDays,
    DetailsDays,
    EventsDays,
    HistoryDays,
    LanguagesDays,
)
from ari_app.networks import Network
from ari_app.suggest import alike, dotted_keys
from ari_app.telegram.proxy import proxy_entered
from ari_app.telegram.turn_server import Address, TurnUse
from ari_app.web.http.settings import WebSettings
from ari_app.web.oidc.settings import OidcSettings
from ari_app.wrong import reason
from ari_app.zones import Timezone
from media.logs import LogFormat, LogStyle

ENV_PREFIX = "ASTERGRAM_"
ENV_DELIMITER = "__"
SAMPLE = "docs/astergram.sample.toml shows every key"
ADDRESS = "has to begin with http:// or https://"
FORMS = {"asterisk.url": ADDRESS, "bot.api_url": ADDRESS, "cluster.asterisk_url": ADDRESS}
"""In words, what the patterns of these keys ask for."""

Secret = Annotated[SecretStr, Field(min_length=1)]
SECRET_LEAST = 20
"""Characters of what signs requests between machines."""
S = message("s")


class ConfigError(Exception):
    """The configuration can't be used; the text names the file, and each key that is wrong, on a line of its own."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AsteriskSettings(_Section):
    """Asterisk: where ARI is, and how the audio gets there."""

    url: Annotated[str, Setting(message("Asterisk's HTTP server"), message("As in http.conf, without /ari."))] = Field(
        "http://127.0.0.1:8088", pattern=r"^https?://"
    )
    user: Annotated[str, Setting(message("User of ari.conf"), message("Its read_only must be no."))] = "astergram"
    password: Annotated[Secret, Setting(message("Password in ari.conf"), example="the password in ari.conf")]
    app: Annotated[
        str, Setting(message("Name of the Stasis application"), message("As in Stasis(telegram,...) of the dialplan."))
    ] = "telegram"
    transport: Annotated[
        Literal["rtp", "websocket"],
        Setting(
            message("Media transport"),
            message(
                "rtp: any Asterisk from 16.6; Opus from Asterisk, G.722 to it. websocket: Asterisk 20.16, 21.11, 22.6 "
                "and later; Opus both ways. Without an Opus codec in Asterisk, both carry G.722 or A-law."
            ),
        ),
    ] = "rtp"
    media_host: Annotated[
        str, Setting(message("Address for RTP"), message("Of this machine, to which Asterisk sends audio."))
    ] = "127.0.0.1"
    away_s: Annotated[
        float,
        Setting(
            message("How long Asterisk may be unreachable"),
            message("With neither ARI nor audio, before its calls end. Ringing calls end without ARI."),
            S,
        ),
    ] = Field(8.0, gt=0)


class TelegramSettings(_Section):
    """Telegram: the application, unless it is set on the page, and which Telegram."""

    api_id: Annotated[
        int | None,
        Setting(
            message("api_id"),
            message("Of the application, from my.telegram.org. It can be set on the page, and for each line."),
            example=12345,
        ),
    ] = Field(None, ge=1)
    api_hash: Annotated[Secret | None, Setting(message("api_hash"), example="0123456789abcdef0123456789abcdef")] = None
    proxy: Annotated[
        Secret | None,
        AfterValidator(proxy_entered),
        Setting(
            message("Proxy to Telegram"),
            message(
                "SOCKS5, HTTP, or a link to t.me/socks or t.me/proxy (MTProxy; not for the bot). For all but the audio "
                "of calls. It can be set on the page."
            ),
            example="socks5://user:password@proxy.example.com:1080",
        ),
    ] = None
    test_mode: Annotated[
        bool,
        Setting(message("Telegram's test servers"), message("They have accounts and numbers of their own.")),
    ] = False
    host: Annotated[
        str,
        Setting(message("Another Telegram server"), message("Such as the sandbox's. Empty: Telegram itself.")),
    ] = ""
    port: Annotated[int, Setting(message("Its port"))] = Field(443, ge=1, le=65535)
    dc_id: Annotated[int, Setting(message("Its data centre"))] = Field(2, ge=1)
    public_key_file: Annotated[
        Path | None, Setting(message("File with its public RSA key"), message("PEM, PKCS#1."), example="telegram.pem")
    ] = None


class BotSettings(_Section):
    """The bot of @BotFather that makes the keypad and the business card; its inline mode has to be on (/setinline)."""

    token: Annotated[
        Secret | None,
        Setting(
            message("Token of the bot"),
            message("It can be set on the page. Without a bot, callers are asked to write the extension."),
            example="123456:the token that @BotFather gave",
        ),
    ] = None
    api_url: Annotated[
        str,
        Setting(message("Another Bot API server"), message("Such as your own. Empty: Telegram's.")),
    ] = Field("", pattern=r"^(https?://.*)?$")


class AmiSettings(_Section):
    """Asterisk's manager interface (manager.conf), for events and `astergram doctor`; optional."""

    host: Annotated[str, Setting(message("Address of AMI"))] = "127.0.0.1"
    port: Annotated[int, Setting(message("Port of AMI"))] = Field(5038, ge=1, le=65535)
    user: Annotated[str, Setting(message("User of manager.conf"))] = "astergram"
    password: Annotated[Secret, Setting(message("Secret in manager.conf"), example="the secret in manager.conf")]
    events: Annotated[
        bool,
        Setting(message("Events of calls and lines are sent"), message("docs/events.md has them.")),
    ] = True
    message_text: Annotated[
        bool,
        Setting(
            message("Texts of messages are sent, too"),
            message("Every AMI user with read = user can read them."),
        ),
    ] = False
    queue: Annotated[
        int,
        Setting(
            message("Events that wait at most"), message("While AMI is away; then the oldest are lost, and counted.")
        ),
    ] = Field(10_000, ge=10)
    requesters: Annotated[
        dict[str, Secret],
        Setting(
            message("Who may send requests"),
            message('A User for each program, with the key that it signs with: {{ crm = "its key" }}.'),
        ),
    ] = {}


class AgiSettings(_Section):
    """FastAGI, by which a dialplan asks Astergram (docs/dialplan.md); without this section it is not served."""

    host: Annotated[
        str, Setting(message("Address of FastAGI"), message("0.0.0.0, where Asterisk is on another machine."))
    ] = "127.0.0.1"
    port: Annotated[int, Setting(message("Port of FastAGI"))] = Field(4573, ge=1, le=65535)
    allow: Annotated[
        tuple[Network, ...],
        Setting(
            message("Who may ask, besides this machine"),
            message("Addresses or networks, such as 192.0.2.10 or 10.0.0.0/8: whoever asks may send texts."),
        ),
    ] = ()
    timeout_s: Annotated[
        float, Setting(message("How long a request may take"), message("The dialplan waits for it."), S)
    ] = Field(3.0, gt=0)


class LogSettings(_Section):
    """The log, on standard error; how much of it, `log_level` says."""

    format: Annotated[
        LogFormat,
        Setting(
            message("Format of the log"),
            message("plain: text. json: an object a line, for programs that collect logs (docs/monitoring.md)."),
        ),
    ] = "plain"
    mask: Annotated[
        bool,
        Setting(
            message("People's numbers are masked in the log"),
            message("Phone numbers, usernames and Telegram IDs, such as +7***02. Lines are always named."),
        ),
    ] = False

    @property
    def style(self) -> LogStyle:
        """Of the controller and of media processes alike."""
        return LogStyle(self.format, self.mask)


class TraceSettings(_Section):
    """Spans of calls by OpenTelemetry; the OTEL_* variables say where they go (docs/monitoring.md)."""

    people: Annotated[
        bool,
        Setting(
            message("People are named in spans"),
            message("Phone numbers and usernames of who calls and is called. Lines are always named."),
        ),
    ] = False


class BackupSection(_Section):
    """Where backups are kept that the program makes by itself; when, is set on the page (docs/backups.md)."""

    folder: Annotated[
        Path | None,
        Setting(
            message("Folder of backups"),
            message("Only Astergram's user should be able to read it. Without it, backups in the state directory."),
            example="/mnt/backups/astergram",
        ),
    ] = None


class UpdateSection(_Section):
    """Whether the place that Astergram was installed from is asked for a newer version (docs/upgrade.md)."""

    source: Annotated[
        Literal["off", "pip", "apt"],
        Setting(
            message("Where to look for a newer version"),
            message(
                "pip: the package index that pip is set up for, each day. apt: what apt knows already. off: nowhere."
            ),
        ),
    ] = "off"
    index: Annotated[
        Secret | None,
        Setting(
            message("Another package index"),
            message("For pip; its address may have a login in it."),
            example="https://packages.example.com/simple",
        ),
    ] = None

    @property
    def address(self) -> str:
        """Of the other index; empty for none."""
        return self.index.get_secret_value() if self.index else ""


class CallSettings(_Section):
    """What bounds every call, and how long calls are kept."""

    ring_s: Annotated[
        float,
        Setting(message("How long an outgoing call may ring"), message("Telegram itself ends it after 90 s."), S),
    ] = Field(90.0, gt=0)
    connect_s: Annotated[
        float,
        Setting(message("How long the audio may take to connect"), message("Once both sides have agreed to talk."), S),
    ] = Field(5.0, gt=0)
    max_calls: Annotated[
        int,
        Setting(
            message("Calls at a time, all lines together"),
            message("One more caller hears “busy”, a dialplan gets LIMITED. 0: no limit."),
        ),
    ] = Field(0, ge=0)
    cpu_percent: Annotated[
        int,
        Setting(
            message("CPU in use up to which calls are admitted"),
            message("As max_calls, for all processors together. 0: neither CPU nor late audio is looked at."),
            message("%"),
        ),
    ] = Field(90, ge=0, le=100)
    drain_offers: Annotated[
        Literal["busy", "leave"],
        Setting(
            message("What becomes of incoming calls while Astergram is being drained"),
            message("busy: the caller hears “busy”. leave: the line's other devices ring on, if it has any."),
        ),
    ] = "busy"
    on_stop: Annotated[
        Literal["hang_up", "hand_over"],
        Setting(
            message("What becomes of calls when Astergram is stopped (SIGTERM)"),
            message(
                "hang_up: they end. hand_over: who talks goes on talking, and the next start has their calls if it "
                "comes within orphan_s; calls that only ring end. Ctrl-C ends them all. In a cluster, another machine "
                "takes calls that only ring."
            ),
        ),
    ] = "hang_up"
    history_days: HistoryDays = 400


class RetentionSection(_Section):
    """How long else is kept what has to do with people: docs/people.md. All can be set on the page."""

    details_days: DetailsDays = 0
    cards_days: CardsDays = 30
    languages_days: LanguagesDays = 400
    contacts_days: ContactsDays = 400
    deliveries_days: DeliveriesDays = 30
    events_days: EventsDays = 7
    alerts_days: AlertsDays = 90


class MediaSection(_Section):
    """The media processes, one for each call."""

    warm: Annotated[
        int,
        Setting(
            message("Media processes kept ready"),
            message("More while many calls begin. 0: each call waits for its own."),
        ),
    ] = Field(2, ge=0)
    orphan_s: Annotated[
        float,
        Setting(
            message("How long a call goes on without Astergram"),
            message("Then its media process ends it, and hangs it up in Asterisk."),
            S,
        ),
    ] = Field(30.0, gt=0)
    turn_server: Annotated[
        Address,
        Setting(
            message("Own TURN server for the audio"),
            message(
                "HOST:PORT, such as turn.example.com:3478; over UDP. Empty: only Telegram's. All of it can be set on "
                "the page."
            ),
        ),
    ] = ""
    turn_user: Annotated[str, Setting(message("Its user"))] = ""
    turn_password: Annotated[
        Secret | None, Setting(message("Its password"), example="the password in turnserver.conf")
    ] = None
    turn_secret: Annotated[
        Secret | None,
        Setting(
            message("Its secret, in place of a password"),
            message("coturn's static-auth-secret: each call gets a login of its own, good for a day."),
            example="static-auth-secret of turnserver.conf",
        ),
    ] = None
    turn_use: Annotated[
        TurnUse,
        Setting(
            message("How it is used"),
            message(
                "also: beside the servers that Telegram names. only: no audio goes any other way, not even directly."
            ),
        ),
    ] = "also"


class ClusterSettings(_Section):
    """The same lines on several machines (docs/cluster.md); without this section there is one."""

    servers: Annotated[
        list[Annotated[str, Field(pattern=SERVER)]],
        Setting(
            message("NATS servers"),
            message("With JetStream, each as nats://HOST:PORT or tls://HOST:PORT. One, or three."),
            example=["nats://10.0.0.1:4222", "nats://10.0.0.2:4222", "nats://10.0.0.3:4222"],
        ),
    ] = Field(min_length=1)
    user: Annotated[str, Setting(message("User of NATS"), message("Empty: none."))] = ""
    password: Annotated[Secret | None, Setting(message("Password of NATS"), example="the password in nats.conf")] = None
    machine: Annotated[
        str,
        Setting(message("Name of this machine"), message("Another one on each machine."), example="pbx-1"),
    ] = Field(pattern=MACHINE)
    secret: Annotated[
        Annotated[SecretStr, Field(min_length=SECRET_LEAST)] | None,
        Setting(
            message("Secret of the machines"),
            message(
                "The same on every machine, and 20 characters at least; it never leaves them. With it, they have the "
                "same lines, settings and users, and one signs lines in on another: whoever has it can do so, too."
            ),
            example="what `openssl rand -base64 30` prints",
        ),
    ] = None
    asterisk_url: Annotated[
        str,
        Setting(
            message("This machine's Asterisk, as the others reach it"),
            message(
                "Its HTTP server, without /ari. Then another machine places the calls of its phones for which this one "
                "has no line: they are told its address, user and password by NATS, encrypted with the secret. Empty: "
                "none does."
            ),
            example="http://10.0.0.1:8088",
        ),
    ] = Field("", pattern=r"^(https?://.*)?$")
    media_host: Annotated[
        str,
        Setting(
            message("This machine's address for RTP of the others' Asterisks"),
            message("Empty: that of [asterisk]."),
            example="10.0.0.1",
        ),
    ] = ""
    devices: Annotated[
        int,
        Setting(
            message("Machines that a line is signed in on"),
            message(
                "With a secret: a line that is signed in on fewer is signed in on others by itself. 1: on none. The "
                "same on every machine."
            ),
        ),
    ] = Field(DEVICES, ge=1)
    lease_s: Annotated[
        float,
        Setting(
            message("Lease of a line"),
            message(
                "How long a machine that says nothing keeps its lines. The same on every machine; less than 10 is not "
                "enough where one of three NATS servers fails."
            ),
            S,
        ),
    ] = Field(LEASE_S, ge=1)

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.asterisk_url and self.secret is None:
            raise ValueError("asterisk_url needs a secret: the others are told of it encrypted with that")
        return self


class Settings(BaseSettings):
    """The whole file."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER
    )

    state_dir: Annotated[
        Path,
        Setting(
            message("State directory"),
            message(
                "Sessions, locks and the database. Only Astergram's user should be able to read it; one program works "
                "on it at a time."
            ),
        ),
    ] = Path("/var/lib/astergram")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Setting(message("Log level"), message("INFO shows the events of each call.")),
    ] = "INFO"
    company: Annotated[
        str,
        Setting(
            message("Company"),
            message("{{company}} in the texts, for lines without their own. It can be set on the page."),
        ),
    ] = ""
    timezone: Annotated[
        Timezone,
        Setting(
            message("Time zone"),
            message(
                "Such as Europe/Moscow: of all times that are shown, told to callers and exported; a day begins in it. "
                "Empty: this machine's. It can be set on the page."
            ),
        ),
    ] = ""
    asterisk: AsteriskSettings
    telegram: TelegramSettings = TelegramSettings()
    bot: BotSettings = BotSettings()
    ami: AmiSettings | None = None
    agi: AgiSettings | None = None
    web: WebSettings = WebSettings()
    oidc: OidcSettings | None = None
    calls: CallSettings = CallSettings()
    cluster: ClusterSettings | None = None
    retention: RetentionSection = RetentionSection()
    media: MediaSection = MediaSection()
    backups: BackupSection = BackupSection()
    updates: UpdateSection = UpdateSection()
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()

    @property
    def database(self) -> Path:
        """The program's own database."""
        return self.state_dir / "astergram.db"

    @property
    def socket(self) -> Path:
        """Where the command line talks to the running program."""
        return self.state_dir / "astergram.sock"

    @property
    def leases_dir(self) -> Path:
        """Who acts for each line, where this is the only machine."""
        return self.state_dir / "leases"

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
