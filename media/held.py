"""Keeps media processes that an earlier controller has left from ending, while the next one gets ready for them."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from media.sockets import short_address


class Held:
    """Silent connections to their sockets, made by `held`: a process serves one controller at a time."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._connections = ExitStack()
        for path in paths:
            its = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._connections.callback(its.close)
            its.setblocking(False)  # as in `pool`: one that hangs does not accept
            with contextlib.suppress(OSError), short_address(path) as address:
                its.connect(address)

    def let_go(self) -> None:
        """Each waits for its controller again, for as long as it does from the start."""
        self._connections.close()


@contextmanager
def held(paths: Iterable[Path]) -> Iterator[Held]:
    """Keep the processes that listen at these sockets, until they are `let_go`."""
    its = Held(paths)
    try:
        yield its
    finally:
        its.let_go()
