"""Times and numbers as a language writes them, the times in a zone that is given."""

import datetime

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup

ABSENT = "–"
HOUR_S = 3600


def when(unix: float | None, locale: Locale, zone: datetime.tzinfo, form: str = "medium") -> Markup | str:
    """A Unix time; forms are CLDR's: short, medium, long, full, or a pattern."""
    if unix is None:
        return ABSENT
    moment = datetime.datetime.fromtimestamp(unix, zone)
    shown = format_datetime(moment, form, zone, locale)
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), shown)


def ago(unix: float | None, now: float, locale: Locale, zone: datetime.tzinfo) -> Markup | str:
    """How long ago a Unix time was, or how soon it will be; the time itself shows when it is pointed at.

    With scripts it goes on by itself, in the same words (`static/times.js`).
    """
    if unix is None:
        return ABSENT
    moment = datetime.datetime.fromtimestamp(unix, zone)
    passed = unix - now if abs(unix - now) >= 1 else -1  # not "in 0 seconds"
    shown = format_timedelta(datetime.timedelta(seconds=passed), add_direction=True, locale=locale)
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        moment.isoformat(timespec="seconds"), format_datetime(moment, "medium", zone, locale), shown
    )


def duration(seconds: float | None) -> str:
    """1:05 or 2:01:05; a dash for None."""
    if seconds is None:
        return ABSENT
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if seconds >= HOUR_S else f"{minutes}:{rest:02}"


def number(value: float | None, locale: Locale, digits: int = 0) -> str:
    """A number, rounded to so many digits; a dash for None."""
    return ABSENT if value is None else str(format_decimal(round(value, digits), locale=locale))
