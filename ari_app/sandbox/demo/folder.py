"""The demo's folder: made, or taken over from an earlier demo, and held by one demo at a time."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ari_app.sandbox.processes import SandboxError

MARKER = ".astergram-demo"


@contextmanager
def demo_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder; what an earlier demo left in it is deleted. Raises SandboxError or OSError."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if any(folder.iterdir()) and not marker.exists():
        raise SandboxError(f"{folder} holds files that no demo made, and they would be deleted: give another --folder")
    with marker.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(f"another demo is at work in {folder}: stop it, or give another --folder") from None
        for each in folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each != marker:
                each.unlink()
        yield folder
