"""Measures part after part: one that fails is reported, and the others go on."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from ari_app.sandbox.bench.goals import judged
from ari_app.sandbox.bench.report import Found, Part, Report, shown
from ari_app.sandbox.bench.rig import rig
from ari_app.sandbox.bench.sizes import Sizes
from ari_app.tasks import was_cancelled

REPORT = "report.json"
PART_S = 3600.0
"""No part takes half of it, on a slow machine."""

log = logging.getLogger(__name__)


class Runner:
    """Fills ``report``, shows it on ``console`` and writes it into ``folder``, each time that a part is done."""

    def __init__(self, report: Report, sizes: Sizes, folder: Path, console: Console) -> None:
        self.report = report
        self._sizes = sizes
        self._folder = folder
        self._console = console

    async def measure(self, parts: list[Part]) -> None:
        """All of them, with one rig as long as none fails: with a new one after that."""
        to_do = deque(parts)
        while to_do:
            first = to_do[0]
            try:
                await self._together(to_do, self._folder / first.name)
            except (Exception, asyncio.CancelledError) as error:
                if was_cancelled():
                    raise
                self._failed(to_do.popleft() if to_do else parts[-1], error)

    async def _together(self, to_do: deque[Part], folder: Path) -> None:
        async with rig(folder, self._sizes, self._say) as made:
            while to_do:
                part, began = to_do[0], time.monotonic()
                self._console.print(f"\n[bold]{part.name}[/]: {part.what}")
                self.report.found[part.name] = found = Found()
                async with asyncio.timeout(PART_S):
                    await part.measure(made, found)
                self.report.took_s[part.name] = round(time.monotonic() - began, 1)
                if made.asterisk_version:
                    self.report.context["versions"]["asterisk"] = made.asterisk_version
                self._done(to_do.popleft())

    def _failed(self, part: Part, error: BaseException) -> None:
        log.error("%s failed", part.name, exc_info=error)  # into sandbox.log
        self.report.failed[part.name] = told(error)
        self._console.print(f"[red]{part.name} failed:[/] {escape(told(error))}", soft_wrap=True)
        self._done(part)

    def _done(self, part: Part) -> None:
        """Show and write what it has found, so that it is there whatever becomes of the others."""
        for title, rows in self.report.found[part.name].tables.items():
            self._console.print(shown(title, rows))
        self.write()

    def _say(self, what: str) -> None:
        self._console.print(f"  {escape(what)}", style="dim")

    def write(self) -> dict[str, Any]:
        """Into report.json; gives what was written."""
        written = self.report.as_json()
        (self._folder / REPORT).write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
        return written

    def conclude(self) -> None:
        """Show the goals, and what is missing."""
        written = self.write()
        title = "what was to be reached" + (" (a quick run)" if written["quick"] else "")
        self._console.print()
        self._console.print(shown(title, judged(written)))
        for part in self.report.parts:
            for key in part.keys:
                if part.name in self.report.found and (reason := written["missing"].get(key)):
                    self._console.print(f"{key} is not known: {escape(reason)}", style="dim", soft_wrap=True)
        for name, failure in self.report.failed.items():
            self._console.print(f"[red]{name} failed:[/] {escape(failure)}", soft_wrap=True)
        self._console.print(f"report  {self._folder / REPORT}", soft_wrap=True)


def told(error: BaseException) -> str:
    """What went wrong, without the groups around it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(map(told, error.exceptions)))
    return f"{type(error).__name__}: {error}".removesuffix(": ")
