"""What a command that needs no running program has to know of the installation: configuration, lines, bot."""

import logging
import secrets

from ari_app import api_client
from ari_app.app.configured import installation_defaults
from ari_app.app.other_asterisks import OfferedAsterisk, others_in
from ari_app.cluster.bucket import EngineAway
from ari_app.config import ConfigError, Settings
from ari_app.doctor import Surroundings
from ari_app.lines.installation import Installation
from ari_app.lines.loader import load_lines
from ari_app.store.store import open_store
from ari_app.surroundings import surroundings


async def read_installation(settings: Settings, *, with_others: bool = False) -> Surroundings:
    """Read it from the database, and ask the program what only that knows, if it runs. Raises StoreError, LineError.

    ``with_others``: ask NATS for the other machines of a cluster, too.
    """
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
        other_asterisks=await _other_asterisks(settings) if with_others else {},
    )


async def _other_asterisks(settings: Settings) -> dict[str, OfferedAsterisk]:
    """Of the other machines, as NATS has them; none where it does not answer, which the doctor finds, too."""
    its = settings.cluster
    if its is None or its.secret is None:
        return {}
    try:
        from ari_app.cluster.engine import connected
        from ari_app.cluster.joining import entries
    except ImportError as error:
        raise ConfigError("[cluster] is set, and nats-py is missing: pip install 'astergram[cluster]'") from error
    logging.getLogger("ari_app.cluster").addHandler(logging.NullHandler())  # it tells a program that goes on
    password = its.password.get_secret_value() if its.password else ""
    try:
        async with connected(its.servers, f"doctor-{secrets.token_hex(4)}", its.user, password) as engine:
            found = await entries(engine, "astergram-asterisks")
    except EngineAway:
        return {}
    return others_in(found, its.secret.get_secret_value(), its.machine)
