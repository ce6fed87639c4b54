"""What is set for the whole installation, on the page or on the command line."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import tzinfo
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    ValidationError,
    field_serializer,
    field_validator,
)

from ari_app import zones
from ari_app.cluster.shared_settings import OwnSettings, SharedSettings
from ari_app.described import Setting
from ari_app.i18n import message
from ari_app.lines.retention import (
    AlertsDays,
    AuditDays,
    CardsDays,
    ContactsDays,
    DeliveriesDays,
    DetailsDays,
    EventsDays,
    HistoryDays,
    LanguagesDays,
)
from ari_app.lines.sent_secrets import sent_elsewhere
from ari_app.lines.settings import WITH_SECRETS, LineError, SettingRefused
from ari_app.lines.versions import check_version
from ari_app.store.lines import InstallationRepository
from ari_app.store.store import Store
from ari_app.telegram.bot_api import BotApiError, Introduction, TokenRefused
from ari_app.telegram.proxy import Proxy, proxy_entered
from ari_app.telegram.turn_server import Address, TurnServer, TurnUse
from ari_app.wrong import Wrong, wrong_in

SHARED_NAME = "installation"
HIDDEN = ("api_hash", "bot_token", "proxy", "turn_password", "turn_secret")
SENT_TO = {"turn_password": ("turn_server",), "turn_secret": ("turn_server",)}


class InstallationSettings(BaseModel):
    """What is set for the whole installation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: Annotated[str, Setting(message("Company"), message("Stands in the texts to callers."))] = ""
    timezone: Annotated[
        zones.Timezone,
        Setting(
            message("Time zone"),
            message(
                "Of all times that are shown, told to callers and exported; a day begins in it. Empty: this machine's."
            ),
        ),
    ] = ""
    api_id: Annotated[int | None, Setting(message("api_id"), message("Of your application, from my.telegram.org."))] = (
        Field(None, ge=1)
    )
    api_hash: Annotated[SecretStr | None, Setting(message("api_hash"))] = None
    bot_token: Annotated[
        SecretStr | None,
        Setting(message("Token of the bot"), message("Get one from @BotFather, and turn its inline mode on.")),
    ] = None

    proxy: Annotated[
        SecretStr | None,
        Setting(
            message("Proxy to Telegram"),
            message(
                "socks5://USER:PASSWORD@HOST:PORT, http://USER:PASSWORD@HOST:PORT, or a link to t.me/socks or "
                "t.me/proxy (MTProxy; not for the bot). For all but the audio of calls. Empty: none."
            ),
        ),
    ] = None

    turn_server: Annotated[
        Address,
        Setting(
            message("Own TURN server for the audio"),
            message("HOST:PORT, such as turn.example.com:3478; over UDP. Empty: only Telegram's."),
        ),
    ] = ""
    turn_user: Annotated[str, Setting(message("Its user"))] = ""
    turn_password: Annotated[SecretStr | None, Setting(message("Its password"))] = None
    turn_secret: Annotated[
        SecretStr | None,
        Setting(
            message("Its secret, in place of a password"),
            message("coturn's static-auth-secret: each call gets a login of its own, good for a day."),
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

    history_days: HistoryDays = 400
    details_days: DetailsDays = 0
    cards_days: CardsDays = 30
    languages_days: LanguagesDays = 400
    contacts_days: ContactsDays = 400
    deliveries_days: DeliveriesDays = 30
    events_days: EventsDays = 7
    alerts_days: AlertsDays = 90
    audit_days: AuditDays = 400

    @property
    def token(self) -> str:
        """The bot's token itself; empty where there is no bot."""
        return self.bot_token.get_secret_value() if self.bot_token else ""

    @property
    def relay(self) -> TurnServer | None:
        """One's own TURN server itself."""
        if not self.turn_server:
            return None
        host, _, port = self.turn_server.rpartition(":")
        password, secret = (each.get_secret_value() if each else "" for each in (self.turn_password, self.turn_secret))
        return TurnServer(host.strip("[]"), int(port), self.turn_user, password, secret, self.turn_use == "only")

    @property
    def way(self) -> Proxy | None:
        """The proxy itself."""
        return Proxy.parse(self.proxy.get_secret_value()) if self.proxy else None

    @property
    def zone(self) -> tzinfo:
        """The time zone itself."""
        return zones.named(self.timezone)

    @field_validator(*HIDDEN)
    @classmethod
    def _none(cls, secret: SecretStr | None) -> SecretStr | None:
        """An empty one is none, whatever the configuration file says."""
        return secret or None

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, secret: SecretStr | None) -> SecretStr | None:
        return proxy_entered(secret)

    @field_serializer(*HIDDEN, when_used="json")
    def _hidden(self, secret: SecretStr | None, info: SerializationInfo) -> str | None:
        return secret.get_secret_value() if secret is not None and info.context == WITH_SECRETS else None


TRY_S = 20.0
"""For Telegram's word on a bot's token; the library that asks takes seconds to load on a slow machine."""


class BotUntried(LineError):
    """Nothing was changed: Telegram could not be asked about the bot's token."""


Introduce = Callable[[str, Proxy | None], Awaitable[Introduction]]


class Installation:
    """The settings now: what has been set while the program runs, over what its configuration file says.

    ``introduce`` asks Telegram, by a proxy or without, who a token's bot is (raises BotApiError); without it, every
    token is kept untried.
    """

    def __init__(self, store: Store, defaults: InstallationSettings, introduce: Introduce | None = None) -> None:
        self._kept = InstallationRepository(store)
        self._defaults = defaults
        self._introduce = introduce
        self.settings = defaults
        self._shared: SharedSettings = OwnSettings()
        self._followers: list[Callable[[], Awaitable[None]]] = []
        self._changing = asyncio.Lock()

    def on_change(self, follow: Callable[[], Awaitable[None]]) -> None:
        """Have something done after each change, before it counts as made."""
        self._followers.append(follow)

    async def load(self) -> None:
        """Read what was set before; before anything else."""
        self.settings = self._with(await self._kept.all())

    def share(self, shared: SharedSettings) -> None:
        """Tell other machines of each change from now on."""
        self._shared = shared

    async def stored(self) -> str | None:
        """What has been set, as JSON, secrets included; None where nothing was."""
        kept = await self._kept.all()
        return json.dumps(kept) if kept else None

    async def follow(self, stored: str) -> None:
        """Take over what another machine has set, as JSON. Raises ValueError, SettingRefused."""
        set_there = {str(name): str(value) for name, value in json.loads(stored).items()}
        async with self._changing:
            kept = await self._kept.all()
            if set_there == kept:
                return
            settings = self._with(set_there)
            await self._kept.change({**dict.fromkeys(kept), **set_there})
            self.settings = settings
        await self._follow()

    async def use_defaults(self, defaults: InstallationSettings) -> None:
        """The configuration file says something else now. Raises SettingRefused, and changes nothing."""
        async with self._changing:
            settings = self._with(await self._kept.all(), defaults)
            changed = settings != self.settings
            self._defaults, self.settings = defaults, settings
        if changed:
            await self._follow()

    async def change(
        self, changes: Mapping[str, Any], read: Collection[str] | None = None, *, untried: bool = False
    ) -> Introduction | None:
        """Set some of it; None goes back to what the configuration file says. Returns whose a new bot's token is.

        ``read``: only if the settings are still one of these versions. ``untried``: Telegram is not asked about the
        token. Raises SettingsChanged, SettingRefused, BotUntried, NotShared.
        """
        wanted = {name: None if value is None else str(value) for name, value in changes.items()}
        check_version(self.settings, changes, read)
        checked = await self._changed(wanted)
        introduction = None if untried else await self._tried(wanted.get("bot_token"), checked.way)
        async with self._changing:
            check_version(self.settings, changes, read)
            settings = await self._changed(wanted)
            kept = {**await self._kept.all(), **wanted}
            set_here = {name: value for name, value in kept.items() if value is not None}
            await self._shared.keep(SHARED_NAME, json.dumps(set_here))
            await self._kept.change(wanted)
            self.settings = settings
        await self._follow()
        return introduction

    async def _changed(self, wanted: Mapping[str, str | None]) -> InstallationSettings:
        settings = self._with({**await self._kept.all(), **wanted})
        if wrong := list(sent_elsewhere(SENT_TO, settings, wanted, [self.settings, self._defaults])):
            raise SettingRefused(*wrong)
        return settings

    async def _follow(self) -> None:
        for follow in self._followers:
            await follow()

    async def _tried(self, token: str | None, proxy: Proxy | None) -> Introduction | None:
        if not token or self._introduce is None or token == self.settings.token:
            return None
        try:
            async with asyncio.timeout(TRY_S):
                return await self._introduce(token, proxy)
        except TokenRefused:
            said = message("Telegram has no bot with this token: copy it again from @BotFather (/token).")
            raise SettingRefused(Wrong("bot_token", said)) from None
        except TimeoutError:
            error = f"no answer within {TRY_S:g} s"
        except BotApiError as refused:
            error = str(refused)
        said = message(
            "The bot's token could not be tried, so nothing was changed: "
            "Telegram's Bot API can't be reached ({error}).",
            error=error,
        )
        raise BotUntried(said)

    def _with(
        self, kept: Mapping[str, str | None], defaults: InstallationSettings | None = None
    ) -> InstallationSettings:
        values = (defaults or self._defaults).model_dump() | {
            name: value for name, value in kept.items() if value is not None
        }
        try:
            return InstallationSettings.model_validate(values)
        except ValidationError as error:
            raise SettingRefused(*wrong_in(error)) from None
