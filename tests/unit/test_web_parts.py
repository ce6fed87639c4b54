"""Small parts of the admin page."""

import re
import subprocess
from configparser import ConfigParser
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from pydantic import ValidationError

from ari_app.bus import EventBus
from ari_app.i18n import message
from ari_app.web.access.passwords import Passwords
from ari_app.web.access.secrets import digest
from ari_app.web.access.throttle import ADDRESSES, MOST, USERS, Throttle, TryLimits
from ari_app.web.http.cookies import csrf_of
from ari_app.web.http.flash import MOST_MESSAGES, Flashes, FlashMessage
from ari_app.web.http.settings import WebSettings
from ari_app.web.http.sse import event
from ari_app.web.ui import formats
from ari_app.web.ui.languages import LOCALE, languages
from ari_app.web.ui.render import FEATURES, STATIC, TEMPLATES, Templates, load_templates

ROOT = Path(__file__).parents[2]
ENGLISH, RUSSIAN = Locale.parse("en"), Locale.parse("ru")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# What slows guesses down


@pytest.mark.parametrize(("limits", "who"), [(ADDRESSES, "192.0.2.1"), (USERS, "anna")])
def test_each_wrong_password_doubles_the_delay_up_to_a_limit(limits: TryLimits, who: str) -> None:
    clock = Clock()
    throttle = Throttle(clock, limits)
    delays = []
    for _ in range(limits.free_tries + 12):
        throttle.wrong(who)
        delays.append(throttle.wait_s(who))
        clock.now += delays[-1]
    free, first = limits.free_tries, limits.first_delay_s
    assert delays[: free - 1] == [0.0] * (free - 1)
    assert delays[free - 1 : free + 2] == [first, 2 * first, 4 * first]
    assert delays[-1] == limits.longest_delay_s


@pytest.mark.parametrize(
    ("guesser", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_ipv6_customer_is_one_address(guesser: str, other: str, same: bool) -> None:
    throttle = Throttle(Clock())
    for _ in range(ADDRESSES.free_tries):
        throttle.wrong(guesser)
    assert (throttle.wait_s(other) > 0) is same


def test_guesses_from_everywhere_take_bounded_memory() -> None:
    throttle = Throttle(Clock())
    for number in range(MOST + 10):
        throttle.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(throttle._tries) == MOST


# Secrets


async def test_a_password_that_is_far_too_long_is_not_even_hashed() -> None:
    passwords = Passwords()
    hashed = await passwords.hashed("correct horse battery")
    assert await passwords.matches(hashed, "correct horse battery")
    assert not await passwords.matches(hashed, "x" * 10_000_000)
    assert not await passwords.matches("no hash", "correct horse battery")
    assert not await passwords.matches(None, "correct horse battery")


def test_neither_the_kept_digest_nor_the_csrf_token_is_the_secret() -> None:
    assert len({"secret", digest("secret"), csrf_of("secret"), digest("other"), csrf_of("other")}) == 5


# Settings


@pytest.mark.parametrize(
    "url", ["pbx.example.com", "ftp://pbx.example.com", "https://", "https://pbx.example.com/path"]
)
def test_a_public_url_is_an_address_without_a_path(url: str) -> None:
    with pytest.raises(ValidationError):
        WebSettings(public_url=url)


def test_a_public_url_says_whether_cookies_are_secure() -> None:
    assert WebSettings(public_url="https://pbx.example.com/").public_url == "https://pbx.example.com"
    assert WebSettings(public_url="https://pbx.example.com").secure
    assert not WebSettings(public_url="http://pbx.example.com").secure
    assert not WebSettings().secure


# What pages show


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0, "0:00"), (65.9, "1:05"), (3599, "59:59"), (3600, "1:00:00"), (90061, "25:01:01")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert formats.duration(seconds) == shown


def test_times_and_numbers_are_written_as_the_language_does() -> None:
    assert "5 минут назад" in formats.ago(1000.0, 1300.0, RUSSIAN, UTC)
    assert "5 minutes ago" in formats.ago(1000.0, 1300.0, ENGLISH, UTC)
    assert '"1970-01-01T08:45:00+08:45"' in formats.when(0.0, ENGLISH, ZoneInfo("Australia/Eucla"))
    assert formats.number(1234.5, RUSSIAN, 1) == "1\xa0234,5"
    assert formats.number(1234.5, ENGLISH, 1) == "1,234.5"
    assert formats.number(None, ENGLISH) == formats.when(None, ENGLISH, UTC) == "–"
    assert formats.ago(None, 0, ENGLISH, UTC) == "–"


def test_a_sentence_is_told_in_a_language_with_the_sentences_in_it() -> None:
    class Told(Exception):
        sentence = message("This is not the password.")

    russian = languages()["ru"]
    assert russian.translate(Told()) == "Пароль неверный."
    assert russian.translate(message("{reason}.", reason=message("Saved."))) == "Сохранено.."
    assert russian.translate(message("{reason}", reason=ValueError("as it is"))) == "as it is"
    assert russian.translate("as it is") == "as it is"
    assert languages()["en"].translate(Told()) == "This is not the password."


def test_messages_are_shown_once_to_whom_they_belong() -> None:
    flashes = Flashes()
    for number in range(MOST_MESSAGES + 1):
        flashes.add("one", FlashMessage("done", message("{n}", n=number)))
    assert flashes.take("other") == []
    assert len(flashes.take("one")) == MOST_MESSAGES
    assert flashes.take("one") == []


def test_an_event_is_one_line_of_data_whatever_a_caller_is_named() -> None:
    told = event("call", {"name": "a\n\nevent: evil\r\ndata: x\u2028"})
    assert told.count(b"\n") == 3
    assert b"\r" not in told
    assert isinstance(EventBus(), EventBus)


# What everything shown keeps to


def files(*suffixes: str) -> list[Path]:
    return [
        file
        for folder in (TEMPLATES, *FEATURES.values(), STATIC)
        for file in folder.rglob("*")
        if file.suffix in suffixes and "vendor" not in file.parts
    ]


@pytest.mark.parametrize("file", files(".html", ".css", ".js", ".svg"), ids=lambda file: str(file.name))
def test_no_page_names_another_site(file: Path) -> None:
    text = file.read_text().replace("http://www.w3.org/2000/svg", "")
    assert (
        re.findall(r"(?i)(?:src|href|action|url|import|from)\s*[=(]?\s*[\"']?\s*(?:https?:)?//[^\s\"')]*", text) == []
    )
    assert "@import" not in text


@pytest.mark.parametrize("file", files(".html"), ids=lambda file: f"{file.parents[1].name}/{file.name}")
def test_no_template_has_anything_inline(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"(?i)<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|js:|<script(?![^>]*\ssrc=)", text) == []
    assert "| safe" not in text
    assert "|safe" not in text


@pytest.mark.parametrize("file", files(".html"), ids=lambda file: f"{file.parents[1].name}/{file.name}")
def test_every_form_that_changes_something_has_the_csrf_field(file: Path) -> None:
    for form in re.findall(r"(?is)<form[^>]*method=\"post\".*?</form>", file.read_text()):
        assert "csrf_field()" in form


def test_whatever_pages_are_made_of_is_installed_with_them() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packaged = {
        file
        for package, patterns in setup["options.package_data"].items()
        for pattern in patterns.split(",")
        for file in (ROOT / package.replace(".", "/")).glob(pattern.strip())
    }
    assert {
        *files(".html", ".css", ".js", ".svg", ".po"),
        *(STATIC / "vendor").iterdir(),
        *LOCALE.iterdir(),
    } <= packaged


def test_what_is_vendored_has_its_licence() -> None:
    vendored = STATIC / "vendor"
    named = (vendored / "README.md").read_text()
    for script in vendored.glob("*.js"):
        assert script.name in named
        its = script.name.removesuffix(".min.js").removesuffix("-bundle.js")
        licence = (vendored / f"{its}.LICENSE").read_text()
        assert "BSD" in licence or "Apache License" in licence


# Components


HOSTILE = "<script>alert('1')</script> \"quoted\" & more"


@pytest.mark.parametrize(
    "call",
    [
        "field('name', it, it, hint=it, error=it, placeholder=it)",
        "textarea('name', it, it, hint=it, error=it)",
        "choice('name', it, [(it, it)], it, hint=it, error=it)",
        "checkbox('name', it, true, hint=it)",
        "light(it, lamp)",
        "code(it, it)",
        "meter(it, -20, key=it, data=it)",
        "steps([it, it, it], 2)",
        "tabs([(it, it)], it)",
        "bubble(it, 'them', [it])",
        "no_rows(it)",
        "live('/calls?name=' ~ it, 'call', 'lines')",
    ],
)
def test_components_escape_whatever_they_are_given(templates: Templates, call: str) -> None:
    lamp = SimpleNamespace(colour=SimpleNamespace(value="red"), sentence=message("{name}", name=HOSTILE), since=0.0)
    values = {"lamp": lamp, "now": 60.0, "csrf": "c", "locale": ENGLISH, "zone": UTC}
    name = call.partition("(")[0]
    source = f"{{% from 'components.html' import {name} with context %}}{{{{ {call} }}}}"
    shown = templates.environment("en").from_string(source).render(it=HOSTILE, **values)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert '"quoted"' not in shown.replace("&#34;quoted&#34;", "")


def test_a_light_says_its_colour_in_words(templates: Templates) -> None:
    source = "{% from 'components.html' import dot with context %}{{ dot('orange') }}"
    assert "waiting" in templates.environment("en").from_string(source).render()
    assert "ожидание" in templates.environment("ru").from_string(source).render()


def test_a_live_part_is_fetched_again_for_its_news_and_after_a_lost_connection(templates: Templates) -> None:
    source = "{% from 'components.html' import live with context %}{{ live('/now', 'call', 'lines') }}"
    shown = templates.environment("en").from_string(source).render()
    assert 'hx-get="/now"' in shown
    assert 'hx-trigger="again"' in shown
    assert 'data-live="call lines"' in shown


@pytest.fixture(scope="module")
def templates() -> Templates:
    return load_templates()


# Translations


@pytest.fixture(params=sorted(LOCALE.glob("*.po")), ids=lambda path: str(path.stem))
def words(request: pytest.FixtureRequest) -> Catalog:
    path: Path = request.param
    with path.open("rb") as source:
        return read_po(source, locale=path.stem)


def test_translations_are_of_what_is_shown() -> None:
    """Of all of it, and of nothing else."""
    done = subprocess.run(["scripts/translate", "--check"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, ""), "run scripts/translate, and give what is new its words"


def test_everything_shown_has_its_words(words: Catalog) -> None:
    assert [each.id for each in words if each.fuzzy or not all(forms(each.string))] == []


def test_a_translation_has_the_same_places_to_fill(words: Catalog) -> None:
    for entry in words:
        wanted = {place for text in forms(entry.id) for place in places(text)}
        filled = [places(text) for text in forms(entry.string or "") if text]
        # A plural form for one thing need not say its number.
        assert all(each <= wanted for each in filled), entry.string
        assert len(filled) != 1 or filled[0] == wanted, entry.string


def forms(texts: object) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)  # type: ignore[call-overload]


def places(text: str) -> set[str]:
    return {found[0] for found in re.finditer(r"{\w*|%\(\w+\)", text)}
