"""The lines as they are kept, for whoever needs their settings without putting them to work."""

import logging

from ari_app.lines.settings import LineSettings
from ari_app.store.lines import LineRepository
from ari_app.store.store import Store

log = logging.getLogger(__name__)


async def load_lines(store: Store) -> list[LineSettings]:
    """The settings of every line, the oldest first; one that can't be read is left out, and the log says so."""
    lines = []
    for number, settings in (await LineRepository(store).all()).items():
        try:
            lines.append(LineSettings.model_validate_json(settings))
        except ValueError as error:
            log.error(  # noqa: TRY400 - the administrator needs the sentence
                "line %s is left out, what is kept of it can't be read: %s", number, error
            )
    return lines
