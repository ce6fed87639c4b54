"""Signs a line in here by another machine of the cluster, where it is signed in (core.telegram.org/api/qr-login).

Whoever writes to NATS could ask for that, and would have the account: so a request is signed with the cluster's secret,
which is on the machines and never in NATS.
"""

from __future__ import annotations

import asyncio
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
ALL_S = 20.0
"""For all machines that are asked: a token lasts 30 s (core.telegram.org/api/qr-login)."""
LONGEST_REASON = 200

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
        try:
            async with asyncio.timeout(ALL_S):
                for machine, address in sorted(self._others().items()):
                    if not (why := await self._refusal(address, question)):
                        return line_log(log, line).info("sign-in: machine %s has accepted", machine)
                    said.append(f"{machine}: {why}")
        except TimeoutError:
            said.append(f"no more answers within {ALL_S:g} s")
        raise NotAccepted(_sentence(line, said))

    async def _refusal(self, address: str, question: bytes) -> str:
        """Why a machine has not accepted; empty where it has."""
        try:
            answer = await self._messenger.ask(address, ACCEPT, question, ACCEPT_S)
        except EngineAway as error:
            return str(error)
        return answer[:LONGEST_REASON].decode(errors="replace")

    async def _answer(self, question: bytes) -> bytes:
        """What another machine is told: nothing where its token was accepted, else why it was not."""
        try:
            asked = json.loads(question)
            line, token, signature = str(asked["line"]), bytes.fromhex(asked["token"]), str(asked["signature"])
            ours = self._secret and hmac.compare_digest(signature.encode(), self._signature(line, token).encode())
        except (ValueError, KeyError, TypeError, RecursionError):
            return b"not understood: another version?"
        if not ours:
            log.warning("a machine that has another secret under [cluster] has asked to be signed in: refused")
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
