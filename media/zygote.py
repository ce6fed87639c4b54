"""The process that media processes are forked from, with the native libraries already loaded.

It is a program of its own (``python -m media.zygote``), so a media process inherits nothing from the controller: no
secret, no thread, no open file. It is the parent of the media processes, so it is the one to learn how they ended.

On its standard input, a Unix socket, come and go lines of JSON. It begins with ``{"protocol": {...}}``, the fields of
``media.types.EngineProtocol``, for which a start waits, and once it can fork, with ``{"priority": 0, "reason": "..."}``
where the processes' priority (nice) could not be raised. ``{"fork": "/path/of/socket"}`` is answered by
``{"forked": "/path/of/socket", "pid": 12}`` or ``{"failed": "/path/of/socket", "reason": "..."}``; an ended process is
``{"ended": 12, "code": 0}``, where a negative code is a signal as in ``subprocess``. It ends when its controller does;
its media processes go on.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import os
import resource
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from media.logs import LogStyle, formatter
from media.sockets import short_address

log = logging.getLogger(__name__)

PRELOADED = ("numpy", "aiohttp", "ntgcalls", "pydantic", "media.worker")
SOCKET_MODE_MASK = 0o177
PRIORITY = -5
"""nice of media processes: before ordinary programs, because their pauses are heard; behind the system's own."""
REALTIME = 1
"""Their priority in SCHED_RR, the lowest (sched(7)): before all programs that are not real-time ones themselves."""
EXIT_SOFTWARE = 70
"""sysexits.h: an internal error."""


def main(log_style: LogStyle) -> None:
    """Serve the controller until it closes the socket."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(log_style, "media[%(process)d] %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # The terminal's Ctrl-C is the controller's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=sys.stdin.fileno())
    _say(control, {"protocol": _protocol()})
    for name in PRELOADED:
        importlib.import_module(name)
    _rehearse()
    # What is loaded stays shared between the processes if the collector does not touch it (see gc.freeze).
    gc.collect()
    gc.freeze()
    if refused := raise_priority():
        _say(control, refused)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    inherited = (wake_read, wake_write)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    pending = b""
    while True:
        for fd, _ in poll.poll():
            if fd == wake_read:
                os.read(wake_read, 4096)
                _report_ended(control)
                continue
            try:
                data = control.recv(65536)
            except ConnectionError:
                return  # the controller died with something unread
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _fork(control, json.loads(line)["fork"], inherited)


def _rehearse() -> None:
    from media.rehearsal import rehearse

    try:
        # The imports have filled it with thousands of names. Each that a call replaces there is written to, for its
        # reference is counted, and its page is shared no longer.
        sys._clear_type_cache()
        asyncio.run(rehearse())
    except Exception:
        log.warning("calls will need more memory, for their rehearsal failed", exc_info=True)


def raise_priority() -> dict[str, Any] | None:
    """Go before ordinary programs, with all that is forked from here; what to say where that is not allowed.

    In real time only where somebody has allowed just that (RLIMIT_RTPRIO); root is allowed anything.
    """
    if resource.getrlimit(resource.RLIMIT_RTPRIO)[0] >= REALTIME:
        with contextlib.suppress(OSError):  # the machine gives no real time to this control group: nice, then
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME))
            return None
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    if priority > PRIORITY:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        except OSError as error:
            return {"priority": priority, "reason": error.strerror}
    return None


def _protocol() -> dict[str, Any]:
    import ntgcalls

    speaks = ntgcalls.NTgCalls.get_protocol()
    return {
        "min_layer": speaks.min_layer,
        "max_layer": speaks.max_layer,
        "library_versions": list(speaks.library_versions),
    }


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        control.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        raise SystemExit(0) from None  # the controller is gone, and so is everyone who would care


def _report_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say(control, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _fork(control: socket.socket, path: str, inherited: tuple[int, ...]) -> None:
    try:
        listening = _listen(path)
    except OSError as error:
        _say(control, {"failed": path, "reason": str(error)})
        return
    with listening:
        pid = os.fork()
        if pid:
            _say(control, {"forked": path, "pid": pid})
            return
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in inherited:
                os.close(fd)
            # The control socket is standard input: a media process that kept it would keep the zygote's peer alive.
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, sys.stdin.fileno())
            os.close(null)
            from media.worker import run

            run(listening, path)
        except BaseException:  # noqa: BLE001 - nothing may return into the zygote's own loop
            traceback.print_exc()
        os._exit(EXIT_SOFTWARE)


def _listen(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(SOCKET_MODE_MASK)
    try:
        with short_address(Path(path)) as address:
            listening.bind(address)
        listening.listen(1)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(mask)
    return listening


if __name__ == "__main__":
    main(LogStyle.of(sys.argv[1:]))
