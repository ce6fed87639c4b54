"""What is kept of each call: the history has it when its state is another one, the journal while it is live."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from ari_app.calls.call import Call
from ari_app.calls.progress import CallState


class Recorder(Protocol):
    """Who keeps the calls; never waits, never raises."""

    def save(self, call: Call, done: Callable[[], None] = lambda: None) -> None:
        """A call has begun, has come further, is over, or was refused; ``done``: this is kept, or never will be."""


class Journalist(Protocol):
    """Who keeps the live calls for the next run of the program, at once; never waits, never raises."""

    def save(self, call: Call) -> None:
        """A call has come further, and nobody has been told yet."""

    def forget(self, call: Call) -> None:
        """A call is over, and its end is kept."""


class CallKeeper:
    """A call stays in the journal until its end is in the history, and Telegram knows of it."""

    def __init__(self, recorder: Recorder | None = None, journal: Journalist | None = None) -> None:
        self.recorder = recorder
        self._journal = journal
        self._states: dict[str, CallState] = {}
        self._undiscarded: set[str] = set()  # whose end is in the history

    def __len__(self) -> int:
        return len(self._states)

    def opened(self, call: Call) -> None:
        """A call has one more part, or event."""
        if self._journal and call.state is not CallState.ENDED:
            self._journal.save(call)
        elif call.id in self._undiscarded:
            self._forget(call)

    def changed(self, call: Call, live: bool) -> None:
        """A call has one more event, and may have a new state; where it is not ``live`` any more, the event is late."""
        self.opened(call)
        if self._states.get(call.id) is call.state:
            return
        if live:
            self._states[call.id] = call.state
        over = partial(self._forget, call) if call.state is CallState.ENDED else _nothing
        if self.recorder:
            self.recorder.save(call, over)
        else:
            over()

    def refused(self, call: Call) -> None:
        """A call was not taken on."""
        if self.recorder:
            self.recorder.save(call)

    def over(self, call: Call) -> None:
        """A call is not live any more."""
        del self._states[call.id]

    def _forget(self, call: Call) -> None:
        self._undiscarded.discard(call.id)
        if call.parts.undiscarded:
            self._undiscarded.add(call.id)
        elif self._journal:
            self._journal.forget(call)


def _nothing() -> None:
    """Nobody waits for what was saved."""
