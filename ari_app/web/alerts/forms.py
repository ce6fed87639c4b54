"""What is set for alerts, as a form."""

from collections.abc import Mapping

from ari_app.alerts.settings import AlertSettings
from ari_app.described import described
from ari_app.i18n import Message, message
from ari_app.web.http.setting_forms import Form, group

ABOUT = {each.key: each for each in described(AlertSettings)}
LANGUAGES = {"en": "English", "ru": "Русский"}
WRITERS = {"line": message("a line"), "bot": message("the bot")}
SECURITY: Mapping[str, Message | str] = {"starttls": "STARTTLS", "tls": "TLS", "none": message("none")}

WHO: Form = (
    group(message("By Telegram"), ABOUT, "telegram_to", "telegram_by", telegram_by=WRITERS),
    group(
        message("By mail"),
        ABOUT,
        *("mail_to", "mail_from", "mail_host", "mail_port", "mail_security", "mail_user", "mail_password"),
        mail_security=SECURITY,
    ),
    group(
        message("When somebody is told"),
        ABOUT,
        *("red_minutes", "orange_minutes", "pause_minutes", "disk_free_mb"),
        *("failed_percent", "failed_calls", "failed_minutes", "language"),
        language=LANGUAGES,
    ),
)
