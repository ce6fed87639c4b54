"""The commands that need no running program: `astergram doctor`, `dialplan`, `backup` and `restore`."""

import argparse
import asyncio
import os
import sqlite3
import sys
import time
from pathlib import Path

from ari_app.asterisk.errors import AriError
from ari_app.backups import archive
from ari_app.backups.archive import BackupError
from ari_app.backups.settings import LEAST_PASSPHRASE
from ari_app.cli.dialplan import dialplan
from ari_app.cli.installation import read_installation
from ari_app.cli.terminal import console, show_json, typed
from ari_app.config import Settings
from ari_app.doctor import Doctor, Grade, as_json, print_report
from ari_app.doctor.dialplan_files import FilesError
from ari_app.lines.settings import LineError
from ari_app.reports.audit import COMMAND_LINE, entry
from ari_app.state_folder import StateHeld
from ari_app.store.audit import add_at_once
from ari_app.store.store import StoreError

KEEP_IT_SAFE = "; keep it as safe as a password"
FAILURES: tuple[type[Exception], ...] = (AriError, FilesError, LineError, StateHeld, StoreError, BackupError)


async def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """`astergram doctor`; returns 1 where there is a problem."""
    here = await read_installation(settings, with_others=True)
    findings = await Doctor(lambda: here).examine()
    if not options.json:
        with console() as where:
            return print_report(findings, where)
    problems = sum(each.grade is Grade.PROBLEM for each in findings)
    show_json({"problems": problems, "findings": [as_json(each) for each in findings]})
    return int(problems > 0)


async def back_up(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram backup FILE`."""
    passphrase = await _passphrase("a passphrase for it: ") if options.encrypt else ""
    if options.encrypt and len(passphrase) < LEAST_PASSPHRASE:
        raise BackupError(f"a passphrase has {LEAST_PASSPHRASE} characters at least; nothing was made")
    sessions = await asyncio.to_thread(archive.back_up, settings.state_dir, options.file, passphrase)
    await asyncio.to_thread(_recorded, settings, "backup made", options.file)
    print(f"{options.file}: the database and {sessions} sessions{'' if passphrase else KEEP_IT_SAFE}")


async def restore(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram restore FILE`."""
    passphrase = await _passphrase("its passphrase: ") if await asyncio.to_thread(_is_encrypted, options.file) else ""
    here = settings.state_dir
    sessions = await asyncio.to_thread(archive.restore, here, options.file, passphrase, replace=options.replace)
    await asyncio.to_thread(_recorded, settings, "backup restored", options.file)
    if options.replace:
        print(f"what was there is in {settings.state_dir / archive.BEFORE}; delete it when all is well")
    if os.geteuid() == 0 and settings.state_dir.stat().st_uid == 0:
        print(f"it belongs to root, as {settings.state_dir} does: give both to the user that Astergram runs as")
    print(
        f"restored, with {sessions} sessions. Never start it while another installation uses the same sessions: "
        "Telegram would revoke them"
    )


async def _passphrase(question: str) -> str:
    return (await typed(question, hidden=True)).strip()


def _is_encrypted(file: Path) -> bool:
    return file.is_file() and archive.is_encrypted(file)


def _recorded(settings: Settings, action: str, file: Path) -> None:
    """Tell the audit log; what was done is done, whether that can be or not."""
    try:
        add_at_once(settings.database, entry(time.time(), COMMAND_LINE, action, file.name))
    except (sqlite3.Error, OSError) as error:
        print(f"astergram: this is not in the audit log: {error}", file=sys.stderr)


COMMANDS = {"doctor": doctor, "dialplan": dialplan, "backup": back_up, "restore": restore}
