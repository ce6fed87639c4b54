"""The folder of a demo, a soak or a bench: made, or taken over from an earlier one, and held by one at a time."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ari_app.sandbox.processes import SandboxError


@contextmanager
def demo_folder(folder: Path, what: str = "demo") -> Iterator[Path]:
    """Give an empty folder; what an earlier one left in it is deleted. Raises SandboxError or OSError.

    ``what`` it is for: a folder of something else is not taken over.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / f".astergram-{what}"
    if any(folder.iterdir()) and not marker.exists():
        raise SandboxError(
            f"{folder} holds files that no {what} made, and they would be deleted: give another --folder"
        )
    with marker.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(f"another {what} is at work in {folder}: stop it, or give another --folder") from None
        for each in folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each != marker:
                each.unlink()
        yield folder
