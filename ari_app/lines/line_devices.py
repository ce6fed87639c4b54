"""The devices that this machine of a cluster has of its lines: what it says of them, and how it gets one by itself.

By itself only once for each line: one that was signed out here, in Telegram's own apps or by an administrator, is left
to a person; so is one whose two-step password is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ari_app.backoff import Backoff
from ari_app.bus import ACCOUNT, RELOAD, EventBus
from ari_app.cluster.devices import LEFT, SIGNED_IN, WANTED
from ari_app.cluster.engine_leases import boottime
from ari_app.i18n import Message, message
from ari_app.lines.lines import Lines
from ari_app.lines.settings import LineError
from ari_app.lines.sign_ins import SignIns
from ari_app.logs import line_log
from ari_app.store.lines import LineRepository
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.signin_view import SignInState, SignInView

CHECK_S = 5.0
"""A line is signed in that was due at two checks: what the machines say may be a moment old."""
SPACING_S = 10.0
"""Between two sign-ins: a machine that joins a cluster with a hundred lines asks Telegram for all of them."""
TRIES = 8
AGAIN = Backoff(first_s=60.0, last_s=3600.0, jitter=0.1)
"""Two hours in all; Telegram's limits for signing in are some five tries in a few minutes."""

UNDER_WAY = message("Another machine of the cluster is signing this line in here.")
PASSWORD = message(
    "Another machine of the cluster has let this one in, and Telegram asks for the account's two-step password, once "
    "on each machine: sign this line in here, and enter it."
)

log = logging.getLogger(__name__)


@dataclass
class Tries:
    """Of one line: how many, until when there is no other one, and what its status says."""

    count: int = 0
    pause_until: float = 0.0
    said: Message | None = None


class LineDevices:
    """Of all lines. ``is_next``: whether this machine is to be signed in now; None: it never is by itself."""

    def __init__(
        self,
        lines: Lines,
        sign_ins: SignIns,
        repository: LineRepository,
        bus: EventBus,
        is_next: Callable[[str], bool] | None,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._lines = lines
        self._sign_ins = sign_ins
        self._repository = repository
        self._bus = bus
        self._is_next = is_next
        self._clock = clock
        self._had: set[str] | None = None
        """Lines whose device here is a person's matter from now on; None: not known yet."""
        self._tries: dict[str, Tries] = {}

    def words(self) -> dict[str, str]:
        """What this machine says of the device of each line, see `ari_app.cluster.devices`."""
        return {number: word for number, line in self._lines.items() if (word := self._word(line))}

    def said(self, number: str) -> Message | None:
        """What the status of a line that is not signed in says of this, if anything."""
        return tries.said if (tries := self._tries.get(number)) else None

    async def follow(self) -> None:
        """Take note of which lines are signed in, without an end."""
        kept = await self._repository.had_device()
        self._had = kept | (self._had or set())
        with self._bus.subscribe() as changes:
            while True:
                for number, line in self._lines.items():
                    if line.state is LineState.READY:
                        self._tries.pop(number, None)
                        self._had.add(number)
                self._had &= set(self._lines)
                self._tries = {number: its for number, its in self._tries.items() if number in self._lines}
                for number in self._had - kept:
                    await self._repository.has_device(number)
                kept = set(self._had)
                while (await changes.get()).kind not in (ACCOUNT, "lines", RELOAD):
                    pass

    async def run(self) -> None:
        """Have this machine signed in where it is the next one to be, without an end."""
        before: set[str] = set()
        while True:
            await asyncio.sleep(CHECK_S)
            due = {number for number in self._lines if self._is_due(number)}
            for number in sorted(due & before):
                if self._is_due(number):
                    await self._sign_in(number)
                    await asyncio.sleep(SPACING_S)
            before = due

    def _word(self, line: Line) -> str:
        if line.state is LineState.READY or (line.state is LineState.CONNECTING and line.user_id is not None):
            return SIGNED_IN
        if line.state is LineState.CONNECTING or self._is_left(line.number):
            return LEFT
        if self._is_next is None or not (line.account.api_id and line.account.api_hash):
            return ""
        return WANTED if self._of(line.number).count < TRIES else ""

    def _is_left(self, number: str) -> bool:
        return self._had is None or number in self._had or self._sign_ins.is_open(number)

    def _is_due(self, number: str) -> bool:
        line = self._lines.get(number)
        if line is None or self._is_next is None or self._word(line) != WANTED:
            return False
        return self._clock() >= self._of(number).pause_until and self._is_next(number)

    async def _sign_in(self, number: str) -> None:
        tries = self._of(number)
        tries.count += 1  # whatever it leads to
        tries.pause_until = self._clock() + AGAIN.pause_s(tries.count)
        line_log(log, number).info("sign-in by itself: the other machines of the cluster are asked")
        self._say(number, UNDER_WAY)
        try:
            self._came_to(number, await self._sign_ins.by_machine_alone(number))
        except (LineError, TelegramError) as error:
            self._refused(number, getattr(error, "sentence", None) or message("{error}", error=error))
        finally:
            if tries.said is UNDER_WAY:
                self._say(number, None)

    def _came_to(self, number: str, view: SignInView | None) -> None:
        """None, or any other state: somebody goes on with it."""
        if view is None:
            return
        if view.state is SignInState.PASSWORD_NEEDED:
            line_log(log, number).warning("sign-in by itself: %s", PASSWORD)
            self._leave(number, PASSWORD)
        elif view.state is SignInState.ENDED and view.error:
            self._refused(number, view.error)
        elif view.state is SignInState.ENDED:
            line_log(log, number).info("sign-in by itself: cancelled, and not begun again")
            self._leave(number, None)

    def _refused(self, number: str, why: Message) -> None:
        tries = self._of(number)
        if tries.count < TRIES:
            minutes = round((tries.pause_until - self._clock()) / 60)
            said = "sign-in by itself: try %d of %d has failed, the next one is in %d min: %s"
            line_log(log, number).warning(said, tries.count, TRIES, minutes, why)
            text = message("Not signed in here; the other machines are asked again later. {reason}", reason=why)
            self._say(number, text)
            return
        line_log(log, number).error("sign-in by itself: given up after %d tries: %s", TRIES, why)
        text = message(
            "Not signed in here, although the other machines were asked {tries} times: sign this line in. {reason}",
            tries=TRIES,
            reason=why,
        )
        self._say(number, text)

    def _leave(self, number: str, said: Message | None) -> None:
        """Its device here is a person's matter from now on."""
        if self._had is not None:
            self._had.add(number)
        self._say(number, said)

    def _say(self, number: str, said: Message | None) -> None:
        self._of(number).said = said
        self._bus.publish(ACCOUNT, number)  # which has `follow` keep it, too

    def _of(self, number: str) -> Tries:
        return self._tries.setdefault(number, Tries())
