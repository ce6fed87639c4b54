"""Which lines a list shows: all of it stands in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from ari_app.web.calls.filter import LONGEST_TEXT, one_of, page_number

STATES = ("red", "orange", "green")
"""Of a line: the worst of its lights, and so the order in which they ask for somebody."""


@dataclass(frozen=True)
class LineFilter:
    """What was chosen; ``page`` counts from 1."""

    text: str = ""
    state: str = ""
    page: int = 1

    @classmethod
    def of(cls, address: Mapping[str, str]) -> "LineFilter":
        """From an address's query; raises Refused."""
        given = {name: value.strip() for name, value in address.items()}
        return cls(
            text="".join(filter(str.isprintable, given.get("q", "")))[:LONGEST_TEXT],
            state=one_of(given.get("state", ""), STATES),
            page=page_number(given.get("page", "")),
        )

    def finds(self, number: str, name: str) -> bool:
        """Whether a line has the text in its name or number."""
        wanted = self.text.casefold()
        return wanted in name.casefold() or wanted in number

    def address(self, path: str, **changes: Any) -> str:
        """A path with what was chosen, some of it changed."""
        its = replace(self, **changes)
        given = {"q": its.text, "state": its.state, "page": str(its.page) if its.page > 1 else ""}
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{path}?{query}" if query else path
