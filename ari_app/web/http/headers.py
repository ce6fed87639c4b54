"""What each answer tells browsers not to do."""

from aiohttp import web

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send "Origin: null" with a form, even to ourselves (Fetch, 3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

FOREVER = "public, max-age=31536000, immutable"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For `Application.on_response_prepare`, so that streams and errors have them too."""
    response.headers.update(HEADERS)
    named_by_version = request.path.startswith("/static/") and "v" in request.query and response.status == 200
    response.headers["Cache-Control"] = FOREVER if named_by_version else "no-store"
    response.headers.pop("Server", None)
