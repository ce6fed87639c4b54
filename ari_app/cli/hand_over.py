"""The program ends, and its calls do not: what talks is left to its next run, as if this one had been killed.

That is the one way in which calls get from one run to another, so that a kill is nothing special. Before it, here, all
else is brought to its end.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

from ari_app.app import HandedOver
from ari_app.store.store import FLUSH_S

CONNECTING_S = 8.0
"""For calls in which both parties have just answered: `connect_s` of [calls] is 5 s, and the key is agreed on before.
With what follows it is less than TimeoutStopSec= of scripts/systemd/astergram.service."""
KEYPADS_S = 2.0
"""For the keypads of calls that have ended to be removed, which takes milliseconds; the next start removes others."""

log = logging.getLogger(__name__)


async def prepare(its: HandedOver) -> int:
    """Take no more calls, stop those that ring, and have all written; how many are handed over."""
    registry = its.registry
    registry.drain.begin(len(registry.live()))
    await registry.stop_unconnected(CONNECTING_S)
    with suppress(TimeoutError):
        async with asyncio.timeout(KEYPADS_S):
            await its.keypads.wait_hidden()
    if its.ami:
        await its.ami.sent()
    await its.store.queue.flush(FLUSH_S)
    return len(registry.live())


def leave(status: int = 0) -> NoReturn:
    """End this process at once: whatever is open is closed by the kernel, and nobody hangs up."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


@asynccontextmanager
async def handing_over_on_failure(its: HandedOver, tell: Callable[[Exception], int]) -> AsyncIterator[None]:
    """A run that fails leaves its calls to the next one, in place of ending them with it.

    ``tell`` says what has failed, and returns the exit status.
    """
    try:
        yield
    except Exception as error:
        if not its.registry.calls:
            raise
        status = tell(error)
        log.info("calls that go on, for the next start: %d", await prepare(its))
        leave(status)
