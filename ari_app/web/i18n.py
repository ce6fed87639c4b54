"""The languages: English in the sources, others from `locale/*.po`, read as they are."""

import io
from collections.abc import Mapping
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale
from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from ari_app.sentence import Sentence

SOURCE_LANGUAGE = "en"
LOCALE = Path(__file__).parent / "locale"


class Language:
    """One of them: its code, its name in itself, and its words."""

    def __init__(self, code: str, translations: NullTranslations) -> None:
        self.code = code
        self.locale = Locale.parse(code)
        self.name = (self.locale.get_language_name(code) or code).capitalize()
        self.translations = translations

    def tell(self, told: object) -> str:
        """A sentence in this language; whatever else carries one (an error, say), or has a `str`, works too."""
        sentence = told if isinstance(told, Sentence) else getattr(told, "sentence", None)
        if not isinstance(sentence, Sentence):
            return str(told)
        values = {
            name: self.tell(value) if isinstance(value, Sentence | Exception) else value
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
    wanted = []
    for part in accept_language.split(","):
        code, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((float(quality or 1), code.replace("-", "_")))
        except ValueError:
            continue
    codes = [code for _, code in sorted(wanted, key=lambda each: -each[0])]
    best = negotiate_locale(codes, list(known))
    return known[best or SOURCE_LANGUAGE]
