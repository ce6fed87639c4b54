"""What a command that needs no running program has to know of the installation: configuration, lines, bot."""

from ari_app import api_client
from ari_app.app import bot_token, installation_defaults
from ari_app.config import Settings
from ari_app.doctor import Surroundings
from ari_app.lines.installation import Installation
from ari_app.lines.loader import load_lines
from ari_app.store.store import open_store
from ari_app.surroundings import surroundings


async def read_installation(settings: Settings) -> Surroundings:
    """Read it from the database, and ask the program what only that knows, if it runs. Raises StoreError, LineError."""
    lines, has_bot = [], settings.bot.token is not None
    if settings.database.exists():
        async with open_store(settings.database) as store:
            kept = Installation(store, installation_defaults(settings))
            await kept.load()
            lines, has_bot = await load_lines(store), bool(bot_token(kept))
    status = await api_client.status(settings)
    return surroundings(
        settings,
        lines,
        has_bot=has_bot,
        holds_app=status is not None,
        telegram_offset_s=status["telegram_offset_s"] if status else None,
    )
