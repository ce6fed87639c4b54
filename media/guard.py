"""A guard for tasks that live beside others: what goes wrong in one of them ends that one only."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def guarded(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> bool:
    """Run something; whether it came to its end. What is unexpected is logged, a future's cancellation included."""
    try:
        await work()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        log.exception("%s: what it waited for was cancelled", name)
    except Exception:
        log.exception("%s: unexpected error", name)
    else:
        return True
    return False
