"""The languages: English in the sources, others from `locale/*.po`, read as they are."""

import io
import re
from collections.abc import Mapping
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.core import get_global, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from ari_app.i18n import Message

SOURCE_LANGUAGE = "en"
WORLD, WORLD_24 = "en_001", "en_150"
"""English for no country in particular (CLDR): with a clock of 12 hours, and, as in Europe, of 24."""
TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
MOST_TAGS = 20  # of a header that is read
LOCALE = Path(__file__).parent / "locale"


class Language:
    """One of them: its code, its name in itself, and its words."""

    def __init__(self, code: str, translations: NullTranslations) -> None:
        self.code = code
        self.locale = Locale.parse(code)
        self.name = (self.locale.get_language_name(code) or code).capitalize()
        self.translations = translations

    def translate(self, told: object) -> str:
        """A sentence in this language; whatever else carries one (an error, say), or has a `str`, works too."""
        sentence = told if isinstance(told, Message) else getattr(told, "sentence", None)
        if not isinstance(sentence, Message):
            return str(told)
        values = {
            name: self.translate(value) if isinstance(value, Message | Exception) else value
            for name, value in sentence.values.items()
        }
        text = self.translations.gettext(sentence.text) if sentence.text else ""
        return text.format_map(values)


def languages() -> Mapping[str, Language]:
    """All of them, by code, English first."""
    found = {SOURCE_LANGUAGE: Language(SOURCE_LANGUAGE, NullTranslations())}
    for path in sorted(LOCALE.glob("*.po")):
        with path.open("rb") as source:
            catalog = read_po(source, locale=path.stem)
        compiled = io.BytesIO()
        write_mo(compiled, catalog)
        compiled.seek(0)
        found[path.stem] = Language(path.stem, GNUTranslations(compiled))
    return found


def preferred(known: Mapping[str, Language], choice: str, accept_language: str) -> Language:
    """The language that was chosen, else the one that a browser would like best (its Accept-Language header)."""
    if choice in known:
        return known[choice]
    best = negotiate_locale(_wanted(accept_language), list(known))
    return known[best or SOURCE_LANGUAGE]


def reader_locale(language: Language, accept_language: str) -> Locale:
    """How dates and numbers are written: in the page's language, and as in the country that a browser is set to.

    A browser tells it by the language that it would like best (its Accept-Language header).
    """
    for code in _wanted(accept_language):
        try:
            its = Locale.parse(code)
        except (UnknownLocaleError, ValueError):
            continue
        territory = its.territory or (language.locale if its.language == language.code else _likely(its)).territory
        try:
            return Locale(language.code, territory)
        except UnknownLocaleError:
            if language.code != SOURCE_LANGUAGE:
                break
            return Locale.parse(WORLD_24 if "H" in its.time_formats["short"].pattern else WORLD)
    return language.locale


def _likely(locale: Locale) -> Locale:
    """With the country that most who speak the language live in (CLDR)."""
    return Locale.parse(get_global("likely_subtags").get(locale.language, str(locale)))


def _wanted(accept_language: str) -> list[str]:
    """The languages that a browser would like, the best first."""
    wanted = []
    for part in accept_language.split(",")[:MOST_TAGS]:
        code, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((float(quality or 1), code.replace("-", "_")))
        except ValueError:
            continue
    return [code for _, code in sorted(wanted, key=lambda each: -each[0]) if TAG.fullmatch(code)]
