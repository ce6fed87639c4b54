"""How long what is kept of people stays: each period in days, set in the configuration file, over it on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ari_app.described import Setting
from ari_app.i18n import message

if TYPE_CHECKING:
    from ari_app.lines.installation import Installation

MOST_DAYS = 36_500  # a hundred years: what a clock can still be set to
DAY_S = 86400.0
_DAYS = message("days")

HistoryDays = Annotated[
    int, Setting(message("How long a call stays in the history"), unit=_DAYS), Field(ge=1, le=MOST_DAYS)
]
DetailsDays = Annotated[
    int,
    Setting(
        message("How long a call's call flow and audio measurements stay"), message("0: as long as the call."), _DAYS
    ),
    Field(ge=0, le=MOST_DAYS),
]
CardsDays = Annotated[
    int,
    Setting(
        message("How long a business card that was sent is remembered"),
        message("Its button works for as long; whoever is forgotten may get the next card sooner."),
        _DAYS,
    ),
    Field(ge=1, le=MOST_DAYS),
]
LanguagesDays = Annotated[
    int,
    Setting(
        message("How long the language of somebody's Telegram is remembered"),
        message("Since Telegram last told it."),
        _DAYS,
    ),
    Field(ge=1, le=MOST_DAYS),
]
ContactsDays = Annotated[
    int,
    Setting(
        message("How long people whom an account has met are remembered"),
        message("Since it last saw them. A Telegram ID can be called only while it is remembered."),
        _DAYS,
    ),
    Field(ge=1, le=MOST_DAYS),
]
DeliveriesDays = Annotated[
    int,
    Setting(
        message("How long deliveries of webhooks stay"),
        message("Of each webhook the last 1000 at most; what still waits is given up after a day."),
        _DAYS,
    ),
    Field(ge=1, le=MOST_DAYS),
]
EventsDays = Annotated[
    int,
    Setting(
        message("How long events wait for AMI"),
        message("While it takes none; then they are lost, and counted."),
        _DAYS,
    ),
    Field(ge=1, le=MOST_DAYS),
]
AlertsDays = Annotated[
    int,
    Setting(
        message("How long alerts that are over, and messages about them, stay"),
        message("The last 1000 at most."),
        _DAYS,
    ),
    Field(ge=1, le=MOST_DAYS),
]
AuditDays = Annotated[
    int, Setting(message("How long an entry stays in the audit log"), unit=_DAYS), Field(ge=1, le=MOST_DAYS)
]

PERIODS = (
    "history_days",
    "details_days",
    "cards_days",
    "languages_days",
    "contacts_days",
    "deliveries_days",
    "events_days",
    "alerts_days",
    "audit_days",
)
"""Their names among the installation's settings."""


def period_s(installation: Installation, name: str) -> float:
    """One of these periods, as it is set now, in seconds."""
    return float(getattr(installation.settings, name) * DAY_S)
