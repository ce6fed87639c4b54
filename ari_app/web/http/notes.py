"""What a handler tells the audit log besides what its route says."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Notes:
    """What it was about, by whom where nobody had signed in, and what changed.

    ``failed``: it was not done. ``begun``: some of it is, as of a file that is being sent, and the rest
    may still fail.
    """

    subject: str = ""
    who: str = ""
    failed: bool = False
    begun: bool = False
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


NOTES = web.RequestKey("notes", Notes)


def notes_of(request: web.Request) -> Notes:
    """Those of a request."""
    if NOTES not in request:
        request[NOTES] = Notes()
    return request[NOTES]
