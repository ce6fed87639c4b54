"""Remote procedure calls: what answers which request.

A service is a class whose methods are marked with `@handles(SomeRequest)`; a `Router` collects them. A handler
takes `(client, request)` and returns what Telegram would (a TL object, a bool, or a list), or raises `RpcError`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from telethon.errors import rpcerrorlist

from .tl import method_name

if TYPE_CHECKING:
    from .session import Session
    from .store import AuthKey, User

log = logging.getLogger(__name__)

Handler = Callable[["Client", Any], Any]
F = TypeVar("F", bound=Callable[..., Any])

BAD_REQUEST = 400
FORBIDDEN = 403
# Telethon files these under 400; Telegram's own pages (core.telegram.org/method/phone.requestCall) say 403.
FORBIDDEN_NAMES = frozenset({"USER_IS_BLOCKED"})


class RpcError(Exception):
    """An error as Telegram words it, for example `RpcError("FLOOD_WAIT_30")`.

    Its code is the one that Telegram uses with that name (420 for FLOOD_WAIT_30), 400 for a name not known.
    """

    def __init__(self, name: str, code: int | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.code = code if code is not None else _code_of(name)


def _code_of(name: str) -> int:
    if name in FORBIDDEN_NAMES:
        return FORBIDDEN
    known = rpcerrorlist.rpc_errors_dict.get(name)
    if known is None:
        known = next((cls for pattern, cls in rpcerrorlist.rpc_errors_re if _matches(pattern, name)), None)
    return int(known.code) if known is not None and known.code else BAD_REQUEST


def _matches(pattern: str, name: str) -> bool:
    prefix = pattern.split("(", 1)[0]
    return name.startswith(prefix) and name.removeprefix(prefix).split("_", 1)[0].isdigit()


@dataclass(frozen=True)
class Client:
    """Who makes a request: the session it came in on, its authorization key, and the user, once signed in."""

    session: Session
    key: AuthKey
    user_or_none: User | None

    @property
    def user(self) -> User:
        """The signed-in user. Raises `RpcError` when there is none."""
        if self.user_or_none is None:
            raise RpcError(self.key.ended or "AUTH_KEY_UNREGISTERED")
        return self.user_or_none


def handles(*requests: type, anonymous: bool = False) -> Callable[[F], F]:
    """Mark a method as the handler of these request classes; `anonymous` ones need no signed-in user."""

    def mark(function: F) -> F:
        function.__dict__["rpc_requests"] = requests
        function.__dict__["rpc_anonymous"] = anonymous
        return function

    return mark


class Router:
    """Finds the handler of a request by its class."""

    def __init__(self) -> None:
        self._handlers: dict[type, tuple[Handler, bool]] = {}
        self._unknown: set[str] = set()

    def include(self, service: object) -> None:
        """Add every marked method of `service`."""
        for request, handler, anonymous in _marked(service):
            if request in self._handlers:
                raise ValueError(f"{method_name(request)} has two handlers; keep one of them")
            self._handlers[request] = handler, anonymous

    async def call(self, client: Client, request: Any) -> Any:
        """The result of `request`. Raises `RpcError`."""
        found = self._handlers.get(type(request))
        if found is None:
            name = method_name(request)
            if name not in self._unknown:
                self._unknown.add(name)
                log.warning("%s is not implemented by the local Telegram; answered METHOD_INVALID", name)
            raise RpcError("METHOD_INVALID")
        handler, anonymous = found
        if not anonymous:
            _ = client.user
        result = handler(client, request)
        return await result if isinstance(result, Awaitable) else result


def _marked(service: object) -> Iterator[tuple[type, Handler, bool]]:
    for _, function in inspect.getmembers(service, inspect.ismethod):
        for request in getattr(function, "rpc_requests", ()):
            yield request, function, bool(getattr(function, "rpc_anonymous", False))
