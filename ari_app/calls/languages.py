"""Which language somebody speaks: learnt when they press a button, for their next texts and calls."""

from ari_app.store.languages import LanguageRepository
from ari_app.store.store import Store


class Languages:
    """What has been learnt, by Telegram id; made by `open_languages`."""

    def __init__(self, kept: LanguageRepository, known: dict[int, str]) -> None:
        self._kept = kept
        self._known = known

    def of(self, person_id: int) -> str:
        """An IETF tag, as Telegram has it; empty where it is not known."""
        return self._known.get(person_id, "")

    def learn(self, person_id: int, language: str) -> None:
        """Telegram has told somebody's language; it is known at once, and kept a moment later."""
        if self._known.get(person_id) != language:
            self._known[person_id] = language
            self._kept.save(person_id, language)


async def open_languages(store: Store) -> Languages:
    """What earlier runs have learnt, and what this one learns."""
    kept = LanguageRepository(store)
    return Languages(kept, await kept.all())
