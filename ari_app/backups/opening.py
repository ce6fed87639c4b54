"""Makes the backups of an installation of its parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ari_app.backups.backups import FOLDER, Backups
from ari_app.backups.settings import BackupSettings
from ari_app.lines.installation import Installation
from ari_app.lines.part_settings import PartSettings
from ari_app.reports.audit import AuditLog
from ari_app.store.store import Store

PART = "backups"


async def open_backups(
    store: Store,
    here: Path,
    folder: Path | None,
    audit: AuditLog,
    installation: Installation,
    *,
    on_change: Callable[[], None],
) -> Backups:
    """As they were set before. ``here`` is the state directory; they are in it without a ``folder`` of their own.

    Raises StoreUnavailable.
    """
    part = PartSettings(store, PART, BackupSettings())
    backups = Backups(
        part, here, folder or here / FOLDER, audit, zone=lambda: installation.settings.zone, on_change=on_change
    )
    await part.load()
    return backups
