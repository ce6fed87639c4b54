"""The cookies: who a browser is, and what its user chose."""

import hashlib
import hmac
from dataclasses import dataclass

from aiohttp import web

SECRET_BYTES = 32
CHOICE_S = 365 * 86400
FLOW_S = 900.0  # for signing in at a provider


@dataclass(frozen=True)
class Cookies:
    """The names hold the port, since browsers keep cookies by host alone, and two Astergrams can run on one host.

    ``secure``: browsers come by TLS; then the prefix __Host- (RFC 6265bis) keeps other hosts from setting them.
    """

    port: int
    secure: bool
    session_s: float

    @property
    def _prefix(self) -> str:
        return "__Host-" if self.secure else ""

    @property
    def session(self) -> str:
        """The name of the cookie that says who a browser is."""
        return f"{self._prefix}astergram-{self.port}"

    @property
    def visitor(self) -> str:
        """The name of the cookie of a browser that is not signed in; it holds nothing but what CSRF tokens need."""
        return f"{self._prefix}astergram-visitor-{self.port}"

    def set_session(self, response: web.StreamResponse, secret: str) -> None:
        """Sign a browser in."""
        self._set(response, self.session, secret, self.session_s)
        self._drop(response, self.visitor)

    def set_visitor(self, response: web.StreamResponse, secret: str) -> None:
        """Give a browser something to make CSRF tokens from."""
        self._set(response, self.visitor, secret, None)

    def drop_session(self, response: web.StreamResponse) -> None:
        """Sign a browser out."""
        self._drop(response, self.session)

    @property
    def flow(self) -> str:
        """The name of the cookie of a browser that has gone to sign in at a provider."""
        return f"{self._prefix}astergram-oidc-{self.port}"

    def set_flow(self, response: web.StreamResponse, value: str) -> None:
        """Have a browser keep what it has to bring back from there; from another site, so Lax."""
        self._set(response, self.flow, value, FLOW_S, "Lax")

    def drop_flow(self, response: web.StreamResponse) -> None:
        """It is back."""
        self._drop(response, self.flow)

    def set_choice(self, response: web.StreamResponse, name: str, value: str) -> None:
        """Keep a choice: a language, a theme. The same on all ports."""
        response.set_cookie(
            f"astergram-{name}", value, max_age=CHOICE_S, httponly=True, samesite="Lax", secure=self.secure, path="/"
        )

    def choice(self, request: web.BaseRequest, name: str) -> str:
        """What was chosen; empty for nothing."""
        return request.cookies.get(f"astergram-{name}", "")

    def _set(
        self, response: web.StreamResponse, name: str, value: str, max_age_s: float | None, samesite: str = "Strict"
    ) -> None:
        max_age = None if max_age_s is None else int(max_age_s)
        response.set_cookie(
            name, value, max_age=max_age, httponly=True, samesite=samesite, secure=self.secure, path="/"
        )

    def _drop(self, response: web.StreamResponse, name: str) -> None:
        response.del_cookie(name, path="/", httponly=True, samesite="Strict", secure=self.secure)


def csrf_of(secret: str) -> str:
    """What a page made for a browser sends back with each change; the cookie's secret does not follow from it."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()
