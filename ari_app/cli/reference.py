"""The sample configurations and the pages of settings and events, made from the types: `scripts/reference`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ari_app.alerts.settings import AlertSettings
from ari_app.backups.settings import BackupSettings
from ari_app.config import Settings
from ari_app.described import Described, described
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import CardSettings, LineSettings
from ari_app.pbx.ami_page import events_page
from ari_app.people.page import with_table
from ari_app.telegram.texts import LineTexts, Texts
from ari_app.web.ui.languages import languages
from ari_app.webhooks.webhooks_page import webhooks_page

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 110
FILE = """\
# Astergram's configuration, every key with its default. A key without a default is required.
# Any key can be given in the environment instead: ASTERGRAM_ASTERISK__PASSWORD is [asterisk] password."""
LINE = """\
# What can be set for one line, every key with its default; only the number is required.
#
#     astergram line add +79990000001 --file line.toml      or on the page, under Lines
#     astergram line set +79990000001 name=Sales card.callback=600@queues
#     astergram line show +79990000001"""
CARD = """\
# A vCard file (.vcf, 2048 bytes at most) with more about the contact, and a picture (JPEG or PNG, 10 MB at most) that
# is sent before the text. Files are uploaded: `astergram line ...` sends the one that stands here (beside this file).
# contact_vcard = "company.vcf"
# picture = "company.jpg\""""
TEXTS = """\
# The line's texts, sent as plain text. Variables: {caller_name}, {caller_number} (phone, else username, else ID),
# {company}, {line} and {number} (the line's name and number), {date}, {time}; {digits} in keypad_dialled. A brace that
# is no variable is doubled: {{ or }}."""
PAGE = """\
# Settings

Made from the program by `scripts/reference`; change it there.

- The configuration file is `/etc/astergram/astergram.toml`; [astergram.sample.toml](astergram.sample.toml) has all of
  it. Any key can be given in the environment instead: `ASTERGRAM_ASTERISK__PASSWORD` is `password` in `[asterisk]`.
- What belongs to the installation or to a line is set on the page, with `astergram settings` and `astergram line set`,
  or by the API, and takes effect at once. [line.sample.toml](line.sample.toml) has all that a line has.
"""


def main(folder: Path) -> None:
    """Write all of them."""
    for name, text in documents().items():
        (folder / name).write_text(text)


def documents() -> dict[str, str]:
    """By the name of the file in docs/."""
    return {
        "astergram.sample.toml": _file(),
        "line.sample.toml": _line(),
        "settings.md": _page(),
        "events.md": events_page(),
        "webhooks.md": webhooks_page(),
        "people.md": with_table((DOCS / "people.md").read_text(), str),
        "ru/people.md": with_table((DOCS / "ru/people.md").read_text(), languages()["ru"].translate),
    }


def _file() -> str:
    parts = [FILE, *map(_key, described(Settings))]
    for name, field, model in _sections():
        optional = field.default is None
        head = [_comment(_first_line(model)), f"[{name}]", *map(_key, described(model))]
        parts.append("\n" + "\n".join(_commented_out(head) if optional else head))
    return "\n".join(parts) + "\n"


def _line() -> str:
    parts = [LINE, *map(_key, described(LineSettings))]
    parts += ["\n# The business card.\n[card]", *map(_key, described(CardSettings)), CARD]
    parts += ["\n" + TEXTS]
    for language, texts in LineTexts():
        parts.append(f"{'' if language == 'en' else chr(10)}[texts.{language}]")
        for each in described(Texts):
            told = [_comment(_told(each))] if language == "en" else []
            parts += [*told, f"{each.key} = {_value(getattr(texts, each.key))}"]
    return "\n".join(parts) + "\n"


def _page() -> str:
    parts = [PAGE]
    parts += ["## The configuration file\n", *_table(Settings)]
    for name, _, model in _sections():
        parts += [f"\n### `[{name}]`\n", f"{_first_line(model)}\n", *_table(model)]
    parts += ["\n## The installation\n", "Over what the configuration file says.\n", *_table(InstallationSettings)]
    parts += ["\n## Alerts\n", "Under Settings → Alerts, or by `astergram alerts settings`.\n", *_table(AlertSettings)]
    parts += ["\n## Backups\n", "Under Settings → Backups, or by `astergram backups settings`.\n"]
    parts += [*_table(BackupSettings)]
    parts += ["\n## A line\n", *_table(LineSettings), "\n### Its business card\n", *_table(CardSettings, "card.")]
    parts += ["\n### Its texts\n", "In English (`texts.en`) and Russian (`texts.ru`).\n", *_table(Texts)]
    return "\n".join(parts) + "\n"


def _sections() -> Iterator[tuple[str, FieldInfo, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        for model in get_args(field.annotation) or (field.annotation,):
            if isinstance(model, type) and issubclass(model, BaseModel):
                yield name, field, model


def _table(model: type[BaseModel], prefix: str = "") -> list[str]:
    rows = [
        f"| `{prefix}{each.key}` | {_told(each)} | {_default(each)} | {_bounds(each)} |" for each in described(model)
    ]
    return ["| key | what it is | default | bounds |", "|---|---|---|---|", *rows]


def _key(each: Described) -> str:
    told, field = [_comment(_told(each))], each.field
    if field.is_required():
        return "\n".join([*told, "# Required.", f"{each.key} = {_value(_example(each))}"])
    if field.default is None:
        return "\n".join([*told, f"# {each.key} = {_value(_example(each))}"])
    return "\n".join([*told, f"{each.key} = {_value(field.default)}"])


def _told(each: Described) -> str:
    setting = each.setting
    unit = f", {setting.unit}" if setting.unit else ""
    return f"{setting.title}{unit}." + (f" {setting.help}" if setting.help else "")


def _example(each: Described) -> Any:
    return each.setting.example or next(iter(each.field.examples or []), "")


def _default(each: Described) -> str:
    if each.field.is_required():
        return "required"
    return "" if each.field.default in (None, "", (), {}) else f"`{_value(each.field.default)}`"


def _bounds(each: Described) -> str:
    least, most = each.bounds
    choice = " or ".join(f"`{option}`" for option in each.options)
    words = (("above", each.above), ("from", least), ("to", most))
    return choice or " ".join(f"{word} {bound}" for word, bound in words if bound is not None)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in wrap(text, WIDTH, break_long_words=False))


def _commented_out(parts: list[str]) -> list[str]:
    return [line if line.startswith("#") else f"# {line}" for part in parts for line in part.splitlines()]


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
