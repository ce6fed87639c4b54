"""Caller id for Asterisk, safe against whatever people call themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NOT_IN_NUMBER = re.compile(r"[^0-9A-Za-z+*#._-]")


@dataclass(frozen=True, slots=True)
class CallerId:
    """A name in any script, and a number: digits and ``+``; other characters than ``A-Z a-z * # . _ -`` are dropped.

    ``str()`` gives what Asterisk's ast_callerid_parse() reads: ``"name" <number>``, with backslashes before quotes and
    backslashes in the name, and a space for each control character, which would otherwise reach SIP headers.
    """

    name: str
    number: str

    @property
    def safe_name(self) -> str:
        """For CALLERID(name)."""
        return "".join(character if character.isprintable() else " " for character in self.name).strip()

    @property
    def safe_number(self) -> str:
        """For CALLERID(num)."""
        return _NOT_IN_NUMBER.sub("", self.number)

    def __str__(self) -> str:
        quoted = self.safe_name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.safe_number}>'
