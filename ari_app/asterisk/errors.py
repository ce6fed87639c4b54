"""What can go wrong with a request to Asterisk: one small tree, so that a caller catches by meaning.

Messages name the request, the resource, the HTTP status and Asterisk's own words. They never hold the password.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from ari_app.asterisk.hangup import Hangup

logger = logging.getLogger(__name__)


class AriError(Exception):
    """Any failure of a request to Asterisk.

    ``request`` is the method and path, ``status`` the HTTP status (None: no answer), ``detail`` Asterisk's message.
    """

    def __init__(self, message: str, *, request: str = "", status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.request = request
        self.status = status
        self.detail = detail


class AriTimeout(AriError):
    """No answer in time. Whether Asterisk carried the request out is unknown."""


class AriUnreachable(AriError):
    """No connection, a connection that broke, or something that answers HTTP but is no ARI."""


class AriNotFound(AriError):
    """404: the channel, bridge, variable or application does not exist (any longer)."""


class AriConflict(AriError):
    """409, 412, 422: it exists, but its state does not allow this (for example, a channel not in Stasis)."""


class AriRefused(AriError):
    """401, 403: Asterisk does not let this user do this. The message tells which setting to correct."""


class AriFailed(AriError):
    """Any other answer that is not a success."""


class LegEnded(AriError):
    """The leg hung up before, or while, it was asked for something. ``hangup`` tells why."""

    def __init__(self, message: str, hangup: Hangup) -> None:
        super().__init__(message)
        self.hangup = hangup


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """For what a call can do without: a failure is logged. LegEnded passes: then the leg has gone."""
    try:
        yield
    except LegEnded:
        raise
    except AriError as error:
        logger.warning("%s failed, and the call goes on without it: %s", what, error)


_CONFLICTS = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.UNPROCESSABLE_ENTITY)


def error_from_answer(request: str, status: int, detail: str | None, user: str) -> AriError:
    """Map an HTTP answer to the tree; ``detail`` is None when the body is not ARI's ``{"message": ...}``."""
    said = f"{request}: Asterisk answered {status}: {detail or 'no message'}"
    kind: type[AriError] = AriFailed
    if status == HTTPStatus.UNAUTHORIZED:
        kind = AriRefused
        said += f". Check that ari.conf has the user [{user}] and that its password is the configured one"
    elif status == HTTPStatus.FORBIDDEN:
        kind = AriRefused
        said += f". Set read_only = no for [{user}] in ari.conf"
    elif status == HTTPStatus.NOT_FOUND and detail is None:
        kind = AriUnreachable
        said += ". This HTTP server has no ARI: set enabled = yes in ari.conf, load res_ari*.so, check the URL's prefix"
    elif status == HTTPStatus.NOT_FOUND or (status == HTTPStatus.BAD_REQUEST and "not found" in (detail or "").lower()):
        # addChannel and removeChannel answer 400 "Channel not found" where every other request answers 404.
        kind = AriNotFound
    elif status in _CONFLICTS:
        kind = AriConflict
    return kind(said, request=request, status=status, detail=detail or "")


def was_refused(done: asyncio.Future[Any]) -> bool:
    """Whether Asterisk has refused a request; one that failed otherwise may have been carried out."""
    error = None if done.cancelled() else done.exception()
    return isinstance(error, AriError) and error.status is not None
