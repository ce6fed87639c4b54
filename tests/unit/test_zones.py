"""In which zone, and how, times are shown."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from babel.dates import format_datetime

from ari_app import zones
from ari_app.app.configured import installation_defaults
from ari_app.config import ConfigError, load
from ari_app.lines.factory import message_templates
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import LineSettings
from ari_app.telegram.peers import Person
from ari_app.web.ui.languages import languages, reader_locale
from tests.unit.test_config import GOOD, file

__all__ = ["file"]

JANUARY, JULY = datetime(2027, 1, 15, 12, 0), datetime(2027, 7, 15, 12, 0)


@pytest.mark.parametrize("name", ["Europe/Moscow", "europe/moscow", " Europe/Moscow "])
def test_a_zone_is_found_by_its_name_in_any_case(name: str) -> None:
    settings = InstallationSettings(timezone=name)
    assert settings.timezone == "Europe/Moscow"
    assert JANUARY.astimezone(settings.zone).utcoffset() == timedelta(hours=3)
    assert zones.name_of(settings.zone) == "Europe/Moscow"


def test_without_a_setting_it_is_this_machines() -> None:
    zone = InstallationSettings().zone
    for moment in (JANUARY, JULY):
        assert moment.astimezone(zone).utcoffset() == moment.astimezone().utcoffset()
    assert zones.name_of(zone)


@pytest.mark.parametrize(
    "name", ["Moscow", "Europe", "Europe/Nowhere", "../../etc/passwd", "localtime", "right/UTC", "UTC+3"]
)
def test_a_name_that_nobody_has_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone, such as Europe/Moscow"):
        InstallationSettings(timezone=name)


def test_the_configuration_file_names_it(file: Path) -> None:
    file.write_text(f'timezone = "Asia/Tokyo"\n{GOOD}')
    assert installation_defaults(load(file)).timezone == "Asia/Tokyo"
    file.write_text(f'timezone = "Mars"\n{GOOD}')
    with pytest.raises(ConfigError, match="timezone: 'Mars' is no time zone"):
        load(file)


def test_texts_to_people_tell_its_time() -> None:
    settings = LineSettings.of({"number": "+79990000001", "texts": {"en": {"card": "{time} {date}"}}})
    for name in ("Pacific/Kiritimati", "Pacific/Niue"):  # 25 hours apart
        zone = InstallationSettings(timezone=name).zone
        before = datetime.now(zone)
        said = message_templates(settings, InstallationSettings(timezone=name)).text("card", Person(7, first_name="Bo"))
        assert any(said.startswith(f"{each:%H:%M} ") for each in (before, datetime.now(zone)))


@pytest.mark.parametrize(
    ("language", "header", "found"),
    [
        ("en", "en-GB,en;q=0.9", "15/01/2027, 15:05"),
        ("en", "en-US,en;q=0.9", "1/15/27, 3:05\u202fPM"),
        ("en", "en-SE", "2027-01-15, 15:05"),
        ("en", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "15/01/2027, 15:05"),
        ("en", "de", "15/01/2027, 15:05"),
        ("en", "ru-RU,ru;q=0.9,en-US;q=0.8", "15/01/2027, 15:05"),
        ("en", "", "1/15/27, 3:05\u202fPM"),
        ("en", "*", "1/15/27, 3:05\u202fPM"),
        ("en", "../../etc/passwd, x;q=, \x00, en-GB;q=0.1", "15/01/2027, 15:05"),
        ("ru", "ru-RU,ru;q=0.9,en-US;q=0.8", "15.01.2027, 15:05"),
        ("ru", "en-US,en;q=0.9", "15.01.2027, 15:05"),
        ("ru", "ru-KZ", "15.01.2027, 15:05"),
    ],
)
def test_times_are_written_as_the_browser_would(language: str, header: str, found: str) -> None:
    locale = reader_locale(languages()[language], header)
    assert format_datetime(datetime(2027, 1, 15, 15, 5), "short", locale=locale) == found
