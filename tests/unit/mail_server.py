"""An SMTP server of a test's own, by aiosmtpd: with TLS, STARTTLS, a login, and answers as a test has them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

PASSWORD = "correct horse"


@dataclass
class Server:
    """What it has taken; ``answers`` gives its answer to RCPT."""

    mails: list[Mail] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    answer: str = "250 OK"
    port: int = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@asynccontextmanager
async def served(
    authority: trustme.CA, security: str = "none", login: bool = False, **own: Any
) -> AsyncIterator[Server]:
    """An SMTP server at 127.0.0.1."""
    its = Server(**own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    options: dict[str, Any] = {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
    if login:
        options |= {
            "authenticator": its.authenticate,
            "auth_required": True,
            "auth_require_tls": security == "starttls",
        }
    talking: list[SMTP] = []

    def talk() -> SMTP:
        talking.append(SMTP(its, enable_SMTPUTF8=False, **options))
        return talking[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(talk, "127.0.0.1", 0, ssl=context if security == "tls" else None)
    its.port = server.sockets[0].getsockname()[1]
    async with server:
        yield its
        for each in talking:  # who has been left in the middle of something
            if isinstance(each.transport, asyncio.Transport):
                each.transport.abort()
