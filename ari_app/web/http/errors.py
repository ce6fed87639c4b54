"""How a request that is not done is answered: a page for people, RFC 9457 problem details for programs."""

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ari_app.i18n import Message
from ari_app.web.http.roles import SAFE_METHODS

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
HEALTH, READY, METRICS = "/health", "/ready", "/metrics"
"""Where programs that watch others look for it."""
LIVE_HEADER = "X-Live"
"""Sent with what a page asks for when an event comes; the macro `live` in components.html adds it."""
PROBES = frozenset({HEALTH, READY})
PROGRAM_PATHS = PROBES | {"/api", METRICS}


class PageError(Exception):
    """A request is not done; ``details`` goes into the problem details of the API, its sentences translated."""

    def __init__(
        self,
        status: int,
        sentence: Message,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(str(sentence))
        self.status = status
        self.sentence = sentence
        self.headers = dict(headers or {})
        self.details = dict(details or {})


def is_api(request: web.BaseRequest) -> bool:
    """Whether a program is asking."""
    return request.path in PROGRAM_PATHS or request.path.startswith("/api/")


def is_htmx(request: web.BaseRequest) -> bool:
    """Whether a page is asking for a part of itself."""
    return "HX-Request" in request.headers


def is_live(request: web.BaseRequest) -> bool:
    """Whether nobody has asked for it: a page shows a part of itself anew, for an event has come.

    What is clicked in such a part has the header, too.
    """
    return LIVE_HEADER in request.headers and request.method in SAFE_METHODS


def problem(refused: PageError, translate: Callable[[object], str]) -> web.Response:
    """Problem details (RFC 9457); ``translate`` puts a message into the asker's language."""
    headers = dict(refused.headers)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    said = {"title": HTTPStatus(refused.status).phrase, "status": refused.status, "detail": translate(refused.sentence)}
    body = json.dumps(said | refused.details, default=translate).encode()
    return web.Response(status=refused.status, body=body, content_type=PROBLEM_JSON, headers=headers)
