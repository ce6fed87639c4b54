"""The sockets of the page and of the API: taken before a start does anything that a taken one would undo."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ari_app.os_words import in_words
from ari_app.web.errors import WebError
from ari_app.web.http.settings import WebSettings
from media.sockets import short_address

SOCKET_MODE_MASK = 0o177


@dataclass(frozen=True)
class ListeningSockets:
    """``page``: where browsers and programs come; ``here``: where this machine's command line does. None: nowhere.

    Whoever comes to ``page`` before it is served waits; at ``here`` nobody answers until then.
    """

    page: socket.socket | None
    here: socket.socket | None


@contextmanager
def listening(settings: WebSettings, socket_path: Path | None = None) -> Iterator[ListeningSockets]:
    """Have the sockets while inside. Raises WebError where an address or the socket is taken.

    ``socket_path``: where the API is, without any password, for whoever may open it; made with mode 0600.
    With ``settings.enabled`` False there is only that.
    """
    with ExitStack() as stack:
        page = stack.enter_context(_page(settings)) if settings.enabled else None
        here = None
        if socket_path:
            here = stack.enter_context(_here(socket_path))
            stack.callback(socket_path.unlink, missing_ok=True)
        yield ListeningSockets(page, here)


def _page(settings: WebSettings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise WebError(
            f"the admin page can't listen at {settings.host}:{settings.port}: {in_words(error)}; "
            "choose another host or port under [web]"
        ) from error


def _here(path: Path) -> socket.socket:
    its = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(SOCKET_MODE_MASK)
    try:
        with short_address(path) as address:
            _check_alone(address, path)
            path.unlink(missing_ok=True)
            its.bind(address)
    except BaseException:
        its.close()
        raise
    finally:
        os.umask(mask)
    return its


def _check_alone(address: str, path: Path) -> None:
    """Raise WebError where somebody listens already; a socket that a killed program left is nobody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return
    raise WebError(f"another Astergram answers at {path}: stop it first")
