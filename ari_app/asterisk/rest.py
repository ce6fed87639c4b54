"""One ARI request over HTTP: authentication, timeout, errors.

Protocol: https://docs.asterisk.org/Latest_API/API_Documentation/Asterisk_REST_Interface/
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from ari_app.asterisk.errors import AriError, AriRefused, AriTimeout, AriUnreachable, error_from_answer
from ari_app.os_words import in_words

REQUEST_TIMEOUT_S = 5.0
"""Requests to ARI can stall for good (https://github.com/asterisk/asterisk/issues/2078)."""

Parameter = str | int | bool | None
_PLACEHOLDER = re.compile(r"{(\w+)}")


class Rest:
    """Sends requests below ``base`` (which ends in ``/ari``) with a session that carries the Authorization header.

    ``on_refusal`` is called whenever ``refusal`` has changed.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: URL,
        user: str,
        timeout_s: float,
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self.refusal: AriRefused | None = None
        """Why Asterisk does not let this user do what was asked last; None while it does."""
        self._on_refusal = on_refusal
        self._session = session
        self._base = base
        self._user = user
        self._timeout_s = timeout_s

    async def call(
        self, operation: str, *, variables: Mapping[str, str] | None = None, **parameters: Parameter
    ) -> Any:  # the shape differs for each operation; resources.py knows it
        """Send ``operation``, for example ``"POST /channels/{channelId}/answer"``, and return its JSON (or None).

        Parameters named in the path go there, the others into the query, except None ones, which are left out.
        ``variables`` goes into a JSON body. Raises AriError.

        On a connection reset, aiohttp makes a GET or DELETE once more (RFC 9112, 9.3.1), a POST never.
        """
        method, _, template = operation.partition(" ")
        query = {name: _as_text(value) for name, value in parameters.items() if value is not None}
        path = _PLACEHOLDER.sub(lambda found: quote(query.pop(found[1]), safe=""), template)
        url = URL(f"{self._base}{path}", encoded=True).with_query(query)
        body = None if variables is None else {"variables": dict(variables)}
        request = f"{method} {path}"
        try:
            async with asyncio.timeout(self._timeout_s), self._session.request(method, url, json=body) as response:
                answer, refusal = self._read(request, response.status, await response.read())
        except TimeoutError as error:
            raise AriTimeout(
                f"{request}: Asterisk gave no answer within {self._timeout_s:g} s", request=request
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise AriUnreachable(
                f"{request}: no connection to Asterisk at {self._base}: {in_words(error)}", request=request
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise AriUnreachable(
                f"{request}: the connection to Asterisk broke ({error}); whether it was carried out is unknown",
                request=request,
            ) from error
        self._note(method, refusal)
        if refusal:
            raise refusal
        return answer

    def _read(self, request: str, status: int, content: bytes) -> tuple[Any, AriError | None]:
        if status == HTTPStatus.NO_CONTENT:
            return None, None
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status < HTTPStatus.BAD_REQUEST and answer is not None:
            return answer, None
        detail = answer.get("message", answer.get("error")) if isinstance(answer, dict) else None
        return None, error_from_answer(request, status, detail, self._user)

    def _note(self, method: str, error: AriError | None) -> None:
        before = self.refusal
        if isinstance(error, AriRefused):
            self.refusal = error
        elif before and not (before.status == HTTPStatus.FORBIDDEN and method == "GET"):  # a user may be read-only
            self.refusal = None
        if (before is None) is not (self.refusal is None):
            self._on_refusal()


def _as_text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
