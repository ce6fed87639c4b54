"""What may call for an administrator, looked at now: the lines' lights and pauses, the disk, the cluster, calls
that fail.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ari_app.alerts.book import NEVER_S, AlertCondition, AlertKind
from ari_app.alerts.settings import AlertSettings
from ari_app.calls.outcome import Status
from ari_app.cluster.control import ClusterControl, servers_away
from ari_app.i18n import Message, message
from ari_app.lines.health import Colour, StatusLight, StatusMonitor
from ari_app.store.alerts import AlertRepository
from ari_app.store.store import Store, StoreUnavailable
from ari_app.telegram.line import Line, LineState

FAILED = (Status.ERROR, Status.UNAVAILABLE, Status.LIMITED)
"""Ends that are nobody's choice: the PBX, Telegram or this machine could not do it."""
MINUTE_S = 60.0
MEGABYTE = 1024 * 1024
DISK_S = 5.0  # a network's file system may hang


@dataclass(frozen=True)
class Situation:
    """What is so now, and what could not be looked at."""

    conditions: tuple[AlertCondition, ...]
    unknown: frozenset[AlertKind] = frozenset()


@dataclass(frozen=True)
class Watch:
    """Looks at all of it. ``folder``: whose disk is looked at; ``free``: gives its free bytes.

    ``backup_trouble``: why the last backup could not be made. ``cluster``: None where this is the only machine.
    """

    lines: Mapping[str, Line]
    statuses: StatusMonitor
    store: Store
    folder: Path
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    backup_trouble: Callable[[], Message | None] = lambda: None
    cluster: ClusterControl | None = None
    # Of its own: where the disk hangs, each look would take one of those that all else needs.
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "disk"), init=False)

    async def look(self, settings: AlertSettings, now: float) -> Situation:
        """Now, a Unix time."""
        conditions = [*of_lines(self.lines, self.statuses, settings)]
        unknown: set[AlertKind] = set()
        if trouble := self.store.queue.trouble:
            conditions.append(AlertCondition(AlertKind.DISK, "database", trouble.sentence))
        if said := self.backup_trouble():
            conditions.append(AlertCondition(AlertKind.BACKUP, "", said))
        if self.cluster:
            conditions += of_cluster(self.cluster, settings)
            if self.cluster.trouble is not None:  # then nothing is heard of the other machines
                unknown.add(AlertKind.CLUSTER)
        try:
            async with asyncio.timeout(DISK_S):
                free = await asyncio.get_running_loop().run_in_executor(self._thread, self.free, self.folder)
            conditions += of_disk(self.folder, free, settings)
        except (OSError, TimeoutError):
            unknown.add(AlertKind.DISK)
        try:
            since = now - settings.failed_minutes * MINUTE_S
            statuses = [each.value for each in FAILED]
            all_calls, failed = await AlertRepository(self.store).calls_since(since, statuses)
            conditions += of_calls(all_calls, failed, settings)
        except StoreUnavailable:
            unknown.add(AlertKind.FAILED_CALLS)
        return Situation(tuple(conditions), frozenset(unknown))


def of_lines(lines: Mapping[str, Line], statuses: StatusMonitor, settings: AlertSettings) -> Iterator[AlertCondition]:
    """Lights, frozen accounts and pauses. What is so for all lines is one condition, not one for each."""
    if lines:
        for name, light in statuses.shared().items():
            yield from _of_light(name, light, light.sentence, settings)
    for number, line in lines.items():
        frozen = line.frozen
        if frozen:
            said = message("{line}: Telegram has frozen the account ({word}).", line=line.name, word=frozen)
            yield AlertCondition(AlertKind.FROZEN, number, said, number)
        for name, light in statuses.of_line(line).items():
            if name == "account" and line.state is LineState.READY:
                continue  # it is frozen or paused, which has an alert of its own
            said = message("{line}: {sentence}", line=line.name, sentence=light.sentence)
            yield from _of_light(f"{number} {name}", light, said, settings, number)
        if not frozen:
            yield from _of_pauses(line, settings)


def _of_light(
    subject: str, light: StatusLight, said: Message, settings: AlertSettings, line: str = ""
) -> Iterator[AlertCondition]:
    """Green is well, grey is a choice."""
    if light.colour is Colour.RED:
        yield AlertCondition(AlertKind.LIGHT, subject, said, line, settings.red_minutes * MINUTE_S)
    elif light.colour is Colour.ORANGE:
        yield AlertCondition(AlertKind.LIGHT, subject, said, line, settings.orange_minutes * MINUTE_S or NEVER_S)


def _of_pauses(line: Line, settings: AlertSettings) -> Iterator[AlertCondition]:
    for request, (seconds, word) in line.pauses.items():
        said = message(
            "{line}: Telegram limits the account ({word}): no {request} for {minutes} min.",
            line=line.name,
            word=word,
            request=request,
            minutes=max(1, round(seconds / MINUTE_S)),
        )
        hold_s = 0.0 if seconds >= settings.pause_minutes * MINUTE_S else NEVER_S  # an alert lasts until its end
        yield AlertCondition(AlertKind.PAUSE, f"{line.number} {request}", said, line.number, hold_s)


def of_cluster(cluster: ClusterControl, settings: AlertSettings) -> Iterator[AlertCondition]:
    """NATS does not answer, or another machine says nothing."""
    hold_s = settings.orange_minutes * MINUTE_S or NEVER_S
    if cluster.trouble is not None:
        yield AlertCondition(AlertKind.CLUSTER, "", servers_away(cluster.trouble), hold_s=hold_s)
        return
    for member, _, is_there in cluster.machines():
        if not is_there:
            said = message(
                "Machine {machine} of the cluster is silent: see whether it runs and reaches NATS, or forget it if it "
                "is gone for good.",
                machine=member.machine,
            )
            yield AlertCondition(AlertKind.CLUSTER, member.machine, said, hold_s=hold_s)


def of_disk(folder: Path, free: int, settings: AlertSettings) -> Iterator[AlertCondition]:
    """So many bytes are free where a folder is."""
    free_mb = free // MEGABYTE
    if free_mb < settings.disk_free_mb:
        said = message("Only {free} MB are free on the disk of {folder}.", free=free_mb, folder=str(folder))
        yield AlertCondition(AlertKind.DISK, "", said)


def of_calls(all_calls: int, failed: int, settings: AlertSettings) -> Iterator[AlertCondition]:
    """Of so many calls within the time, so many have failed."""
    if not settings.failed_percent or failed < settings.failed_calls:
        return
    if failed * 100 >= settings.failed_percent * all_calls:
        minutes = f"{settings.failed_minutes:g}"
        said = message(
            "{failed} of {calls} calls have failed within {minutes} min.",
            failed=failed,
            calls=all_calls,
            minutes=minutes,
        )
        yield AlertCondition(AlertKind.FAILED_CALLS, "", said)
