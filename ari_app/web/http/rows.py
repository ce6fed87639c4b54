"""Lists that go on by themselves: of a row that a page has already, only its place is sent.

A page says which it has: each row's version, in the header X-Have (`static/live.js`).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import web

HAVE = "X-Have"
VERSION_BYTES = 6

Value = TypeVar("Value")


@dataclass(frozen=True)
class Row(Generic[Value]):
    """What a row shows; ``had``: the page has it just so."""

    value: Value
    version: str
    had: bool


def rows(request: web.Request, values: Iterable[Value], face: Callable[[Value], object]) -> list[Row[Value]]:
    """Rows in their order; ``face``: all that a row shows, but for what the page counts by itself."""
    have = set(request.headers.get(HAVE, "").split())
    versions = ((value, _version(face(value))) for value in values)
    return [Row(value, version, version in have) for value, version in versions]


def _version(face: object) -> str:
    return hashlib.blake2b(repr(face).encode(), digest_size=VERSION_BYTES).hexdigest()
