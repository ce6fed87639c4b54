"""The time zone that times are shown in, and that a day begins in: one of the IANA database, or this machine's own."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from babel.localtime import LOCALTZ
from pydantic import AfterValidator

from ari_app.i18n import message
from ari_app.wrong import Told

MACHINE: tzinfo = LOCALTZ
"""As TZ, /etc/localtime or /etc/timezone said when the program began."""
UNUSUAL = frozenset({"localtime", "Factory"})  # names of no place and no rule


@cache
def names() -> tuple[str, ...]:
    """All that there are, in order. Takes some 30 ms the first time: it looks through the files of the database."""
    return tuple(sorted(available_timezones() - UNUSUAL))


def canonical(name: str) -> str:
    """A zone's name as it is spelt, the case aside; empty for this machine's. Raises Told where nobody has it."""
    if not (wanted := name.strip()):
        return ""
    if found := _by_folded().get(wanted.casefold()):
        return found
    raise Told(message("{given} is no time zone, such as Europe/Moscow.", given=repr(wanted)))


@cache
def _by_folded() -> dict[str, str]:
    return {name.casefold(): name for name in names()}


def named(name: str) -> tzinfo:
    """The zone of a name that is spelt right; this machine's where it is empty."""
    return ZoneInfo(name) if name else MACHINE


def name_of(zone: tzinfo) -> str:
    """What it is called; its offset now, for one that nobody has named."""
    return getattr(zone, "key", None) or offset_of(zone, datetime.now(UTC))


def offset_of(zone: tzinfo, moment: datetime) -> str:
    """How far it is from UTC then, such as UTC+03:00."""
    return f"UTC{moment.astimezone(zone).isoformat()[-6:]}"


Timezone = Annotated[str, AfterValidator(canonical)]
"""A setting: the name of a zone, empty for this machine's."""
