"""What is sent is compressed for who understands it, but for streams: their pieces would wait in a buffer.

A secret beside what an attacker chooses can be guessed by the length of the two together (BREACH); here no other site
can make a browser ask with its cookies, for they are SameSite=Strict.
"""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

SHORTEST = 1000  # of less, little is left to save
TEXTS = (".css", ".js", ".svg")


@web.middleware
async def compressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Compress the answer."""
    response = await handler(request)
    if response.prepared or not _worth_it(request, response):
        return response
    response.headers[hdrs.VARY] = ", ".join(filter(None, (response.headers.get(hdrs.VARY), hdrs.ACCEPT_ENCODING)))
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower() and hdrs.RANGE not in request.headers:
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _worth_it(request: web.Request, response: web.StreamResponse) -> bool:
    if isinstance(response, web.FileResponse):
        return request.path.endswith(TEXTS)
    return isinstance(response, web.Response) and isinstance(response.body, bytes) and len(response.body) >= SHORTEST
