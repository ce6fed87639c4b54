"""The AMI client: log in and send actions, with panoramisk's protocol underneath.

Protocol: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from panoramisk.manager import Manager

from ari_app.asterisk.ami_protocol import GuardedProtocol, OrderedAction
from ari_app.asterisk.errors import AriError, AriFailed, AriNotFound, AriRefused, AriTimeout, AriUnreachable
from ari_app.os_words import in_words

CONNECT_TIMEOUT_S = 5.0
ACTION_TIMEOUT_S = 5.0

READ_CLASSES = ("user",)
"""Of manager.conf's ``read``: to be told of user events."""
WRITE_CLASSES = ("user", "reporting")
"""Of manager.conf's ``write``: to send user events, and to look into the dialplan."""

Fields = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Answer:
    """What came back: the response's fields (a repeated one is a list), and the list's events, if it was one."""

    fields: Fields
    events: tuple[Fields, ...] = ()


class Ami:
    """One connection to AMI, logged in for as long as the context lasts. It does not connect again by itself.

    Logs in by challenge (MD5), so the secret goes neither over the wire nor into panoramisk. Entering and
    ``action`` raise AriError: AriUnreachable, AriTimeout, AriRefused, AriNotFound or AriFailed.
    """

    def __init__(self, host: str, port: int, user: str, password: str, *, timeout_s: float = ACTION_TIMEOUT_S) -> None:
        self.host = host
        self.port = port
        self.user = user
        self._password = password
        self._timeout_s = timeout_s
        self._manager: Any = None
        self._lost: asyncio.Future[None]

    def __repr__(self) -> str:
        return f"Ami({self.host!r}, {self.port}, user={self.user!r})"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        # Its log would hold whole actions; what matters of it becomes an error here.
        silent = logging.Logger("panoramisk", logging.CRITICAL + 1)
        manager = Manager(loop=loop, host=self.host, port=self.port, log=silent)
        # panoramisk's own way would connect again for ever, and never tell whoever waits for an answer.
        manager.connection_lost = self._connection_lost
        connected = loop.create_future()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connected.set_result(await loop.create_connection(GuardedProtocol, self.host, self.port))
        except TimeoutError:
            raise AriTimeout(
                f"AMI: no connection to {self.host}:{self.port} within {CONNECT_TIMEOUT_S:g} s. Check [ami] host and"
                " port, and the firewall between"
            ) from None
        except OSError as error:
            raise AriUnreachable(
                f"AMI: no connection to {self.host}:{self.port}: {in_words(error)}. In manager.conf's [general] set"
                " enabled = yes, and bindaddr and port as in [ami]"
            ) from error
        manager.connection_made(connected)
        self._manager = manager
        try:
            await self._log_in()
        except BaseException:
            manager.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection_lost(None)  # whoever still waits for an answer gets none

    async def action(self, name: str, **headers: str) -> Answer:
        """Send an action, such as ``action("ShowDialPlan", Context="from-telegram")``."""
        request = f"AMI {name}"
        # Nobody can guess it: any AMI user may send a user event that looks like an answer to panoramisk's own ids.
        action_id = headers.pop("ActionID", None) or secrets.token_hex(8)
        future: asyncio.Future[Any] = self._manager.send_action(
            OrderedAction({"Action": name, **headers, "ActionID": action_id})
        )
        # Not awaited directly: panoramisk's callbacks must never meet a cancelled future.
        await asyncio.wait({future, self._lost}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            self._manager.protocol.responses.pop(action_id, None)
            if self._lost.done():
                raise AriUnreachable(f"{request}: the connection to {self.host}:{self.port} broke", request=request)
            raise AriTimeout(f"{request}: no answer within {self._timeout_s:g} s", request=request)
        messages = future.result()
        first, *events = messages if isinstance(messages, list) else [messages]
        if not first.success:
            raise _error(request, str(first.message), self.user)
        return Answer(dict(first.items()), tuple(dict(event.items()) for event in events))

    async def ping(self) -> None:
        """Ask for an answer, and nothing else."""
        await self.action("Ping")

    def on_lost(self, told: Callable[[], None]) -> None:
        """Have somebody told when the connection breaks, or has broken already."""
        self._lost.add_done_callback(lambda _: told())

    async def allowed_actions(self) -> frozenset[str]:
        """The actions that the user's ``write`` classes allow, of those that this Asterisk has."""
        answer = await self.action("ListCommands")
        return frozenset(name for name, about in answer.fields.items() if "(Priv: " in str(about))

    def on_event(self, name: str, callback: Callable[[Fields], None]) -> None:
        """Have ``callback`` called with each event of this name (``*`` matches anything)."""

        def pass_on(_manager: Any, event: Any) -> None:
            callback(dict(event.items()))

        self._manager.register_event(name, pass_on)

    async def _log_in(self) -> None:
        try:
            challenge = (await self.action("Challenge", AuthType="MD5")).fields["Challenge"]
            key = hashlib.md5(f"{challenge}{self._password}".encode(), usedforsecurity=False).hexdigest()
            await self.action("Login", AuthType="MD5", Username=self.user, Key=key, Events="user")
        except (AriTimeout, AriUnreachable, KeyError) as error:
            raise AriUnreachable(
                f"AMI: {self.host}:{self.port} takes a connection, and does not answer as AMI does. Check [ami] host"
                " and port: they are those of manager.conf, not http.conf's"
            ) from error
        except AriError as error:
            raise AriRefused(
                f"AMI: Asterisk does not let [{self.user}] in: {error.detail}. Check that manager.conf has that user,"
                " that its secret is [ami] password, and that its permit and deny let this machine in",
                request="AMI Login",
                detail=error.detail,
            ) from None

    def _connection_lost(self, _error: object) -> None:
        self._manager.close()  # else panoramisk would go on pinging
        if not self._lost.done():
            self._lost.set_result(None)


def _error(request: str, detail: str, user: str) -> AriError:
    said = f"{request}: Asterisk answered: {detail or 'no message'}"
    if detail == "Permission denied":
        needed = ",".join(WRITE_CLASSES)
        return AriRefused(f"{said}. In manager.conf set write = {needed} for [{user}]", request=request, detail=detail)
    kind = AriNotFound if detail.startswith("Did not find") else AriFailed
    return kind(said, request=request, detail=detail)
