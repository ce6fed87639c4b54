"""Large contents in a cluster's engine in memory, and each machine's way to them, which may fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ari_app.cluster.bucket import EngineAway


@dataclass(eq=False)
class WayToObjects:
    """One machine's; ``contents`` are all machines'."""

    contents: dict[str, bytes]
    away: bool = False
    keeps: bool = True
    """What is put; else it is lost, and nobody says so."""
    delay_s: float = 0.01
    asked: list[str] = field(default_factory=list)

    async def names(self) -> set[str]:
        await self._reached("names")
        return set(self.contents)

    async def put(self, name: str, content: bytes) -> None:
        await self._reached(f"put {name}")
        if self.keeps:
            self.contents[name] = content

    async def get(self, name: str) -> bytes | None:
        content = self.contents.get(name)
        await self._reached(f"get {name}")
        return content

    async def remove(self, name: str) -> None:
        await self._reached(f"remove {name}")
        self.contents.pop(name, None)

    async def _reached(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(self.delay_s)
        if self.away:
            raise EngineAway("away")
