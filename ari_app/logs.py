"""Log entries that are about a line or a call: each names it, in its text and as a field of its record."""

import logging
from collections.abc import MutableMapping
from typing import Any


class _About(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, logger: logging.Logger, kind: str, name: str) -> None:
        super().__init__(logger, {kind: name})
        self._prefix = f"{kind} {name}: "

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return super().process(self._prefix + str(msg), kwargs)


def line_log(logger: logging.Logger, number: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger of entries about a line."""
    return _About(logger, "line", number)


def call_log(logger: logging.Logger, call_id: object) -> logging.LoggerAdapter[logging.Logger]:
    """A logger of entries about a call: of ours, or (in `telegram/`) of Telegram's, by its id."""
    return _About(logger, "call", str(call_id))
