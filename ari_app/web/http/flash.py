"""Short messages that the next page shows: what was done, or why it was not."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from ari_app.i18n import Message
from ari_app.web.http.context import identity

MOST_BROWSERS = 100
MOST_MESSAGES = 5

Kind = Literal["done", "failed"]


@dataclass(frozen=True)
class FlashMessage:
    """One of them."""

    kind: Kind
    sentence: Message


class Flashes:
    """What each browser has not seen yet; a restart forgets it."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[FlashMessage]] = OrderedDict()

    def add(self, browser: str, flash: FlashMessage) -> None:
        """Keep a message for the next page of a browser."""
        waiting = self._waiting.setdefault(browser, [])
        waiting.append(flash)
        del waiting[:-MOST_MESSAGES]
        self._waiting.move_to_end(browser)
        if len(self._waiting) > MOST_BROWSERS:
            self._waiting.popitem(last=False)

    def take(self, browser: str) -> list[FlashMessage]:
        """What a browser has not seen yet."""
        return self._waiting.pop(browser, [])


FLASHES = web.AppKey("flashes", Flashes)


def flashes_of(request: web.Request) -> Flashes:
    """Those of the page."""
    return request.config_dict[FLASHES]


def flash(request: web.Request, sentence: Message, kind: Kind = "done") -> None:
    """Show a message on the next page, or with the answer to this request."""
    flashes_of(request).add(identity(request).digest, FlashMessage(kind, sentence))
