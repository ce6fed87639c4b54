"""What is set for alerts: who is told, and from when on something is one."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from ari_app.described import Setting
from ari_app.i18n import message
from ari_app.lines.part_settings import PartModel, StoredSecret
from ari_app.lines.sent_secrets import SentTo
from ari_app.telegram.peers import Destination
from ari_app.wrong import Told, Wrong

MAIL = re.compile(r"[^\s@<>()\[\],;:\"\\]{1,64}@[^\s@<>()\[\],;:\"\\]{1,255}", re.ASCII)
MOST_PEOPLE = 20
"""Of each kind: alerts are for those who look after the installation."""
MINUTES, PERCENT, MB = message("min"), message("%"), message("MB")


def _person(text: str) -> str:
    return str(Destination.parse(text))


def _address(text: str) -> str:
    if not MAIL.fullmatch(text):
        raise Told(message("{given} is no mail address, such as anna@example.com.", given=repr(text[:100])))
    return text


def _address_or_nothing(text: str) -> str:
    return _address(text) if text else ""


class AlertSettings(PartModel):
    """Whom alerts are told, and from when on something is one. Without anybody to tell, they are only shown."""

    sent_to: ClassVar[SentTo] = {"mail_password": ("mail_host", "mail_port")}

    telegram_to: Annotated[
        tuple[Annotated[str, AfterValidator(_person)], ...],
        Setting(
            message("People on Telegram"),
            message("Phone numbers (+79990000002), usernames (@name) or Telegram IDs, one per line."),
        ),
    ] = Field((), max_length=MOST_PEOPLE)
    telegram_by: Annotated[
        Literal["line", "bot"],
        Setting(
            message("Who writes to them"),
            message(
                "The other one, where this one can't. A line that the alert is about comes last; the bot can write to "
                "those who have started it."
            ),
        ),
    ] = "line"
    mail_to: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...],
        Setting(message("Mail addresses"), message("One per line.")),
    ] = Field((), max_length=MOST_PEOPLE)
    mail_from: Annotated[
        str, AfterValidator(_address_or_nothing), Setting(message("Sender"), message("A mail address."))
    ] = ""
    mail_host: Annotated[str, Setting(message("Mail server (SMTP)"), message("Such as smtp.example.com."))] = Field(
        "", max_length=255, pattern=r"^[^\s/@]*$", examples=["smtp.example.com"]
    )
    mail_port: Annotated[
        int, Setting(message("Its port"), message("587 with STARTTLS, 465 with TLS, 25 within one's own network."))
    ] = Field(587, ge=1, le=65535)
    mail_security: Annotated[
        Literal["starttls", "tls", "none"],
        Setting(message("Encryption"), message("Its certificate is checked. A password is never sent without.")),
    ] = "starttls"
    mail_user: Annotated[str, Setting(message("Its user"), message("Empty: it lets us in without."))] = Field(
        "", max_length=255
    )
    mail_password: Annotated[StoredSecret, Setting(message("Its password"))] = None
    language: Annotated[Literal["en", "ru"], Setting(message("Language of what is told"))] = "en"
    red_minutes: Annotated[
        float,
        Setting(
            message("A light is red for"),
            message("Sign-in or a setting is needed. A frozen account is told at once."),
            MINUTES,
        ),
    ] = Field(2.0, ge=0, le=1440)
    orange_minutes: Annotated[
        float,
        Setting(
            message("A light is orange for"),
            message("Asterisk, Telegram, the Bot API, NATS or another machine can't be reached. 0: never told."),
            MINUTES,
        ),
    ] = Field(15.0, ge=0, le=1440)
    pause_minutes: Annotated[
        float,
        Setting(message("A pause of at least"), message("Telegram limits a line (FLOOD_WAIT). 0: each one."), MINUTES),
    ] = Field(5.0, ge=0, le=1440)
    disk_free_mb: Annotated[
        int, Setting(message("Less is free on the disk of the state directory"), message("0: never told."), MB)
    ] = Field(500, ge=0)
    failed_percent: Annotated[
        int,
        Setting(
            message("Of the calls, so many have failed"),
            message("With UNAVAILABLE, LIMITED or ERROR; nobody's choice, as a busy phone is. 0: never told."),
            PERCENT,
        ),
    ] = Field(50, ge=0, le=100)
    failed_calls: Annotated[int, Setting(message("… and at least so many"), unit=message("calls"))] = Field(5, ge=1)
    failed_minutes: Annotated[float, Setting(message("… within"), unit=MINUTES)] = Field(15.0, ge=1, le=1440)

    def wrong(self) -> Sequence[Wrong]:
        """Mail needs a server and a sender, and a password needs encryption."""
        return list(self._wrong())

    def _wrong(self) -> Iterator[Wrong]:
        if self.mail_to and not self.mail_host:
            yield Wrong("mail_host", message("To send mail, it is needed."))
        if self.mail_to and not self.mail_from:
            yield Wrong("mail_from", message("To send mail, it is needed."))
        if self.mail_password and not self.mail_user:
            yield Wrong("mail_user", message("The password is this user's: enter it."))
        if self.mail_password and self.mail_security == "none":
            yield Wrong("mail_security", message("A password is never sent without encryption."))
