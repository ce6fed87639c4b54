"""Files for their owner alone, whatever the umask is: what leaves the program is as private as what it keeps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ari_app.state_folder import PRIVATE

PART = ".part"
"""What is half written is called so, beside what it will be."""


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of ``path`` once the block has ended well; what is half written goes.

    A device or a pipe is written to as it is. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as target:
            yield target
        return
    part = path.with_name(f"{path.name}{PART}")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, PRIVATE), "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
