"""What the cluster asks of its engine for what is too large for a key's value."""

from __future__ import annotations

from typing import Protocol


class Objects(Protocol):
    """Contents by name; a name is used for one content only. Everything raises EngineAway."""

    async def names(self) -> set[str]:
        """Of all that there are."""

    async def put(self, name: str, content: bytes) -> None:
        """Keep a content; one that is there already is replaced."""

    async def get(self, name: str) -> bytes | None:
        """A content; None where there is none, or it is not whole."""

    async def remove(self, name: str) -> None:
        """Forget a content, if there is one."""
