"""Files that are sent: larger than any other request may be, and only by whoever may change something."""

from collections.abc import Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from ari_app.lines.card_files import PICTURE_BYTES

LARGEST_FILE = PICTURE_BYTES + PICTURE_BYTES // 2
"""A file that is somewhat too large is still read, so that its own field says so."""

F = TypeVar("F", bound=Callable[..., object])
_takes_file: set[object] = set()


def takes_file(handler: F) -> F:
    """Mark a page's handler as one that a file is sent to."""
    _takes_file.add(handler)
    return handler


@web.middleware
async def larger_files(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read more than usual, where a file is meant; who may not send one was refused before."""
    if request.match_info.handler not in _takes_file:
        return await handler(request)
    larger = request.clone(client_max_size=LARGEST_FILE)
    try:
        return await handler(larger)
    finally:
        for sent in (larger._post or {}).values():  # aiohttp closes the files of the request that it has made itself
            if isinstance(sent, web.FileField):
                sent.file.close()
