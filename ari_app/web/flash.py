"""Short messages that the next page shows: what was done, or why it was not."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from ari_app.sentence import Sentence
from ari_app.web.context import identity, web_of

MOST_BROWSERS = 100
MOST_MESSAGES = 5

Kind = Literal["done", "failed"]


@dataclass(frozen=True)
class Message:
    """One of them."""

    kind: Kind
    sentence: Sentence


class Flashes:
    """What each browser has not seen yet; a restart forgets it."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[Message]] = OrderedDict()

    def add(self, browser: str, message: Message) -> None:
        """Keep a message for the next page of a browser."""
        waiting = self._waiting.setdefault(browser, [])
        waiting.append(message)
        del waiting[:-MOST_MESSAGES]
        self._waiting.move_to_end(browser)
        if len(self._waiting) > MOST_BROWSERS:
            self._waiting.popitem(last=False)

    def take(self, browser: str) -> list[Message]:
        """What a browser has not seen yet."""
        return self._waiting.pop(browser, [])


def flash(request: web.Request, sentence: Sentence, kind: Kind = "done") -> None:
    """Show a message on the next page, or with the answer to this request."""
    web_of(request).flashes.add(identity(request).digest, Message(kind, sentence))
