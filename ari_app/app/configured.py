"""What the configuration file says, as the parts of the program take it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.ari import ari_base
from ari_app.config import AmiSettings, Settings
from ari_app.lines.installation import InstallationSettings
from ari_app.telegram.account import Server
from media.types import AriLogin


def ami_client(ami: AmiSettings) -> Callable[[], Ami]:
    """What makes a connection to AMI."""
    return partial(Ami, ami.host, ami.port, ami.user, ami.password.get_secret_value())


def ari_login(settings: Settings) -> AriLogin:
    """What media processes hang their calls up with, once they have no controller."""
    asterisk = settings.asterisk
    return AriLogin(str(ari_base(asterisk.url)), asterisk.user, asterisk.password.get_secret_value())


def installation_defaults(settings: Settings) -> InstallationSettings:
    """What it says of what can be set on the page, too."""
    return InstallationSettings(
        company=settings.company,
        api_id=settings.telegram.api_id,
        api_hash=settings.telegram.api_hash,
        bot_token=settings.bot.token,
        proxy=settings.telegram.proxy,
        turn_server=settings.media.turn_server,
        turn_user=settings.media.turn_user,
        turn_password=settings.media.turn_password,
        turn_secret=settings.media.turn_secret,
        turn_use=settings.media.turn_use,
        timezone=settings.timezone,
        history_days=settings.calls.history_days,
        audit_days=settings.web.audit_days,
        **settings.retention.model_dump(),
    )


def server(settings: Settings) -> Server:
    """Which Telegram."""
    telegram = settings.telegram
    key = telegram.public_key_file
    return Server(
        dc_id=telegram.dc_id,
        host=telegram.host,
        port=telegram.port,
        public_key=key.read_text() if key else "",
        test_mode=telegram.test_mode,
    )
