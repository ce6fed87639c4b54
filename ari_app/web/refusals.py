"""How a request that is not done is answered: a page for people, RFC 9457 problem details for programs."""

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ari_app.sentence import Sentence, say
from ari_app.store.errors import StoreUnavailable
from ari_app.web.context import IDENTITY, Identity, web_of

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
DATABASE_RETRY_S = 10  # for whoever has asked while the database could not be used


class Refused(Exception):
    """A request is not done; ``details`` goes into the problem details of the API, its sentences translated."""

    def __init__(
        self,
        status: int,
        sentence: Sentence,
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
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what was refused, and what went wrong, in the form that the asker understands."""
    try:
        return await handler(request)
    except Refused as refused:
        return answer(request, refused)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return answer(request, _refused(error))
    except StoreUnavailable as error:
        log.warning("%s %s: %s", request.method, request.path, error)
        return answer(request, Refused(503, error.sentence, {"Retry-After": str(DATABASE_RETRY_S)}))
    except Exception:
        log.exception("%s %s: unexpected error", request.method, request.path)
        return answer(request, Refused(500, say("Something went wrong here. The log of Astergram says what.")))


def _refused(error: web.HTTPException) -> Refused:
    match error:
        case web.HTTPNotFound():
            return Refused(404, say("There is nothing here."))
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            sentence = say("{method} is not possible here; {allowed} is.", method=error.method, allowed=allowed)
            return Refused(405, sentence, {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return Refused(413, say("What was sent is too large."))
        case _:
            return Refused(error.status, say("{reason}.", reason=error.reason))


def answer(request: web.Request, refused: Refused) -> web.Response:
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


def problem(refused: Refused, tell: Callable[[object], str]) -> web.Response:
    """Problem details (RFC 9457); ``tell`` puts a sentence into the asker's language."""
    headers = dict(refused.headers)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    said = {"title": HTTPStatus(refused.status).phrase, "status": refused.status, "detail": tell(refused.sentence)}
    body = json.dumps(said | refused.details, default=tell).encode()
    return web.Response(status=refused.status, body=body, content_type=PROBLEM_JSON, headers=headers)
