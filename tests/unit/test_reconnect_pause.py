"""Connections that break as soon as they are made. By virtual time."""

import asyncio
from itertools import pairwise

from ari_app.telegram.connection import PAUSE, SHORT_S, ReconnectPause
from tests.fast_time import run


def test_pauses_grow_and_are_over_once_a_connection_lasts() -> None:
    async def scene() -> None:
        loop, pause, made_at = asyncio.get_running_loop(), ReconnectPause(), []
        for lasts_s in [0.0] * 7 + [SHORT_S, 0.0, 0.0]:
            await pause.wait()
            pause.made()
            made_at.append(loop.time())
            await asyncio.sleep(lasts_s)
        pauses = [round(later - before, 2) for before, later in pairwise(made_at)]
        assert pauses == [0.0, 0.25, 0.5, 1.0, 2.0, PAUSE.last_s, PAUSE.last_s, SHORT_S, 0.0]

    run(scene)


def test_one_that_could_not_be_made_is_paused_for_by_telethon() -> None:
    async def scene() -> None:
        loop, pause = asyncio.get_running_loop(), ReconnectPause()
        began_at = loop.time()
        for _ in range(5):
            await pause.wait()
        assert round(loop.time() - began_at, 2) == 0.0

    run(scene)
