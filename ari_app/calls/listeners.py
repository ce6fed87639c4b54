"""Who reports what happens on the lines to somebody outside: AMI, for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ari_app.calls.events import CallEvent
from ari_app.tasks import FAILURES
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason

if TYPE_CHECKING:
    from ari_app.calls.call import Call
    from ari_app.calls.drain import DrainState


class LineListener(Protocol):
    """Told of each call, card and message, and of draining; must not wait."""

    def happened(self, call: Call, event: CallEvent) -> None:
        """A call has one more event; a keypad's may come after the call has ended."""

    def ended(self, call: Call) -> None:
        """A call is over and closed, or was refused (``call.refused``) before anything could happen to it."""

    def card_sent(self, line: str, person: Person, reason: CardReason) -> None:
        """A person was sent the business card of a line."""

    def message_received(self, line: str, person: Person, text: str) -> None:
        """A person has written to a line what was not dialled."""

    def drained(self, state: DrainState, calls: int) -> None:
        """New calls are no longer taken on, or are again; or the last one is over meanwhile. So many are live."""


class Listeners:
    """All of them; what one raises is recorded, and kept from the others and from the call."""

    def __init__(self) -> None:
        self._listeners: list[LineListener] = []

    def add(self, listener: LineListener) -> None:
        """Tell somebody, too, from now on."""
        self._listeners.append(listener)

    def happened(self, call: Call, event: CallEvent) -> None:
        """As `LineListener` has it."""
        self._tell(lambda listener: listener.happened(call, event))

    def ended(self, call: Call) -> None:
        """As `LineListener` has it."""
        self._tell(lambda listener: listener.ended(call))

    def card_sent(self, line: str, person: Person, reason: CardReason) -> None:
        """As `LineListener` has it."""
        self._tell(lambda listener: listener.card_sent(line, person, reason))

    def message_received(self, line: str, person: Person, text: str) -> None:
        """As `LineListener` has it."""
        self._tell(lambda listener: listener.message_received(line, person, text))

    def drained(self, state: DrainState, calls: int) -> None:
        """As `LineListener` has it."""
        self._tell(lambda listener: listener.drained(state, calls))

    def _tell(self, what: Callable[[LineListener], None]) -> None:
        for listener in self._listeners:
            try:
                what(listener)
            except Exception as error:  # noqa: BLE001 - recorded
                FAILURES.add("report of what happens on the lines", error)
