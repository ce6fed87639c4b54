"""Alerts by mail, to a server of the test's own: TLS, STARTTLS, a login, and servers of every kind."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from ari_app.alerts.mail import MailSender
from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.texts import AlertText
from tests.unit.mail_server import PASSWORD, served

SAID = AlertText("Astergram: диск почти заполнен", "• Only 7 MB are free. (since 10:00)")
STEP_S = 20.0

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # its TLS has begun before the first word


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def sender(port: int, authority: trustme.CA | None = None, step_s: float = STEP_S, **changes: Any) -> MailSender:
    its = AlertSettings.model_validate(
        {
            "mail_to": ["anna@example.com"],
            "mail_from": "pbx@example.com",
            "mail_host": "127.0.0.1",
            "mail_port": port or 1,
            "mail_security": "none",
            **changes,
        }
    )

    def trusted() -> ssl.SSLContext:
        context = ssl.create_default_context()
        if authority:
            authority.configure_trust(context)
        return context

    return MailSender(lambda: its, trusted, step_s)


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
async def test_a_mail_arrives(authority: trustme.CA, security: str) -> None:
    async with served(authority, security, login=security != "none") as server:
        login: dict[str, Any] = {"mail_user": "pbx", "mail_password": PASSWORD} if security != "none" else {}
        by = sender(server.port, authority, mail_security=security, **login)
        result = await by.send("0123.1", "anna@example.com", SAID)
        assert (result.taken, result.error) == (True, "")
        [mail] = server.mails
        assert (mail["Subject"], mail["From"], mail["To"]) == (SAID.subject, "pbx@example.com", "anna@example.com")
        assert (mail["Message-ID"], mail["Auto-Submitted"]) == ("<0123.1@example.com>", "auto-generated")
        assert mail.get_payload(decode=True).decode().strip() == SAID.text  # type: ignore[union-attr]
        assert server.logins == ([(b"pbx", PASSWORD.encode())] if login else [])


async def test_a_wrong_login_is_said_without_the_password_and_tried_again(authority: trustme.CA) -> None:
    async with served(authority, "tls", login=True) as server:
        by = sender(server.port, authority, mail_security="tls", mail_user="pbx", mail_password="a wrong guess")
        result = await by.send("1", "anna@example.com", SAID)
    assert (result.taken, result.final) == (False, False)
    assert result.error == "the mail server refuses the login (535)"


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_that_nobody_trusts(authority: trustme.CA, security: str) -> None:
    async with served(authority, security, login=True) as server:
        by = sender(server.port, mail_security=security, mail_user="pbx", mail_password=PASSWORD)
        result = await by.send("1", "anna@example.com", SAID)
        assert not result.taken
        assert "certificate verify failed" in result.error
        assert server.logins == [], "the password stays here"


async def test_a_server_without_starttls_gets_no_mail(authority: trustme.CA) -> None:
    async with served(authority) as server:
        result = await sender(server.port, mail_security="starttls").send("1", "anna@example.com", SAID)
        assert not result.taken
        assert "STARTTLS" in result.error
        assert server.mails == []


@pytest.mark.parametrize(("answer", "final"), [("550 nobody here", True), ("450 come again", False)])
async def test_a_recipient_that_is_refused(authority: trustme.CA, answer: str, final: bool) -> None:
    async with served(authority, answer=answer) as server:
        result = await sender(server.port).send("1", "anna@example.com", SAID)
    assert (result.taken, result.final) == (False, final)
    assert result.error == f"the mail server answered {answer}"


async def test_nobody_listens() -> None:
    result = await sender(1).send("1", "anna@example.com", SAID)
    assert (result.taken, result.final) == (False, False)
    assert "Connection refused" in result.error or "Connect call failed" in result.error, result.error


@asynccontextmanager
async def says(words: bytes) -> AsyncIterator[int]:
    """A server that says something, or nothing, and then waits for the other side to leave; its port."""
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        if words:
            writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await left.wait()


async def test_a_server_that_says_nothing() -> None:
    async with says(b"") as port:
        result = await sender(port, step_s=0.05).send("1", "anna@example.com", SAID)
    assert result.error == "no answer of the mail server within 0.05 s"


async def test_a_server_that_is_none_and_hangs_up() -> None:
    async with says(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        result = await sender(port).send("1", "anna@example.com", SAID)
    assert not result.taken
    assert result.error


async def test_without_a_server_nothing_is_tried() -> None:
    by = MailSender(AlertSettings)
    assert (await by.send("1", "anna@example.com", SAID)).final
