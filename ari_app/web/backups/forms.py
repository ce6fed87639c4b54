"""What is set for backups, as a form."""

from ari_app.backups.settings import BackupSettings
from ari_app.described import described
from ari_app.i18n import message
from ari_app.web.http.setting_forms import Form, group

ABOUT = {each.key: each for each in described(BackupSettings)}
SCHEDULES = {"off": message("by hand only"), "daily": message("each day"), "hours": message("every so many hours")}

SCHEDULE: Form = (
    group(message("By itself"), ABOUT, "schedule", "at", "hours", "keep", schedule=SCHEDULES),
    group(message("Encryption"), ABOUT, "passphrase"),
)
