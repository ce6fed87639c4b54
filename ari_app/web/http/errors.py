"""How a request that is not done is answered: a page for people, RFC 9457 problem details for programs."""

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ari_app.i18n import Message, message
from ari_app.store.errors import StoreUnavailable
from ari_app.web.http.context import IDENTITY, Identity, web_of

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
DATABASE_RETRY_S = 10  # for whoever has asked while the database could not be used


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
    return request.path == "/api" or request.path.startswith("/api/")


def is_htmx(request: web.BaseRequest) -> bool:
    """Whether a page is asking for a part of itself."""
    return "HX-Request" in request.headers


@web.middleware
async def error_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what was refused, and what went wrong, in the form that the asker understands."""
    try:
        return await handler(request)
    except PageError as refused:
        return answer(request, refused)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return answer(request, _refused(error))
    except StoreUnavailable as error:
        log.warning("%s %s: %s", request.method, request.path, error)
        return answer(request, PageError(503, error.sentence, {"Retry-After": str(DATABASE_RETRY_S)}))
    except Exception:
        log.exception("%s %s: unexpected error", request.method, request.path)
        return answer(request, PageError(500, message("Something went wrong here. The log of Astergram says what.")))


def _refused(error: web.HTTPException) -> PageError:
    match error:
        case web.HTTPNotFound():
            return PageError(404, message("Not found."))
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            sentence = message("{method} is not allowed here; {allowed} is.", method=error.method, allowed=allowed)
            return PageError(405, sentence, {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return PageError(413, message("What was sent is too large."))
        case _:
            return PageError(error.status, message("{reason}.", reason=error.reason))


def answer(request: web.Request, refused: PageError) -> web.Response:
    """The answer to a request that is not done."""
    templates = web_of(request).templates
    if is_api(request):
        return problem(refused, partial(templates.translated, request))
    if is_htmx(request):
        text = templates.translated(request, refused.sentence)
        return web.Response(status=refused.status, text=text, headers=refused.headers)
    if IDENTITY not in request:
        request[IDENTITY] = Identity("visitor", None)
    page = templates.page(
        request, "refused.html", status=refused.status, code=refused.status, sentence=refused.sentence
    )
    page.headers.update(refused.headers)
    return page


def problem(refused: PageError, translate: Callable[[object], str]) -> web.Response:
    """Problem details (RFC 9457); ``translate`` puts a message into the asker's language."""
    headers = dict(refused.headers)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    said = {"title": HTTPStatus(refused.status).phrase, "status": refused.status, "detail": translate(refused.sentence)}
    body = json.dumps(said | refused.details, default=translate).encode()
    return web.Response(status=refused.status, body=body, content_type=PROBLEM_JSON, headers=headers)
