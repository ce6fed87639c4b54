"""Alerts by mail: one message over SMTP (RFC 5321), with TLS, STARTTLS (RFC 3207) or neither, by aiosmtplib."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime

import aiosmtplib

from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.texts import AlertText
from ari_app.os_words import in_words
from ari_app.webhooks.queue import SendResult

MAIL_S = 20.0
"""For each step with the server: its greeting, TLS, each command. Greylisting servers take some seconds."""
WHOLE_S = 90.0
"""For all of it."""
HELO = "[127.0.0.1]"
"""An address as RFC 5321 (4.1.3) has it, for who has no name of their own; the machine's may be none that is known."""
PERMANENT = 500
"""From this answer on another try comes to the same (RFC 5321, 4.2.1)."""


@dataclass(frozen=True)
class MailSender:
    """Sends by the server that is set now. ``trusted``: the certificates that a server's is checked against."""

    settings: Callable[[], AlertSettings]
    trusted: Callable[[], ssl.SSLContext] = ssl.create_default_context
    step_s: float = MAIL_S

    async def send(self, id: str, to: str, said: AlertText) -> SendResult:
        """Try once; raises nothing that the server could bring about. ``id``: the same for each try."""
        its = self.settings()
        if not (its.mail_host and its.mail_from):
            return SendResult(taken=False, error="no mail server is set", final=True)
        try:
            async with asyncio.timeout(WHOLE_S):
                await self._send(mail(id, its.mail_from, to, said), its, to)
        except aiosmtplib.SMTPAuthenticationError as error:  # whatever it says may quote the login
            return SendResult(taken=False, status=error.code, error=f"the mail server refuses the login ({error.code})")
        except aiosmtplib.SMTPRecipientsRefused as error:
            its_error = error.recipients[0]
            return _refused(its_error.code, its_error.message)
        except aiosmtplib.SMTPResponseException as error:
            return _refused(error.code, error.message)
        except TimeoutError:  # aiosmtplib's are among them
            return SendResult(taken=False, error=f"no answer of the mail server within {self.step_s:g} s")
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError, ValueError) as error:
            return SendResult(taken=False, error=in_words(error.__cause__ or error))
        return SendResult(taken=True)

    async def _send(self, message: EmailMessage, its: AlertSettings, to: str) -> None:
        context = await asyncio.to_thread(self.trusted) if its.mail_security != "none" else None
        await aiosmtplib.send(
            message,
            sender=its.mail_from,
            recipients=[to],
            hostname=its.mail_host,
            port=its.mail_port,
            username=its.mail_user or None,
            password=its.mail_password.get_secret_value() if its.mail_password else None,
            use_tls=its.mail_security == "tls",
            start_tls=its.mail_security == "starttls",
            tls_context=context,
            local_hostname=HELO,
            timeout=self.step_s,
        )


def mail(id: str, sender: str, to: str, said: AlertText) -> EmailMessage:
    """A message that nobody answers automatically (RFC 3834)."""
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = said.subject, sender, to
    made["Date"] = format_datetime(localtime())
    made["Message-ID"] = f"<{id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(f"{said.text}\n")
    return made


def _refused(code: int, words: str) -> SendResult:
    first, _, _ = words.partition("\n")
    said = f"the mail server answered {code} {first[:200]}"
    return SendResult(taken=False, status=code, error=said, final=code >= PERMANENT)
