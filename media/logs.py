"""How log entries are written, by the controller and by media processes: in plain text, or a JSON object a line.

What an entry is about is known from the logger that wrote it (`ari_app.logs`), or from the work that it was written in
(`about`): a call's tasks are about that call, whichever module they are in.

Masked, an entry tells people apart, and not who they are: what looks like a phone number, a Telegram id or a username
is shortened wherever it stands, in a traceback, too. The line that an entry is about is not masked.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

LogFormat = Literal["plain", "json"]
MASKED = "mask"
"""Stands behind the format, among a program's arguments, where entries are masked."""


@dataclass(frozen=True, slots=True)
class LogStyle:
    """How entries are written; ``mask``: without the numbers and usernames of people."""

    format: LogFormat = "plain"
    mask: bool = False

    @property
    def arguments(self) -> list[str]:
        """For a program of its own."""
        return [self.format, *([MASKED] if self.mask else [])]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "LogStyle":
        """What `arguments` gave."""
        return cls("json" if "json" in arguments else "plain", MASKED in arguments)


NUMBER = re.compile(
    r"(?<!line )(?:(?<![\w.])\+[0-9]{7,15}(?![0-9])"  # with a plus
    r"|(?<![\w.+-])[0-9]{8,15}(?!\w|\.[0-9]|\.(?:\w+\.)?session)"  # without, or an id; no time, no file of a line's
    r"|(?<!\w)(?:@|tg#)[A-Za-z]\w{3,31})"  # a username
)
SHOWN = 2  # characters at each end; of a username none at its end


def masked(text: str, own: str = "") -> str:
    """A text without numbers and usernames but ``own``, a line's number."""
    kept = {own, own.removeprefix("+")}

    def mask(found: re.Match[str]) -> str:
        whole = found[0]
        if whole in kept:
            return whole
        end = "" if whole[0] in "@t" else whole[-SHOWN:]
        return f"{whole[:SHOWN]}***{end}"

    return NUMBER.sub(mask, text)


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


class _Formatter(logging.Formatter):
    def __init__(self, plain: str | None = None, *, mask: bool = False) -> None:
        super().__init__(plain)
        self._mask = mask

    def _said(self, text: str, about: Mapping[str, str]) -> str:
        return masked(text, about.get("line", "")) if self._mask else text

    def formatException(self, ei: Any) -> str:
        """Its traceback."""
        return self._said(super().formatException(ei), {})

    def formatStack(self, stack_info: str) -> str:
        """Where it was written."""
        return self._said(super().formatStack(stack_info), {})


class PlainFormatter(_Formatter):
    """Text, one line an entry; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """As text; not with the traceback as another formatter has left it in the record."""
        kept, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = kept

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Its line or call goes in front, unless its own words name them."""
        about = named(record)
        said = self._said(record.message, about)
        missing = [f"{name} {its}: " for name, its in about.items() if name in PREFIXED and its not in said]
        record.message = "".join([*missing, said.replace("\n", "\\n")])
        return super().formatMessage(record)


class JsonFormatter(_Formatter):
    """One JSON object a line: ``time`` (ISO 8601 with its zone), ``level``, ``logger``, ``message``.

    With what it is about, and ``exception``, the whole traceback as one text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """As such a line."""
        about = named(record)
        fields = {
            "time": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._said(record.getMessage(), about),
            **about,
        }
        traceback = [
            self.formatException(record.exc_info) if record.exc_info else "",
            self.formatStack(record.stack_info) if record.stack_info else "",
        ]
        if any(traceback):
            fields["exception"] = "\n".join(filter(None, traceback))
        return json.dumps(fields, ensure_ascii=False)


def formatter(style: LogStyle, plain: str) -> logging.Formatter:
    """What writes entries in a style; ``plain``: how text looks."""
    return JsonFormatter(mask=style.mask) if style.format == "json" else PlainFormatter(plain, mask=style.mask)
