"""An OpenID Connect provider of the tests' own, on loopback: real signatures, and whatever can be wrong with it.

It holds its client to the protocol: OpenID Connect Core 1.0 (3.1), PKCE (RFC 7636), each code once.
"""

import asyncio
import base64
import hashlib
import html
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "astergram", "a client's <secret> & more"
ACCESS_TOKEN = "what-opens-the-providers-own-api"
LASTS_S = 300
KEY_BITS = 2048
HIDDEN = '<input type="hidden" name="{name}" value="{value}">'
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Provider</title></head><body>
<form>{fields}<button name="agreed" value="1">Agree</button></form></body></html>"""


@dataclass
class OidcProvider:
    """One person, who is signed in there. What differs from how it should be is set between requests."""

    url: str
    clock: Callable[[], float]
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "1001", "preferred_username": "anna"})
    redirects: list[str] = field(default_factory=list)
    """Those that are registered; none: any."""
    asks: bool = False
    """The person has to press a button."""
    denies: bool = False
    claims: dict[str, Any] = field(default_factory=dict)
    """Of the ID token, in place of its own; None leaves one out."""
    broken: dict[str, int] = field(default_factory=dict)
    """By path: the status of each answer."""
    asleep: set[str] = field(default_factory=set)
    """Paths that are not answered."""
    metadata: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    secret: str = SECRET
    other_keys: list[Any] = field(default_factory=list)
    """It publishes them, too, as they are."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The paths of all requests."""
    key: RSAKey = field(init=False)
    published: list[RSAKey] = field(init=False)

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self, *, publish: bool = True, kid: str | None = None) -> None:
        """Sign with another key from now on."""
        self.key = RSAKey.generate_key(KEY_BITS, {"kid": kid or secrets.token_hex(4), "use": "sig"})
        self.published = [self.key] if publish else self.published

    async def configuration(self, request: web.Request) -> web.Response:
        known = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/logout",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
        return web.json_response(known | self.metadata)

    async def keys(self, request: web.Request) -> web.Response:
        known = [key.as_dict(private=False) for key in self.published]
        return web.json_response({"keys": [*self.other_keys, *known]})

    async def authorize(self, request: web.Request) -> web.Response:
        query = request.query
        wrong = [name for name in ("state", "nonce", "code_challenge") if not query.get(name)]
        if (
            wrong
            or (query["response_type"], query["client_id"]) != ("code", CLIENT)
            or query["code_challenge_method"] != "S256"
            or "openid" not in query["scope"].split()
            or (self.redirects and query["redirect_uri"] not in self.redirects)
        ):
            return web.Response(status=400, text=f"not as it should be: {request.query_string}")
        if self.asks and "agreed" not in query:
            fields = "".join(HIDDEN.format(name=html.escape(k), value=html.escape(v)) for k, v in query.items())
            return web.Response(text=PAGE.format(fields=fields), content_type="text/html")
        if self.denies:
            answer = {"error": "access_denied", "error_description": "The person does not want to"}
        else:
            code = secrets.token_urlsafe()
            self.codes[code] = dict(query)
            answer = {"code": code}
        place = f"{query['redirect_uri']}?{urlencode(answer | {'state': query['state']})}"
        return web.Response(status=302, headers={"Location": place})

    async def token(self, request: web.Request) -> web.Response:
        sent = {name: str(value) for name, value in (await request.post()).items()}
        if not self._knows(request, sent):
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self.codes.pop(sent.get("code", ""), None)
        if asked is None or (sent["redirect_uri"], _challenge(sent["code_verifier"])) != (
            asked["redirect_uri"],
            asked["code_challenge"],
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        answer = {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": LASTS_S}
        return web.json_response(answer | {"id_token": self.id_token(asked["nonce"])})

    def id_token(self, nonce: str) -> str:
        now = int(self.clock())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + LASTS_S,
            "nonce": nonce,
            **self.person,
            **self.claims,
        }
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return jwt.encode(
            header, {name: value for name, value in claims.items() if value is not None}, self.key, [self.algorithm]
        )

    def _knows(self, request: web.Request, sent: dict[str, str]) -> bool:
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        given = (
            base64.b64decode(basic).decode().partition(":")[::2]
            if basic
            else (sent.get("client_id"), sent.get("client_secret", ""))
        )
        return given == (CLIENT, self.secret)

    async def logout(self, request: web.Request) -> web.Response:
        assert request.query["client_id"] == CLIENT
        return web.Response(status=302, headers={"Location": request.query["post_logout_redirect_uri"]})


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@asynccontextmanager
async def oidc_provider(clock: Callable[[], float], host: str = "127.0.0.1") -> AsyncIterator[OidcProvider]:
    """One that is served."""
    its, left = OidcProvider("", clock), asyncio.Event()

    @web.middleware
    async def as_is_set(request: web.Request, handler: Any) -> web.StreamResponse:
        its.asked.append(request.path)
        if request.path in its.asleep:
            await left.wait()
        if status := its.broken.get(request.path):
            return web.Response(status=status, text="<h1>Oh dear</h1>")
        answer: web.StreamResponse = await handler(request)
        return answer

    app = web.Application(middlewares=[as_is_set])
    app.router.add_get("/.well-known/openid-configuration", its.configuration)
    app.router.add_get("/keys", its.keys)
    app.router.add_get("/authorize", its.authorize)
    app.router.add_post("/token", its.token)
    app.router.add_get("/logout", its.logout)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        its.url = f"http://{host}:{runner.addresses[0][1]}"
        yield its
    finally:
        left.set()
        await runner.cleanup()
