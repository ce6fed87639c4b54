"""Slows down an address that has sent wrong passwords, and nobody else."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

FREE_TRIES = 5
FIRST_DELAY_S = 2.0  # doubled by each further wrong password
LONGEST_DELAY_S = 900.0
FORGOTTEN_AFTER_S = 86400.0
MOST_ADDRESSES = 10_000
IPV6_PREFIX = 64  # what one customer has, so that they are one address here


@dataclass
class _Tries:
    wrong: int
    until: float
    latest: float


class Throttle:
    """How long each address has to wait; times are those of ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """How long an address has to wait for its next try; 0 for a try now."""
        tries = self._tries.get(_key(address))
        return max(0.0, tries.until - self._clock()) if tries else 0.0

    def wrong(self, address: str) -> None:
        """Count a wrong password; a try is counted when it begins, so that many at once get no further."""
        now, key = self._clock(), _key(address)
        tries = self._tries.get(key)
        if tries is None or now - tries.latest > FORGOTTEN_AFTER_S:
            tries = self._tries[key] = _Tries(0, now, now)
        tries.wrong += 1
        tries.latest = now
        if tries.wrong >= FREE_TRIES:
            tries.until = now + min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(tries.wrong - FREE_TRIES, 30))
        self._tries.move_to_end(key)
        if len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)

    def right(self, address: str) -> None:
        """Forget an address: it knows the password."""
        self._tries.pop(_key(address), None)


def _key(address: str) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or IPv6Network((ip, IPV6_PREFIX), strict=False))
    return str(ip)
