"""Adds to the configuration file."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from ari_app.config import load
from ari_app.private_file import PART, private_file


@contextmanager
def section_added(file: Path, name: str, section: Mapping[str, Any]) -> Iterator[None]:
    """A section at the end of the file, whose owner, mode and comments stay; it is as it was until the block ends well.

    Inside, what it will be can be loaded. Raises ConfigError where it could not, and OSError.
    """
    path = file.resolve()  # it may be a link
    before, its = path.read_bytes(), path.stat()
    if before and not before.endswith(b"\n"):
        before += b"\n"
    with private_file(path) as target:
        target.write(before + b"\n" + tomli_w.dumps({name: section}).encode())
        target.flush()
        os.fchown(target.fileno(), its.st_uid, its.st_gid)
        os.fchmod(target.fileno(), stat.S_IMODE(its.st_mode))
        load(path.with_name(f"{path.name}{PART}"))
        yield
