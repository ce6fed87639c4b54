"""One's own TURN server: where it is, and how one logs in."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Literal

from ari_app.i18n import message
from ari_app.wrong import Form

VALID_S = 86_400
"""A login made of a secret is good for so long: a call renews its relay with it every few minutes, to its end."""

TurnUse = Literal["also", "only"]
PORT = r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
Address = Annotated[
    str,
    Form(
        rf"^(?:(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):{PORT})?$",
        message("Enter HOST:PORT, such as turn.example.com:3478, or nothing."),
    ),
]


@dataclass(frozen=True)
class TurnServer:
    """``secret``: coturn's static-auth-secret, in place of a password; ``only``: no other way for the audio."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    only: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def login(self, now: float) -> tuple[str, str]:
        """Name and password at a Unix time; of a secret as draft-uberti-behave-turn-rest-00 makes them."""
        if not self.secret:
            return self.user, self.password
        until = str(int(now) + VALID_S)
        name = f"{until}:{self.user}" if self.user else until
        # SHA-1 is what the TURN servers of that draft compute.
        made = hmac.new(self.secret.encode(), name.encode(), hashlib.sha1)
        return name, base64.b64encode(made.digest()).decode()
