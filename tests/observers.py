"""Who is told what happens on a line that a test has made."""

from collections.abc import Callable
from typing import Any


class Unobserved:
    """Nobody; ``on_offer`` may take the calls."""

    def __init__(self, on_offer: Callable[[Any], None] = lambda offer: None) -> None:
        self._on_offer = on_offer

    def on_offer(self, line: Any, offer: Any) -> None:
        self._on_offer(offer)

    def on_text(self, line: Any, person_id: int, text: str, sent_at: float) -> bool:
        return False

    def on_message(self, line: Any, person: Any, text: str) -> None: ...

    async def on_signed_out(self, line: Any) -> None: ...
