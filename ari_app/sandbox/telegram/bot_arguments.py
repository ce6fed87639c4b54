"""The arguments of a Bot API request (https://core.telegram.org/bots/api#making-requests)."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from .bot_errors import bad_request

ATTACHED = "attach://"


class Arguments:
    """Arguments by name, from a query string, a form or JSON. Each question raises `BotApiError` for a wrong type."""

    def __init__(self, given: dict[str, Any], files: dict[str, bytes]) -> None:
        self._given = given
        self._files = files

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) not in (None, "")

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        return str(self._given[name]) if name in self else default

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; required when it has no default."""
        if name not in self and default is not None:
            return default
        try:
            return int(self._given[name])
        except (KeyError, TypeError, ValueError):
            raise bad_request(f"{name} is empty or no whole number") from None

    def flag(self, name: str) -> bool:
        """A boolean, false by default."""
        return str(self._given.get(name, "")).lower() in ("true", "1")

    def data(self, name: str) -> Any:
        """A JSON-serialized object or array; None when it is not given."""
        value = self._given.get(name) if name in self else None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name}: it is no JSON") from None

    def file(self, name: str) -> bytes | None:
        """An uploaded file, under its own name or attached by reference; None when there is none."""
        return self._files.get(self.text(name).removeprefix(ATTACHED), self._files.get(name))


async def read_arguments(request: web.Request) -> Arguments:
    """The arguments of an HTTP request, however it carries them."""
    given: dict[str, Any] = dict(request.query)
    files: dict[str, bytes] = {}
    if request.content_type == "application/json":
        try:
            given |= await request.json()
        except ValueError:
            raise bad_request("can't parse the body: it is no JSON") from None
    elif request.method == "POST":
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                files[name] = value.file.read()
            else:
                given[name] = value
    return Arguments(given, files)
