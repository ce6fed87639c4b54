"""The sample configurations and the pages of settings and events, made from the types: `scripts/reference`."""

import sys
from pathlib import Path
from textwrap import wrap
from typing import Any

from ari_app.cli.settings_page import ENGLISH, RUSSIAN, first_line, sections, settings_page, told, value_in_toml
from ari_app.config import Settings
from ari_app.described import Described, described
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


def main(folder: Path) -> None:
    """Write all of them."""
    for name, text in documents().items():
        (folder / name).write_text(text)


def documents() -> dict[str, str]:
    """By the name of the file in docs/."""
    return {
        "astergram.sample.toml": _file(),
        "line.sample.toml": _line(),
        "settings.md": settings_page(ENGLISH),
        "ru/settings.md": settings_page(RUSSIAN),
        "events.md": events_page(),
        "webhooks.md": webhooks_page(),
        "people.md": with_table((DOCS / "people.md").read_text(), str),
        "ru/people.md": with_table((DOCS / "ru/people.md").read_text(), languages()["ru"].translate),
    }


def _file() -> str:
    parts = [FILE, *map(_key, described(Settings))]
    for name, field, model in sections():
        optional = field.default is None
        head = [_comment(first_line(model)), f"[{name}]", *map(_key, described(model))]
        parts.append("\n" + "\n".join(_commented_out(head) if optional else head))
    return "\n".join(parts) + "\n"


def _line() -> str:
    parts = [LINE, *map(_key, described(LineSettings))]
    parts += ["\n# The business card.\n[card]", *map(_key, described(CardSettings)), CARD]
    parts += ["\n" + TEXTS]
    for language, texts in LineTexts():
        parts.append(f"{'' if language == 'en' else chr(10)}[texts.{language}]")
        for each in described(Texts):
            comment = [_comment(told(each))] if language == "en" else []
            parts += [*comment, f"{each.key} = {value_in_toml(getattr(texts, each.key))}"]
    return "\n".join(parts) + "\n"


def _key(each: Described) -> str:
    comment, field = [_comment(told(each))], each.field
    if field.is_required():
        return "\n".join([*comment, "# Required.", f"{each.key} = {value_in_toml(_example(each))}"])
    if field.default is None:
        return "\n".join([*comment, f"# {each.key} = {value_in_toml(_example(each))}"])
    return "\n".join([*comment, f"{each.key} = {value_in_toml(field.default)}"])


def _example(each: Described) -> Any:
    return each.setting.example or next(iter(each.field.examples or []), "")


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in wrap(text, WIDTH, break_long_words=False))


def _commented_out(parts: list[str]) -> list[str]:
    return [line if line.startswith("#") else f"# {line}" for part in parts for line in part.splitlines()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
