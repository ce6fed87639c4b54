"""What a browser that is sent to the provider has to bring back from there: a cookie, and nothing kept here.

State, nonce and PKCE's verifier (RFC 7636) are made of the cookie's secret, which the provider never sees; none of them
tells another one, nor the secret. Nobody can fill a table of those who are on their way, as there is none.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from ari_app.web.http.cookies import SECRET_BYTES

FORM = re.compile(r"([\w-]{40,60})\.([!-~]*)")
LONGEST_PLACE = 1000  # of the page that was wanted; a cookie has room for 4096 bytes


@dataclass(frozen=True)
class Flow:
    """One sign-in on its way. ``wanted``: the page that the browser is led to when it is in."""

    secret: str = field(repr=False)
    wanted: str = "/"

    @classmethod
    def begin(cls, wanted: str) -> "Flow":
        """A new one."""
        return cls(secrets.token_urlsafe(SECRET_BYTES), wanted if len(wanted) <= LONGEST_PLACE else "/")

    @classmethod
    def of(cls, cookie: str) -> "Flow | None":
        """The one that a browser's cookie is of; None for no such cookie."""
        found = FORM.fullmatch(cookie)
        return cls(found[1], unquote(found[2])) if found else None

    @property
    def cookie(self) -> str:
        """What the browser keeps."""
        return f"{self.secret}.{quote(self.wanted)}"

    @property
    def state(self) -> str:
        """Comes back from the provider by the browser: the answer is to this browser's own request."""
        return self._made("state")

    @property
    def nonce(self) -> str:
        """Comes back in the ID token: it was made for this request."""
        return self._made("nonce")

    @property
    def verifier(self) -> str:
        """Shows the provider that who brings the code is who has asked."""
        return self._made("verifier")

    def is_answered_by(self, state: str) -> bool:
        """Whether an answer's state is this one's."""
        return hmac.compare_digest(state.encode("utf-8", "replace"), self.state.encode())

    def _made(self, what: str) -> str:
        return hmac.new(self.secret.encode(), f"oidc {what}".encode(), hashlib.sha256).hexdigest()
