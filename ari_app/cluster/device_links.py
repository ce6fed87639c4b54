"""Signs a line in here by another machine of the cluster, where it is signed in (core.telegram.org/api/qr-login).

Whoever writes to NATS could ask for that, and would have the account: so a request is signed with the cluster's secret,
which is on the machines and never in NATS.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.messenger import Messenger
from ari_app.i18n import Message, message
from ari_app.logs import line_log
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.signin import NotAccepted

ACCEPT = "accept-login"
ACCEPT_S = 12.0
"""For the other machine to ask Telegram, which it gives 10 s."""
OTHER_SECRET = "another secret"  # noqa: S105 - what is said of it

log = logging.getLogger(__name__)


class DeviceLinks:
    """``others``: the addresses of the machines that are there; ``accept``: has this machine's own device of a line
    accept a login token, and raises TelegramError.
    """

    def __init__(
        self,
        secret: str,
        messenger: Messenger,
        others: Callable[[], dict[str, str]],
        accept: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        self._secret = secret.encode()
        self._messenger = messenger
        self._others = others
        self._accept = accept

    def serve(self) -> None:
        """Answer the other machines from now on."""
        self._messenger.serve_in_tasks(ACCEPT, self._answer)

    async def accepted(self, line: str, token: bytes) -> None:
        """Have one of them accept this machine's login token. Raises NotAccepted."""
        if not self._secret:
            raise NotAccepted(message("Set the same secret under [cluster] on each machine first."))
        question = json.dumps({"line": line, "token": token.hex(), "signature": self._signature(line, token)}).encode()
        said: list[str] = []
        for machine, address in sorted(self._others().items()):
            try:
                why = (await self._messenger.ask(address, ACCEPT, question, ACCEPT_S)).decode()
            except (EngineAway, UnicodeDecodeError) as error:
                why = str(error)
            if not why:
                line_log(log, line).info("sign-in: machine %s has accepted", machine)
                return
            said.append(f"{machine}: {why}")
        raise NotAccepted(_sentence(line, said))

    async def _answer(self, question: bytes) -> bytes:
        """What another machine is told: nothing where its token was accepted, else why it was not."""
        try:
            asked = json.loads(question)
            line, token, signature = str(asked["line"]), bytes.fromhex(asked["token"]), str(asked["signature"])
        except (ValueError, KeyError, TypeError):
            return b"not understood: another version?"
        if not self._secret or not hmac.compare_digest(signature.encode(), self._signature(line, token).encode()):
            line_log(log, line).warning("sign-in: another machine has asked with %s, and was refused", OTHER_SECRET)
            return b"it has another secret under [cluster]"
        try:
            await self._accept(line, token)
        except TelegramError as error:
            return str(error).encode()
        line_log(log, line).warning("sign-in: another machine of the cluster was signed in by this one")
        return b""

    def _signature(self, line: str, token: bytes) -> str:
        return hmac.new(self._secret, b"\0".join((ACCEPT.encode(), line.encode(), token)), hashlib.sha256).hexdigest()


def _sentence(line: str, said: list[str]) -> Message:
    if not said:
        return message("No other machine of the cluster is there now: scan the code, or begin again later.")
    return message(
        "No other machine has signed {line} in ({reasons}): scan the code with the line's Telegram instead.",
        line=line,
        reasons="; ".join(said),
    )
