"""What a person dials during a call: digits that go to the dialplan one after another, as if a phone had sent them."""

import asyncio
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable

from ari_app.asterisk.errors import AriError, LegEnded
from ari_app.calls.events import CallEvent, DigitsDialled, DigitsLost

log = logging.getLogger(__name__)

MAX_DIGITS = 64  # in one text; a card's number and a PIN are fewer
MAX_WAITING = 128  # of one call; a key is sent much faster than it is pressed
GATHER_S = 2.0  # keys that are pressed within this of each other are told together
PAUSE = "w"
"""For each `,` of a text: half a second, in Asterisk's own DTMF strings (ast_dtmf_stream), so that it falls between the
tones and not just between our requests."""
DIGITS = re.compile(r"[0-9*#A-D,]+")
ONE_DIGIT = re.compile(r"(,*)([0-9*#A-D])")
IGNORED = str.maketrans("", "", " -\u00a0\u2011\u2013")


class DigitsRefused(Exception):
    """The keys were not taken, none of them; the text says why."""


def digits_of(text: str) -> str | None:
    """The keys that a text asks to dial: 0-9 * # A-D and `,` for a pause; None where it is an ordinary text.

    Spaces and hyphens are ignored; digits may be those of any script.
    """
    keys = "".join(str(unicodedata.decimal(char, char)) for char in text.translate(IGNORED).strip())
    if len(keys) <= MAX_DIGITS and DIGITS.fullmatch(keys) and ONE_DIGIT.search(keys):
        return keys
    return None


class DtmfQueue:
    """The keys of one call, in the order in which they were pressed.

    They are taken from `open` until `close`, and wait for `send_with` where the other side does not listen yet.
    ``add_event`` takes the call's events: one for all digits that come without a pause. Which digits they are is shown
    nowhere: they may be a PIN.
    """

    def __init__(self, add_event: Callable[[CallEvent], None]) -> None:
        self._add_event = add_event
        self._open = False
        self._since = 0.0
        self._waiting = asyncio.Queue[str](MAX_WAITING)
        self._sent = 0  # not told yet
        self._lost: Counter[str] = Counter()

    @property
    def is_open(self) -> bool:
        """Whether `press` takes keys."""
        return self._open

    def open(self, since: float = 0.0) -> None:
        """Take keys from now on; ``since``: when the call began, as Telegram dates its messages (a Unix time)."""
        self._open = True
        self._since = since

    def is_before_call(self, sent_at: float) -> bool:
        """Whether a text was written before the call: Telegram delivers late what came while the line was away."""
        return sent_at < self._since

    def close(self) -> None:
        """Take no more; what still waits is not sent."""
        self._open = False
        self._report()

    def press(self, keys: str) -> None:
        """Send keys (0-9 * # A-D, and `,` before one for a pause) behind those pressed before; does not wait.

        Raises DigitsRefused where none of them is taken.
        """
        if not self._open:
            raise DigitsRefused("there is no call that takes keys")
        if not DIGITS.fullmatch(keys):
            raise DigitsRefused("a key is one of 0-9 * # A-D, and a comma is a pause")
        pressed = [PAUSE * len(pauses) + key for pauses, key in ONE_DIGIT.findall(keys)]
        if self._waiting.qsize() + len(pressed) > MAX_WAITING:
            raise DigitsRefused(f"more than {MAX_WAITING} keys wait to be sent")
        for each in pressed:
            self._waiting.put_nowait(each)

    async def send_with(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send keys for as long as the call goes on, by a leg's `press`. Raises LegEnded."""
        while True:
            try:
                async with asyncio.timeout(GATHER_S if self._sent or self._lost else None):
                    key = await self._waiting.get()
            except TimeoutError:
                self._report()
                continue
            try:
                await send(key)
            except LegEnded:
                raise
            except AriError as error:
                # Not the text of the error: nothing in the call flow may tell the digit.
                self._lost[type(error).__name__] += 1
            else:
                self._sent += 1

    def _report(self) -> None:
        for error, count in self._lost.items():
            self._add_event(DigitsLost(count, error))
        if self._sent:
            self._add_event(DigitsDialled(self._sent))
        self._sent = 0
        self._lost.clear()
