"""The whole program with its page, on the local Telegram; Asterisk is away."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from ari_app.app import running
from ari_app.config import Settings
from ari_app.i18n import message
from ari_app.lines.health import Colour, LineStatus, Remedy, StatusLight
from ari_app.lines.manager import LineManager
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.sandbox.telegram.device import API_HASH, API_ID
from ari_app.telegram.bot import Bot
from tests.integration.web_helpers import Clock, Site

NOBODY = "http://127.0.0.1:1"
LINE = "+79990000001"


@dataclass
class Lines:
    """A served page, and the lines that it shows."""

    site: Site
    book: LineManager
    bot: Bot


@asynccontextmanager
async def lines_site(
    folder: Path,
    telegram: LocalTelegram,
    lines: Sequence[LineSettings] = (),
    *,
    application: bool = True,
    proxy: str | None = None,
) -> AsyncIterator[Lines]:
    """Serve the page with these lines, none of which is signed in; ``application``: whether there is an api_id."""
    key = folder / "telegram.pem"
    key.write_text(telegram.public_key_pem)
    section = {"host": telegram.host, "port": telegram.port, "public_key_file": key}
    settings = Settings.model_validate(
        {
            "state_dir": folder / "state",
            "asterisk": {"url": NOBODY, "user": "astergram", "password": "secret"},
            "telegram": section | ({"api_id": API_ID, "api_hash": API_HASH} if application else {}) | {"proxy": proxy},
            "bot": {"api_url": telegram.bot_api_url},
            "calls": {"cpu_percent": 0},  # where tests run, the machine is full of other things
            "media": {"warm": 0},
            "web": {"port": 0},
        }
    )
    async with running(settings) as app:
        for each in lines:
            await app.lines.add(each)
        yield Lines(Site(settings.state_dir, app.web, app.services, Clock(0.0), Clock(0.0)), app.lines, app.bot)


class ManyLines:
    """So many lines as nobody wants to sign in for a test: what pages ask of a LineManager."""

    def __init__(self, many: int) -> None:
        self.lines = {
            each.number: each
            for each in (
                SimpleNamespace(number=f"+7999{n:07}", name=f"Line {n}", max_calls=4, pauses={}) for n in range(many)
            )
        }
        light = StatusLight(Colour.GREEN, message("All is well."), 1.0)
        self._lights = dict.fromkeys(self.lines, LineStatus(light, light, light))

    def change(self, number: str, colour: Colour, said: str, remedy: Remedy | None = None) -> None:
        """A line's client light changes."""
        light = StatusLight(colour, message(said), 2.0, remedy)
        self._lights[number] = replace(self._lights[number], account=light)

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return iter(self.lines.values())

    def all_settings(self) -> list[SimpleNamespace]:
        return list(self)

    def settings(self, number: str) -> SimpleNamespace:
        return self.lines[number]

    line = settings

    def status(self, line: SimpleNamespace) -> LineStatus:
        return self._lights[line.number]
