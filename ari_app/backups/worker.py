"""A process of its own for the work of a backup, which takes memory and seconds of a processor: `run` starts it.

It reads one JSON object from standard input, so that the passphrase stands on no command line, and answers with one.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ari_app.backups.archive import BackupError, PassphraseWrong, back_up
from ari_app.backups.staging import stage
from ari_app.os_words import in_words

WORK_S = 1800.0
"""For a backup of some GB on a slow machine."""
NICE = 10
"""Calls come first."""
CLEAN_UP_S = 5.0
BACK_UP, STAGE = "back up", "stage"


async def run(work: Mapping[str, Any], within_s: float = WORK_S) -> dict[str, Any]:
    """Have something done; its answer. Raises BackupError; PassphraseWrong."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "ari_app.backups.worker")
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as failed:
        raise BackupError(f"no process can be started: {in_words(failed)}") from None
    try:
        async with asyncio.timeout(within_s):
            answer, said = await process.communicate(json.dumps(work).encode())
    except TimeoutError:
        raise BackupError(f"it was not done within {within_s:g} s") from None
    finally:
        await _ended(process)
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise BackupError(f"its process ended with status {process.returncode}: {last[:200]}") from None
    if error := found.get("error"):
        raise (PassphraseWrong if found.get("passphrase") else BackupError)(error)
    return found


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let it remove what it has begun, which has secrets in it."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(CLEAN_UP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _terminated(*_: object) -> None:
    raise SystemExit(1)


def main() -> None:
    """Do what is asked for."""
    signal.signal(signal.SIGTERM, _terminated)
    os.nice(NICE)
    work = json.load(sys.stdin)
    folder, file, passphrase = Path(work["folder"]), Path(work["file"]), work["passphrase"]
    try:
        if work["do"] == BACK_UP:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            answer: dict[str, Any] = {"sessions": back_up(folder, file, passphrase)}
        else:
            answer = {"sessions": stage(folder, file, passphrase, work["at"], work.get("by")).sessions}
    except BackupError as error:
        answer = {"error": str(error), "passphrase": isinstance(error, PassphraseWrong)}
    except OSError as error:
        answer = {"error": in_words(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
