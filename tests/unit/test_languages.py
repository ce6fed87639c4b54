"""Languages that are learnt when people press buttons."""

from pathlib import Path

from ari_app.calls.languages import open_languages
from ari_app.store.store import open_store
from ari_app.telegram.peers import Person
from ari_app.telegram.texts import MessageTemplates


async def test_a_language_is_known_at_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "astergram.db"
    async with open_store(path) as store:
        languages = await open_languages(store)
        assert languages.of(7) == ""
        languages.learn(7, "en")
        languages.learn(7, "pt-br")
        languages.learn(8, "ru")
        assert (languages.of(7), languages.of(8)) == ("pt-br", "ru")
    async with open_store(path) as store:
        languages = await open_languages(store)
        assert (languages.of(7), languages.of(8)) == ("pt-br", "ru")


async def test_what_telegram_tells_counts_more() -> None:
    templates = MessageTemplates("Acme", "Sales", "+79990000001", learnt={7: "ru", 8: "en"}.__getitem__)
    assert templates.with_language(Person(7)).variables()["TELEGRAM_LANGUAGE"] == "ru"
    assert templates.with_language(Person(8, language="ru")).language == "ru"
    assert "Вы звоните" in templates.text("keypad", Person(7))
    assert "You are calling" in templates.text("keypad", Person(8))
