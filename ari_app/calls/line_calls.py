"""How many calls each line has, on all machines of a cluster together, each call by Telegram's id of it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from ari_app.calls.call import Call

UNKNOWN = 0
"""In the place of the id of a call of which Telegram has told none (yet)."""


def telegram_ids(live: Iterable[Call]) -> dict[str, tuple[int, ...]]:
    """The calls of each line."""
    found: dict[str, tuple[int, ...]] = {}
    for call in live:
        its = call.parts.telegram.call_id if call.parts.telegram else UNKNOWN
        found[call.line] = (*found.get(call.line, ()), its)
    return found


def counted(live: Iterable[Call], elsewhere: Mapping[str, Collection[int]], offered: int = UNKNOWN) -> Counter[str]:
    """How many there are, of which ``live`` are this machine's, and ``elsewhere`` those of the others.

    A call that two machines have is one, and ``offered`` is none: another machine may have had it until now.
    """
    own = telegram_ids(live)
    known = {offered, UNKNOWN}.union(*own.values())
    found = Counter({line: len(ids) for line, ids in own.items()})
    for line, ids in elsewhere.items():
        found[line] += sum(each == UNKNOWN for each in ids) + len(set(ids) - known)
    return found
