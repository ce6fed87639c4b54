"""What the demo prints: steps with their times, bars for what takes long; plain lines where nobody looks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ari_app.sandbox import debian
from ari_app.sandbox.demo.report import Step

PLAIN_WIDTH = 200
"""A pipe has no width: nothing is wrapped."""
BAR_STEP_S = 0.1


class Show:
    """Prints, and keeps every step that it printed; times count from its making."""

    def __init__(self) -> None:
        terminal = Console().is_terminal
        self.console = Console(highlight=False, width=None if terminal else PLAIN_WIDTH)
        self.plain = not terminal
        self.steps: list[Step] = []
        self._began = time.monotonic()

    def say(self, text: str = "") -> None:
        """A line that is no step; console markup is taken as text."""
        self.console.print(escape(text), soft_wrap=True)

    def heading(self, text: str) -> None:
        """What the next steps are about."""
        self.console.print()
        self.console.print(f"[bold]{escape(text)}[/]", soft_wrap=True)

    def step(self, name: str, text: str, ok: bool = True) -> None:
        """A step has been made, or (not ``ok``) was not possible."""
        at_s = time.monotonic() - self._began
        self.steps.append(Step(name, ok, round(at_s, 3)))
        line = f"[dim]{at_s:7.2f} s[/]  "
        line += escape(text) if ok else f"[red]FAILED[/] {escape(text)}"
        self.console.print(line, soft_wrap=True)

    async def talk(self, text: str, seconds: float) -> None:
        """Let time pass, with a bar on a terminal."""
        with self._bar() as bar:
            task = bar.add_task(escape(text), total=seconds)
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                await asyncio.sleep(min(left, BAR_STEP_S))
                bar.update(task, completed=seconds - left)

    @contextmanager
    def unpacking(self) -> Iterator[debian.Report]:
        """Give a report for `debian.unpack` (called in a thread) that shows a bar, or a line for each phase."""
        lock, tasks, phases = threading.Lock(), dict[str, TaskID](), dict[str, str]()
        with self._bar() as bar:

            def report(progress: debian.Progress) -> None:
                with lock:
                    text = f"{progress.tree}: {progress.phase}"
                    if self.plain and phases.get(progress.tree) != progress.phase:
                        self.say(f"           {text}")
                    phases[progress.tree] = progress.phase
                    if progress.tree not in tasks:
                        tasks[progress.tree] = bar.add_task(text)
                    bar.update(
                        tasks[progress.tree],
                        description=text,
                        total=None if progress.fraction is None else 1.0,
                        completed=progress.fraction or 0.0,
                    )

            yield report

    def _bar(self) -> Progress:
        columns = (TextColumn("           {task.description}"), BarColumn(30), TimeRemainingColumn())
        return Progress(*columns, console=self.console, transient=True, disable=self.plain)
