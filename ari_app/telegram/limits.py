"""What protects an account: requests that Telegram limits are paused, and outgoing calls are counted.

Every request of a line goes through its `LimitedClient`, also those that Telethon makes by itself, so that nothing asks
Telegram for what it has just been told to leave. A pause is for one kind of request (core.telegram.org/api/errors,
420 FLOOD, and PEER_FLOOD).
"""

import asyncio
import logging
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from telethon import TelegramClient, errors
from telethon.utils import is_list_like

from ari_app.logs import line_log
from ari_app.store.errors import StoreUnavailable
from ari_app.telegram.errors import FROZEN, Frozen, Limited, word_of

log = logging.getLogger(__name__)

CALL = "phone.requestCall"
MINUTE_S, DAY_S = 60.0, 86400.0
FROZEN_S = 3600.0  # until what a frozen account may not do is tried again: it is thawed by people, who take days
FLOOD_WAITS = (errors.FloodWaitError, errors.FloodPremiumWaitError)


@dataclass(frozen=True)
class LimitSettings:
    """The margins that are added to what Telegram asks, and how often a line may call, and look somebody up for a PBX
    that does not call them; 0 means no bound.
    """

    flood_margin_s: float = 30.0
    peer_flood_s: float = 86400.0
    calls_per_minute: int = 0
    calls_per_day: int = 0
    lookups_per_minute: int = 0


@dataclass(frozen=True)
class Pause:
    """One kind of request is not made until then (a Unix time); ``reason`` is Telegram's word."""

    request: str
    until: float
    reason: str


class LimitStore(Protocol):
    """Where a line's limits are kept over a restart; times are Unix times."""

    async def pauses(self, now: float) -> dict[str, tuple[float, str]]:
        """The pauses that are not over: until when, and why. Raises StoreUnavailable."""

    def pause(self, request: str, until: float, reason: str) -> None:
        """Keep one; never waits."""

    async def calls(self, since: float) -> list[float]:
        """When the line called somebody, the oldest first. Raises StoreUnavailable."""

    def called(self, at: float) -> None:
        """Keep that it did; never waits."""


class Limits:
    """The limits of one line; a context manager, which knows nothing before it is entered."""

    def __init__(
        self,
        line: str,
        settings: LimitSettings,
        memory: LimitStore,
        clock: Callable[[], float] = time.time,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._line = line
        self.settings = settings
        self._memory = memory
        self._clock = clock
        self._pauses: dict[str, Pause] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}
        self._calls: list[float] = []
        self._lookups: list[float] = []
        self._remembers = False
        self._entered = False
        self._on_change = on_change

    async def __aenter__(self) -> "Limits":
        if not self._remembers:  # else it has known of everything since
            await self._remember(self._clock())
        self._entered = True
        for pause in list(self._pauses.values()):
            if pause.until > self._clock():
                self._begin(pause)
        return self

    async def _remember(self, now: float) -> None:
        try:
            pauses = await self._memory.pauses(now)
            calls = await self._memory.calls(now - DAY_S)
        except StoreUnavailable as error:
            line_log(log, self._line).warning(
                "what Telegram limited earlier is not known until it is told again: %s", error
            )
            return
        for request, (until, reason) in pauses.items():
            if request not in self._pauses or self._pauses[request].until < until:
                self._pauses[request] = Pause(request, until, reason)
        for pause in self._pauses.values():  # of another machine, which were told before this one was at work
            if pause.until > pauses.get(pause.request, (0.0, ""))[0]:
                self._memory.pause(pause.request, pause.until, pause.reason)
        self._calls = sorted({*calls, *self._calls})
        self._remembers = True

    async def __aexit__(self, *exc: object) -> None:
        self._entered = False
        for end in self._ends.values():
            end.cancel()
        self._ends.clear()

    @property
    def pauses(self) -> dict[str, tuple[float, str]]:
        """The pauses now: each request's seconds left, and Telegram's word."""
        now = self._clock()
        return {each.request: (each.until - now, each.reason) for each in self._pauses.values() if each.until > now}

    @property
    def frozen(self) -> str:
        """Telegram's word for this account being frozen; empty where it has not said so of late."""
        return next((reason for _, reason in self.pauses.values() if reason.startswith(FROZEN)), "")

    def check(self, request: str = CALL) -> None:
        """Raises Limited (Frozen, too) where a request (its TL name) must not be made now; by default, a call."""
        if pause := self.pauses.get(request):
            seconds, reason = pause
            if reason.startswith(FROZEN):
                raise Frozen(f"line {self._line} may not send {request}: Telegram has frozen its account ({reason})")
            raise Limited(
                f"line {self._line} backs off from {request} for {seconds:.0f} s more: Telegram said {reason}",
                round(seconds),
            )
        if request == CALL:
            self._check_rate(self._calls, "made {} calls", "calls_per_minute", MINUTE_S)
            self._check_rate(self._calls, "made {} calls", "calls_per_day", DAY_S)

    async def admit(self, request: str) -> None:
        """A request is about to be made: raises Limited where it must not be; a call is counted."""
        if not _is_held_back(request):
            return
        self.check(request)
        if request == CALL:
            now = self._clock()
            del self._calls[: bisect_right(self._calls, now - DAY_S)]
            insort(self._calls, now)  # another machine's clock may be ahead
            self._memory.called(now)

    def admit_lookup(self) -> None:
        """Telegram is about to be asked who somebody is whom nobody calls: raises Limited where it must not be."""
        self._check_rate(self._lookups, "looked {} people up", "lookups_per_minute", MINUTE_S)
        now = self._clock()
        self._lookups = [*self._lookups[bisect_right(self._lookups, now - MINUTE_S) :], now]

    async def learn(self, request: str, error: BaseException | None) -> None:
        """Pause a request if that is what Telegram's answer to it means."""
        if isinstance(error, FLOOD_WAITS):
            await self._pause(request, error.seconds + self.settings.flood_margin_s, f"FLOOD_WAIT_{error.seconds}")
        elif isinstance(error, errors.PeerFloodError):
            await self._pause(request, self.settings.peer_flood_s, "PEER_FLOOD")
        elif isinstance(error, errors.RPCError) and (word := word_of(error)).startswith(FROZEN):
            # Whatever it was that showed it, a frozen account can place no call.
            for each in {request, CALL}:
                await self._pause(each, FROZEN_S, word)

    def told(self, pause: Pause) -> bool:
        """Another device of this account was told to leave a request. False where that is not to be kept now: it is
        left for longer anyway, or the line is not at work yet, and keeps it then.
        """
        known = self._pauses.get(pause.request)
        if pause.until <= self._clock() or (known and known.until >= pause.until):
            return False
        if self._entered:
            self._begin(pause)
        else:
            self._pauses[pause.request] = pause
        return self._entered

    def counts(self, at: float) -> None:
        """Another device of this account called somebody then."""
        del self._calls[: bisect_right(self._calls, self._clock() - DAY_S)]
        place = bisect_left(self._calls, at)
        if self._calls[place : place + 1] != [at]:
            self._calls.insert(place, at)

    async def _pause(self, request: str, seconds: float, reason: str) -> None:
        if not _is_held_back(request):
            return
        pause = Pause(request, self._clock() + seconds, reason)
        known = self._pauses.get(request)
        if known is None or known.until < pause.until:
            self._begin(pause)
            self._memory.pause(pause.request, pause.until, pause.reason)

    def _begin(self, pause: Pause) -> None:
        seconds = pause.until - self._clock()
        line_log(log, self._line).warning("no %s for %.0f s: Telegram said %s", pause.request, seconds, pause.reason)
        self._pauses[pause.request] = pause
        if earlier := self._ends.pop(pause.request, None):
            earlier.cancel()
        self._ends[pause.request] = asyncio.get_running_loop().call_later(seconds, self._end, pause)
        self._on_change()

    def _end(self, pause: Pause) -> None:
        line_log(log, self._line).info("%s is no longer paused", pause.request)
        del self._ends[pause.request]
        self._on_change()

    def _check_rate(self, done: list[float], what: str, setting: str, window_s: float) -> None:
        now, most = self._clock(), getattr(self.settings, setting)
        recent = done[bisect_right(done, now - window_s) :]
        if most and len(recent) >= most:
            seconds = recent[-most] + window_s - now
            raise Limited(
                f"line {self._line} has {what.format(len(recent))}, as many as {setting} lets it; "
                f"the next may come in {seconds:.0f} s",
                round(seconds),
            )


class LimitedClient(TelegramClient):  # type: ignore[misc]  # Telethon has no type hints
    """A Telethon client that makes no request which `limits` hold back; it raises Limited in its place."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self.on_reconnect: Callable[[], None] = lambda: None

    async def _handle_auto_reconnect(self) -> None:
        """Telethon has connected again by itself: what came meanwhile is asked for, which Telethon does not do."""
        await super()._handle_auto_reconnect()
        await self.catch_up()
        self.on_reconnect()

    async def __call__(self, request: Any, ordered: bool = False, flood_sleep_threshold: int | None = None) -> Any:
        """As Telethon's; every method of the client ends here."""
        names = [tl_name(each) for each in (request if is_list_like(request) else [request])]
        for name in names:
            await self._limits.admit(name)
        try:
            return await super().__call__(request, ordered, flood_sleep_threshold)
        except errors.MultiError as several:
            for name, error in zip(names, several.exceptions, strict=True):
                await self._limits.learn(name, error)
            raise
        except errors.RPCError as error:
            for name in names:
                await self._limits.learn(name, error)
            raise


def tl_name(request: Any) -> str:
    """A request's TL name, as Telegram's pages have it: `phone.requestCall`."""
    name = type(request).__name__.removesuffix("Request")
    return f"{type(request).__module__.rsplit('.', 1)[-1]}.{name[0].lower()}{name[1:]}"


def _is_held_back(request: str) -> bool:
    """Not what carries on a call that is live, nor what Telethon needs to go on hearing of calls."""
    return request == CALL or not request.startswith(("phone.", "updates."))
