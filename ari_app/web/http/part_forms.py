"""The settings of a part of the program as a form: sent, kept, or shown again with what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ari_app.i18n import Message
from ari_app.lines.part_settings import PartSettings
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.web.http.edits import MEANWHILE, Edit
from ari_app.web.http.setting_forms import Form, change, differences, edit, errors, shown, unedited


@dataclass(frozen=True)
class SentForm:
    """A form that was sent. ``status`` 200: it is kept."""

    edit: Edit
    status: int = 200
    errors: Mapping[str, Sequence[Message]] = field(default_factory=dict)
    meanwhile: Message | None = None


def of_part(form: Form, part: PartSettings[Any], answered: SentForm | None = None) -> dict[str, Any]:
    """For the template: as the form is shown for the first time, or as it was sent."""
    its = answered or SentForm(unedited(form, part.settings))
    return {
        "form": form,
        "values": shown(form, its.edit),
        "read": its.edit.read(),
        "errors": its.errors,
        "meanwhile": its.meanwhile,
    }


async def save_part(form: Form, fields: Mapping[str, str], part: PartSettings[Any]) -> SentForm:
    """Change what was changed, unless it can't be, or somebody else has changed it meanwhile."""
    while True:
        now = part.settings
        edited = edit(form, fields, now)
        if edited.differs:
            return SentForm(edited, 412, differences(form, now, edited.differs), MEANWHILE)
        try:
            await part.change(change(form, fields, edited.changed), {version_of(now)})
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            return SentForm(edited, 422, errors(form, refused))
        return SentForm(edited)
