"""The sandbox on one machine: a local Telegram, a private Asterisk, people and phones, for Astergram to work in."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import tomli_w

from ari_app.app.configured import installation_defaults, server
from ari_app.config import Settings, load
from ari_app.lines.factory import Accounts
from ari_app.lines.loader import load_lines
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.person import Person, person
from ari_app.sandbox.telegram import Device, LocalTelegram, Timers, sign_in
from ari_app.sandbox.telegram.device import API_HASH, API_ID
from ari_app.store.lines import LineRepository
from ari_app.store.store import open_store
from ari_app.telegram.session import connected
from media.pool import MediaPool

LINE = "+79990000001"
ANNA = "+79990000002"
BORIS = "+79990000003"
BOT = "astergram_bot"
ONE_LINE = ({"number": LINE, "name": "Sales", "max_calls": 2},)


class Stage:
    """What is on it; made by `stage(...)`."""

    def __init__(
        self, folder: Path, telegram: LocalTelegram, asterisk: PrivateAsterisk, people_pool: MediaPool
    ) -> None:
        self.folder = folder
        self.telegram = telegram
        self.asterisk = asterisk
        self.people_pool = people_pool

    async def configuration(
        self, lines: Sequence[Mapping[str, Any]] = ONE_LINE, name: str = "astergram", **sections: Any
    ) -> Path:
        """Write Astergram's configuration for this sandbox, and keep its lines; `sections` override its keys.

        ``name``: another one for each of several that work beside each other; each needs lines and an app of its own.
        """
        key = self.folder / "telegram.pem"
        key.write_text(self.telegram.public_key_pem)
        base: dict[str, Any] = {
            "state_dir": str(self.folder / name),
            "asterisk": {
                "url": self.asterisk.ari_url.removesuffix("/ari"),
                "user": self.asterisk.ari_user,
                "password": self.asterisk.ari_password,
            },
            "telegram": {
                "api_id": API_ID,
                "api_hash": API_HASH,
                "host": self.telegram.host,
                "port": self.telegram.port,
                "public_key_file": str(key),
            },
            "bot": {"api_url": self.telegram.bot_api_url},
            "web": {"port": 0},
            "calls": {"cpu_percent": 0},  # where tests run, the machine is full of other things
        }
        for title, section in sections.items():
            base[title] = base.get(title, {}) | section if isinstance(section, Mapping) else section
        path = self.folder / f"{name}.toml"
        path.write_text(tomli_w.dumps(base))
        async with open_store(load(path).database) as store:
            kept = LineRepository(store)
            wanted = {line.number: line for line in map(LineSettings.of, lines)}
            for number in (await kept.all()).keys() - wanted:
                await kept.remove(number)
            for number, line in wanted.items():
                await kept.save(number, line.stored())
        return path

    def bot(self) -> dict[str, str]:
        """Make the installation's bot; gives the configuration's section [bot]."""
        return {"token": self.telegram.add_bot(BOT).token}

    async def sign_in_lines(self, settings: Settings) -> None:
        """Sign in every line that is kept, by code."""
        accounts = Accounts(server(settings), settings.session)
        async with open_store(settings.database) as store:
            lines = await load_lines(store)
        for line in lines:
            async with connected(accounts.of(line, installation_defaults(settings))) as session:
                await sign_in(Device(session.client), self.telegram, line.number)

    def person(self, phone: str) -> AbstractAsyncContextManager[Person]:
        """Somebody on Telegram, for `async with`."""
        return person(self.telegram, phone, self.people_pool)


@asynccontextmanager
async def stage(
    folder: Path,
    *,
    timers: Timers | None = None,
    dialplan: str = "",
    people: Mapping[str, str] | None = None,
    tree: Tree | None = None,
    without: Sequence[str] = (),
    inside: Sequence[str] = (),
) -> AsyncIterator[Stage]:
    """Set the stage in an empty folder: LINE, ANNA and BORIS have accounts (`people`: more of them, phone to name).

    ``dialplan``, ``tree``, ``without`` and ``inside`` are `PrivateAsterisk`'s.
    """
    async with (
        LocalTelegram(folder / "telegram.db", timers=timers or Timers()) as telegram,
        PrivateAsterisk(folder / "asterisk", dialplan=dialplan, tree=tree, without=without, inside=inside) as asterisk,
        MediaPool(folder / "people", warm=0) as pool,
    ):
        names = {LINE: "Astergram", ANNA: "Анна", BORIS: "Boris", **(people or {})}
        for phone, name in names.items():
            telegram.add_user(phone, name)
        yield Stage(folder, telegram, asterisk, pool)
