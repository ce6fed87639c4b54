"""A request that is not done, as a page for people or as problem details for programs."""

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from ari_app.cluster.shared_settings import NotShared
from ari_app.i18n import message
from ari_app.store.errors import StoreUnavailable
from ari_app.web.http.context import IDENTITY, Identity
from ari_app.web.http.errors import PageError, is_api, is_htmx, problem
from ari_app.web.ui.render import templates_of, translator_of

log = logging.getLogger(__name__)

DATABASE_RETRY_S = 10  # for whoever has asked while the database could not be used


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
    except NotShared as error:
        log.warning("%s %s: %s (%s)", request.method, request.path, error, error.__cause__)
        return answer(request, PageError(503, error.sentence))
    except Exception:
        log.exception("%s %s: unexpected error", request.method, request.path)
        return answer(request, PageError(500, message("Unexpected error: see the log of Astergram.")))


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
    if is_api(request):
        return problem(refused, translator_of(request))
    if is_htmx(request):
        text = translator_of(request)(refused.sentence)
        return web.Response(status=refused.status, text=text, headers=refused.headers)
    if IDENTITY not in request:
        request[IDENTITY] = Identity("visitor", None)
    page = templates_of(request).page(
        request, "refused.html", status=refused.status, code=refused.status, sentence=refused.sentence
    )
    page.headers.update(refused.headers)
    return page
