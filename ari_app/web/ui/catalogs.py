"""Finds what is to be translated.

`python -m ari_app.web.ui.catalogs` adds what is missing to each `locale/*.po`; with --prune, it removes what nothing
shows any more, too.
"""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from ari_app.web.ui.languages import LOCALE
from ari_app.web.ui.render import EXTENSIONS

SOURCES = Path(__file__).parents[2]
METHODS = [("sandbox/**", "ignore"), ("web/*/templates/**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {
    "web/*/templates/**.html": {
        "extensions": ",".join(EXTENSIONS),
        "trimmed": "true",
        "silent": "false",
        "newstyle_gettext": "true",
    }
}
KEYWORDS = {**DEFAULT_KEYWORDS, "message": None}
KEY = re.compile(r"[a-z_]+")  # of a text to callers, which has its own `say(key)` and languages
HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: {plural_forms}\\n"

"""


def collected() -> Catalog:
    """Every text that the templates and the sources of Astergram show."""
    catalog = Catalog()
    found = extract_from_dir(SOURCES, METHODS, OPTIONS, KEYWORDS)
    for file, line, text, comments, context in found:
        if Path(file).suffix == ".py" and isinstance(text, str) and KEY.fullmatch(text):
            continue
        catalog.add(
            text, locations=[(f"ari_app/{Path(file).as_posix()}", line)], auto_comments=comments, context=context
        )
    return catalog


def catalog(path: Path) -> Catalog:
    """One language's."""
    with path.open("rb") as source:
        return read_po(source, locale=path.stem)


def untranslated(translated: Catalog) -> Iterator[Message]:
    """What is shown and has no words in a language."""
    for message in collected():
        if not message.id:
            continue
        known = translated.get(_key(message))
        if known is None or known.fuzzy or not _words(known):
            yield message


def unused(translated: Catalog) -> Iterator[Message]:
    """What a language has words for, and nothing shows any more."""
    shown = collected()
    return (message for message in translated if message.id and shown.get(_key(message)) is None)


def add_missing(path: Path) -> int:
    """Add what is missing to the end of a file, without words; returns how many."""
    translated = catalog(path)
    missing = [each for each in untranslated(translated) if translated.get(_key(each)) is None]
    for message in missing:
        translated.add(message.id, locations=message.locations)
    if missing:
        save(path, translated)
    return len(missing)


def remove_unused(path: Path) -> int:
    """Remove what nothing shows any more; returns how many."""
    translated = catalog(path)
    needless = list(unused(translated))
    for message in needless:
        translated.delete(_key(message))
    save(path, translated)
    return len(needless)


def save(path: Path, translated: Catalog) -> None:
    """Write one language's file."""
    body = io.BytesIO()
    write_po(body, translated, width=110, omit_header=True, include_lineno=False)
    path.write_text(HEADER.format(language=path.stem, plural_forms=translated.plural_forms) + body.getvalue().decode())


def _words(message: Message) -> bool:
    return all(message.string) if isinstance(message.string, tuple) else bool(message.string)


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def main() -> int:
    """For each language, add what is missing and name what has no words yet."""
    left = 0
    for path in sorted(LOCALE.glob("*.po")):
        added = add_missing(path)
        if "--prune" in sys.argv[1:]:
            remove_unused(path)
        without = list(untranslated(catalog(path)))
        left += len(without)
        print(f"{path.name}: {added} added, {len(without)} without words, {len(list(unused(catalog(path))))} unused")
        for message in without:
            print(f"  {message.locations[0][0]}: {_key(message)}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
