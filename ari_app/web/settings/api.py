"""What is set for the whole installation."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ari_app.i18n import message
from ari_app.lines.installation import BotUntried, InstallationSettings
from ari_app.lines.retention import MOST_DAYS, PERIODS
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.telegram.turn_server import TurnUse
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.settings.forms import ABOUT

LONGEST = 200
Days = Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS)]
DaysOrNone = Annotated[int, Field(strict=True, ge=0, le=MOST_DAYS)]
LONGEST_PROXY = 1000  # with a login of 255 characters and 255 more, some of them as %xx


class InstallationAnswer(BaseModel):
    """What is set; of a secret only that it is set."""

    company: Annotated[str, ABOUT["company"]]
    timezone: Annotated[str, ABOUT["timezone"]]
    api_id: Annotated[int | None, ABOUT["api_id"]]
    api_hash: Annotated[Literal["set"] | None, ABOUT["api_hash"]]
    bot_token: Annotated[Literal["set"] | None, ABOUT["bot_token"]]
    proxy: Annotated[Literal["set"] | None, ABOUT["proxy"]]
    turn_server: Annotated[str, ABOUT["turn_server"]]
    turn_user: Annotated[str, ABOUT["turn_user"]]
    turn_password: Annotated[Literal["set"] | None, ABOUT["turn_password"]]
    turn_secret: Annotated[Literal["set"] | None, ABOUT["turn_secret"]]
    turn_use: Annotated[TurnUse, ABOUT["turn_use"]]
    history_days: Annotated[int, ABOUT["history_days"]]
    details_days: Annotated[int, ABOUT["details_days"]]
    cards_days: Annotated[int, ABOUT["cards_days"]]
    languages_days: Annotated[int, ABOUT["languages_days"]]
    contacts_days: Annotated[int, ABOUT["contacts_days"]]
    deliveries_days: Annotated[int, ABOUT["deliveries_days"]]
    events_days: Annotated[int, ABOUT["events_days"]]
    alerts_days: Annotated[int, ABOUT["alerts_days"]]
    audit_days: Annotated[int, ABOUT["audit_days"]]

    @classmethod
    def of(cls, settings: InstallationSettings) -> "InstallationAnswer":
        """Without the secrets."""
        return cls(
            company=settings.company,
            api_id=settings.api_id,
            api_hash="set" if settings.api_hash else None,
            bot_token="set" if settings.bot_token else None,
            proxy="set" if settings.proxy else None,
            turn_server=settings.turn_server,
            turn_user=settings.turn_user,
            turn_password="set" if settings.turn_password else None,
            turn_secret="set" if settings.turn_secret else None,
            turn_use=settings.turn_use,
            timezone=settings.timezone,
            **{name: getattr(settings, name) for name in PERIODS},
        )


class InstallationChange(BaseModel):
    """Some of it, or all; null goes back to what the configuration file says. Without a bot token there is no bot.

    Telegram is asked whose a new bot token is; with ``untried`` it is kept unasked.
    """

    model_config = ConfigDict(extra="forbid")

    company: Annotated[str | None, ABOUT["company"]] = Field(None, max_length=LONGEST)
    timezone: Annotated[str | None, ABOUT["timezone"]] = Field(None, max_length=LONGEST, examples=["Europe/Moscow"])
    api_id: Annotated[int | None, ABOUT["api_id"]] = Field(None, ge=1, le=2**31 - 1)
    api_hash: Annotated[str | None, ABOUT["api_hash"]] = Field(
        None, max_length=LONGEST, json_schema_extra={"format": "password"}
    )
    bot_token: Annotated[str | None, ABOUT["bot_token"]] = Field(
        None, max_length=LONGEST, json_schema_extra={"format": "password"}
    )
    proxy: Annotated[str | None, ABOUT["proxy"]] = Field(
        None, max_length=LONGEST_PROXY, json_schema_extra={"format": "password"}
    )
    turn_server: Annotated[str | None, ABOUT["turn_server"]] = Field(None, max_length=LONGEST)
    turn_user: Annotated[str | None, ABOUT["turn_user"]] = Field(None, max_length=LONGEST)
    turn_password: Annotated[str | None, ABOUT["turn_password"]] = Field(
        None, max_length=LONGEST, json_schema_extra={"format": "password"}
    )
    turn_secret: Annotated[str | None, ABOUT["turn_secret"]] = Field(
        None, max_length=LONGEST, json_schema_extra={"format": "password"}
    )
    turn_use: Annotated[TurnUse | None, ABOUT["turn_use"]] = None
    history_days: Annotated[Days | None, ABOUT["history_days"]] = None
    details_days: Annotated[DaysOrNone | None, ABOUT["details_days"]] = None
    cards_days: Annotated[Days | None, ABOUT["cards_days"]] = None
    languages_days: Annotated[Days | None, ABOUT["languages_days"]] = None
    contacts_days: Annotated[Days | None, ABOUT["contacts_days"]] = None
    deliveries_days: Annotated[Days | None, ABOUT["deliveries_days"]] = None
    events_days: Annotated[Days | None, ABOUT["events_days"]] = None
    alerts_days: Annotated[Days | None, ABOUT["alerts_days"]] = None
    audit_days: Annotated[Days | None, ABOUT["audit_days"]] = None
    untried: StrictBool = False


async def get_installation(asked: Asked) -> InstallationAnswer:
    """What is set."""
    return _answer(asked)


async def change_installation(asked: Asked, body: InstallationChange) -> InstallationAnswer:
    """Change some of it; it takes effect at once."""
    changes = {name: getattr(body, name) for name in body.model_fields_set - {"untried"}}
    try:
        await asked.services.installation.change(changes, asked.read, untried=body.untried)
    except BotUntried as error:
        said = message("{error} With untried=true the token is kept all the same.", error=error)
        raise BotUntried(said) from None
    return _answer(asked)


def _answer(asked: Asked) -> InstallationAnswer:
    settings = asked.services.installation.settings
    asked.answers_version(version_of(settings))
    return InstallationAnswer.of(settings)


operations = (
    Operation("GET", "/api/installation", get_installation, "What is set for the whole installation", versioned=True),
    Operation(
        "PATCH",
        "/api/installation",
        change_installation,
        "Change what is set for the whole installation",
        errors={409: BotUntried, 412: SettingsChanged, 422: SettingRefused},
        versioned=True,
    ),
)
