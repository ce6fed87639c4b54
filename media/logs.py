"""How log entries are written, by the controller and by media processes: in plain text, or a JSON object a line.

What an entry is about is known from the logger that wrote it (`ari_app.logs`), or from the work that it was written in
(`about`): a call's tasks are about that call, whichever module they are in.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Literal

LogFormat = Literal["plain", "json"]

NAMES = ("line", "call", "telegram_call")
"""What an entry may be about: a line's number, a call's id, and the id that Telegram has for it."""
PREFIXED = NAMES[:2]
_about: ContextVar[Callable[[], Mapping[str, str]]] = ContextVar("about", default=dict)


@contextmanager
def about(names: Callable[[], Mapping[str, str]]) -> Iterator[None]:
    """Inside, and in tasks that are begun there, entries are about these; asked for with each entry."""
    token = _about.set(names)
    try:
        yield
    finally:
        _about.reset(token)


def named(record: logging.LogRecord) -> dict[str, str]:
    """What an entry is about, as far as that is known; to be asked where it was written."""
    known = {**_about.get()(), **{name: str(record.__dict__[name]) for name in NAMES if name in record.__dict__}}
    return {name: known[name] for name in NAMES if known.get(name)}


class PlainFormatter(logging.Formatter):
    """Text, one line an entry; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Its line or call goes in front, unless its own words name them."""
        said = record.message
        missing = [f"{name} {its}: " for name, its in named(record).items() if name in PREFIXED and its not in said]
        record.message = "".join([*missing, said.replace("\n", "\\n")])
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (ISO 8601 with its zone), ``level``, ``logger``, ``message``.

    With what it is about, and ``exception``, the whole traceback as one text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """As such a line."""
        fields = {
            "time": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **named(record),
        }
        traceback = [
            self.formatException(record.exc_info) if record.exc_info else "",
            self.formatStack(record.stack_info) if record.stack_info else "",
        ]
        if any(traceback):
            fields["exception"] = "\n".join(filter(None, traceback))
        return json.dumps(fields, ensure_ascii=False)


def formatter(of: LogFormat, plain: str) -> logging.Formatter:
    """What writes entries in a format; ``plain``: how text looks."""
    return JsonFormatter() if of == "json" else PlainFormatter(plain)
