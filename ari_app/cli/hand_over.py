"""The program ends, and its calls do not: what talks is left to its next run, as if this one had been killed.

That is the one way in which calls get from one run to another, so that a kill is nothing special. Before it, here, all
else is brought to its end.
"""

import logging
import os
import sys
from typing import NoReturn

from ari_app.app import Astergram
from ari_app.calls import outcome
from ari_app.store.store import FLUSH_S

log = logging.getLogger(__name__)


async def prepare(app: Astergram) -> int:
    """Take no more calls, end those in which nobody talks yet, and have all written; how many are handed over."""
    registry = app.registry
    registry.drain.begin(len(registry.live()))
    await registry.end_unconnected(outcome.shut_down(talking=False))
    if app.services.ami:
        await app.services.ami.sent()
    await app.services.store.queue.flush(FLUSH_S)
    return len(registry.live())


def leave() -> NoReturn:
    """End this process at once: whatever is open is closed by the kernel, and nobody hangs up."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
