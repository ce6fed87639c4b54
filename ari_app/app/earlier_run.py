"""What an earlier run of the program has left to this one: a backup to be restored, and calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ari_app.backups.staging import StagedBackup, put_in_place
from ari_app.calls.journal import JOURNAL, Journal, open_journal
from ari_app.calls.left_calls import LeftCalls, read_left
from media.held import Held, held

HOLD_S = 120.0
"""For the database to be opened while calls that were left wait; then each ends after `orphan_s` of [media]."""


@dataclass(frozen=True)
class EarlierRun:
    """``restored``: the backup that is in place now. ``media_held``: who talks, until they are let go."""

    restored: StagedBackup | None
    journal: Journal
    left: LeftCalls
    media_held: Held


@contextmanager
def take_over(state_dir: Path) -> Iterator[EarlierRun]:
    """Before the database is opened: where an upgrade changes large tables, who talks is not to be cut off meanwhile.

    The journal is closed after it: the database's last writes empty it.
    """
    restored = put_in_place(state_dir)
    with open_journal(state_dir / JOURNAL) as journal:
        left = read_left(journal)
        with held(left.media_sockets()) as media_held:
            asyncio.get_running_loop().call_later(HOLD_S, media_held.let_go)
            yield EarlierRun(restored, journal, left, media_held)
