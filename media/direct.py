"""ntgcalls without asyncio: a frame is sent in whichever thread has it.

ntgcalls' methods hand their work to the running event loop's executor, and return its future. For 10 ms of sound that
is a thread hop, and the event loop is woken twice. A stand-in for the loop, whose executor is the caller, has the work
done there and then; what ntgcalls raises is raised here.

This leans on `asyncio.events._set_running_loop`, which is asyncio's own affair, and on what ntgcalls asks of a loop. So
it is tried before it is used.
"""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

import ntgcalls

T = TypeVar("T")


class _Caller:
    """All that ntgcalls asks of a running loop."""

    def run_in_executor(self, _executor: object, work: Callable[..., T], *arguments: Any) -> T:
        """Do it now."""
        return work(*arguments)


_CALLER: Any = _Caller()


def at_once(method: Callable[..., Any], *arguments: Any) -> Any:
    """What a method of ntgcalls' would make a future of. Raises what ntgcalls raises."""
    running = asyncio.events._get_running_loop()
    asyncio.events._set_running_loop(_CALLER)
    try:
        return method(*arguments)
    finally:
        asyncio.events._set_running_loop(running)


def stay() -> None:
    """Have all that the calling thread does with ntgcalls done at once, from now on; it is a thread of ntgcalls'."""
    keep_thread()
    asyncio.events._set_running_loop(_CALLER)


def keep_thread() -> None:
    """Keep what Python knows of the calling thread, which is a thread of ntgcalls', until the process ends.

    Python would make it anew for each callback, with memory for its frames, and give all of it back at the callback's
    end: a tenth of what a call costs. A reference more than there are callbacks keeps it (docs.python.org/3/c-api,
    PyGILState_Ensure).
    """
    ctypes.pythonapi.PyGILState_Ensure()


def works(native: Any) -> bool:
    """Whether this Python and this ntgcalls go along: sending to a call that ``native`` does not have fails at once."""
    frame = ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0)
    try:
        at_once(native.send_external_frame, 0, ntgcalls.StreamDevice.MICROPHONE, b"", frame)
    except ntgcalls.ConnectionNotFound:
        return True
    except Exception:  # noqa: BLE001 - whatever it is, it is another one than expected
        return False
    return False
