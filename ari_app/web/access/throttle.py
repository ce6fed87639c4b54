"""Slows down an address that has sent wrong passwords, and whoever guesses one user's from everywhere."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

FORGOTTEN_AFTER_S = 86400.0
MOST = 10_000  # addresses, or names
IPV6_PREFIX = 64  # what one customer has, so that they are one address here


@dataclass(frozen=True)
class TryLimits:
    """How many tries are free; then each further wrong one doubles the delay, in seconds, up to the longest."""

    free_tries: int
    first_delay_s: float
    longest_delay_s: float


ADDRESSES = TryLimits(5, 2.0, 900.0)
USERS = TryLimits(20, 2.0, 60.0)
"""A user is not to be locked out by others for long: their longest delay leaves one guess a minute."""
CODES = TryLimits(5, 30.0, 3600.0)
"""Who guesses codes knows the password; of a million codes three are right, so a guess a minute finds one in months."""


@dataclass
class _Tries:
    wrong: int
    until: float
    latest: float


class Throttle:
    """How long each address, or name, has to wait; times are those of ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float], limits: TryLimits = ADDRESSES) -> None:
        self._clock = clock
        self._limits = limits
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, who: str) -> float:
        """How long somebody has to wait for their next try; 0 for a try now."""
        tries = self._tries.get(_key(who))
        return max(0.0, tries.until - self._clock()) if tries else 0.0

    def wrong(self, who: str) -> None:
        """Count a wrong password; a try is counted when it begins, so that many at once get no further."""
        now, key, its = self._clock(), _key(who), self._limits
        tries = self._tries.get(key)
        if tries is None or now - tries.latest > FORGOTTEN_AFTER_S:
            tries = self._tries[key] = _Tries(0, now, now)
        tries.wrong += 1
        tries.latest = now
        if tries.wrong >= its.free_tries:
            delay_s = its.first_delay_s * 2 ** min(tries.wrong - its.free_tries, 30)
            tries.until = now + min(its.longest_delay_s, delay_s)
        self._tries.move_to_end(key)
        if len(self._tries) > MOST:
            self._tries.popitem(last=False)

    def right(self, who: str) -> None:
        """Forget somebody: they know the password."""
        self._tries.pop(_key(who), None)


def _key(who: str) -> str:
    try:
        ip = ip_address(who.partition("%")[0])
    except ValueError:
        return who
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or IPv6Network((ip, IPV6_PREFIX), strict=False))
    return str(ip)
