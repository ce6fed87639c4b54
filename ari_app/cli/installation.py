"""What a command that needs no running program has to know of the installation: configuration, lines, bot."""

from ari_app import api_client
from ari_app.app.configured import installation_defaults
from ari_app.config import Settings
from ari_app.doctor import Surroundings
from ari_app.lines.installation import Installation
from ari_app.lines.loader import load_lines
from ari_app.store.store import open_store
from ari_app.surroundings import surroundings


async def read_installation(settings: Settings) -> Surroundings:
    """Read it from the database, and ask the program what only that knows, if it runs. Raises StoreError, LineError."""
    lines, installation = [], installation_defaults(settings)
    if settings.database.exists():
        async with open_store(settings.database) as store:
            kept = Installation(store, installation)
            await kept.load()
            lines, installation = await load_lines(store), kept.settings
    status = await api_client.status(settings)
    return surroundings(
        settings,
        lines,
        has_bot=bool(installation.bot_token),
        proxy=installation.way,
        turn=installation.relay,
        holds_app=status is not None,
        telegram_offset_s=status["telegram_offset_s"] if status else None,
    )
