"""Log entries that are about a line or a call: each names it, in its text and as a field of its record.

How they are written is in `media.logs`, which media processes have in common with the controller.
"""

import logging
from collections.abc import MutableMapping
from typing import Any


class _About(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, logger: logging.Logger, kind: str, name: str) -> None:
        super().__init__(logger, {kind.replace(" ", "_").lower(): name})
        self._prefix = f"{kind} {name}: "

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return super().process(self._prefix + str(msg), kwargs)


def line_log(logger: logging.Logger, number: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger of entries about a line."""
    return _About(logger, "line", number)


def call_log(logger: logging.Logger, call_id: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger of entries about a call."""
    return _About(logger, "call", call_id)


def telegram_call_log(logger: logging.Logger, call_id: int) -> logging.LoggerAdapter[logging.Logger]:
    """A logger of entries about a call by the id that Telegram has for it."""
    return _About(logger, "Telegram call", str(call_id))
