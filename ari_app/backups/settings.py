"""What is set for backups: when they are made, how many are kept, and the passphrase."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from ari_app.described import Setting
from ari_app.i18n import message
from ari_app.lines.part_settings import PartModel, StoredSecret
from ari_app.wrong import Form, Wrong

LEAST_PASSPHRASE = 12
"""Characters; what it protects can be taken away and tried for years."""


class BackupSettings(PartModel):
    """Backups that the program makes by itself, into its own folder."""

    schedule: Annotated[
        Literal["off", "daily", "hours"],
        Setting(message("When they are made")),
    ] = "off"
    at: Annotated[
        str,
        Form(r"^([01]\d|2[0-3]):[0-5]\d$", message("Enter a time of day, such as 03:30.")),
        Setting(message("Time of day"), message("In the installation's time zone.")),
        Field(examples=["03:30"]),
    ] = "03:30"
    hours: Annotated[int, Setting(message("Or every so many hours"), unit=message("h"))] = Field(24, ge=1, le=8760)
    keep: Annotated[
        int, Setting(message("How many are kept"), message("The oldest go; those made by hand count, too."))
    ] = Field(7, ge=1, le=1000)
    passphrase: Annotated[
        StoredSecret,
        Setting(
            message("Passphrase"),
            message("Encrypts them, as `age` does. Keep it elsewhere, too: without it nobody can open a backup."),
        ),
    ] = None

    def wrong(self) -> Sequence[Wrong]:
        """A passphrase that is short is none, and one with blanks at its ends is entered without them elsewhere."""
        text = self.passphrase.get_secret_value() if self.passphrase else ""
        if text != text.strip():
            return [Wrong("passphrase", message("No spaces or line breaks at its ends, please."))]
        if text and len(text) < LEAST_PASSPHRASE:
            said = message("At least {min_length} characters, please.", min_length=LEAST_PASSPHRASE)
            return [Wrong("passphrase", said)]
        return ()
