"""The commands that need no running program: `astergram doctor`, `dialplan`, `backup` and `restore`."""

import argparse
import asyncio
import os
import sqlite3
import sys
import time
from pathlib import Path

from ari_app import backup
from ari_app.asterisk.errors import AriError
from ari_app.cli.dialplan import dialplan
from ari_app.cli.installation import read_installation
from ari_app.cli.terminal import console, show_json
from ari_app.config import Settings
from ari_app.doctor import Doctor, Grade, as_json, print_report
from ari_app.doctor.dialplan_files import FilesError
from ari_app.lines.settings import LineError
from ari_app.reports.audit import COMMAND_LINE, entry
from ari_app.state_folder import StateHeld
from ari_app.store.audit import add_at_once
from ari_app.store.store import StoreError

FAILURES: tuple[type[Exception], ...] = (AriError, FilesError, LineError, StateHeld, StoreError, backup.BackupError)


async def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """`astergram doctor`; returns 1 where there is a problem."""
    here = await read_installation(settings)
    findings = await Doctor(lambda: here).examine()
    if not options.json:
        with console() as where:
            return print_report(findings, where)
    problems = sum(each.grade is Grade.PROBLEM for each in findings)
    show_json({"problems": problems, "findings": [as_json(each) for each in findings]})
    return int(problems > 0)


async def back_up(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram backup FILE`."""
    sessions = await asyncio.to_thread(backup.back_up, settings, options.file)
    await asyncio.to_thread(_recorded, settings, "backup made", options.file)
    print(f"{options.file}: the database and {sessions} sessions; keep it as safe as a password")


async def restore(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram restore FILE`."""
    sessions = await asyncio.to_thread(backup.restore, settings, options.file, replace=options.replace)
    await asyncio.to_thread(_recorded, settings, "backup restored", options.file)
    if options.replace:
        print(f"what was there is in {settings.state_dir / backup.BEFORE}; delete it when all is well")
    if os.geteuid() == 0 and settings.state_dir.stat().st_uid == 0:
        print(f"it belongs to root, as {settings.state_dir} does: give both to the user that Astergram runs as")
    print(
        f"restored, with {sessions} sessions. Never start it while another installation uses the same sessions: "
        "Telegram would revoke them"
    )


def _recorded(settings: Settings, action: str, file: Path) -> None:
    """Tell the audit log; what was done is done, whether that can be or not."""
    try:
        add_at_once(settings.database, entry(time.time(), COMMAND_LINE, action, file.name))
    except (sqlite3.Error, OSError) as error:
        print(f"astergram: this is not in the audit log: {error}", file=sys.stderr)


COMMANDS = {"doctor": doctor, "dialplan": dialplan, "backup": back_up, "restore": restore}
