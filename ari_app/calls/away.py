"""Asterisk is away during a call: the call ends, unless its audio shows that only ARI is."""

import asyncio
import logging
from contextlib import suppress

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.events import AsteriskAwayWithAudio
from ari_app.calls.outcome import Ending
from ari_app.logs import call_log
from media.types import MediaError

log = logging.getLogger(__name__)


async def asterisk_away(call: Call, ari: AriClient, away_s: float) -> Ending:
    """Return when ARI has been away for so long, and no audio has come from Asterisk for so long either.

    Over RTP Asterisk sends nothing while its side is silent, so missing audio is no sign before that.
    """
    while True:
        await ari.away(away_s)
        told = False
        while ari.state is not ConnectionState.CONNECTED:
            quiet_s = await _quiet_s(call)
            if quiet_s is None or quiet_s >= away_s:
                return outcome.asterisk_away(away_s, call.talking)
            if not told:
                told = True
                call.add_event(AsteriskAwayWithAudio())
            with suppress(TimeoutError):
                async with asyncio.timeout(away_s - quiet_s):
                    await ari.wait_state(ConnectionState.CONNECTED)


async def _quiet_s(call: Call) -> float | None:
    """How long nothing has come from Asterisk; None where there is no audio between it and the call."""
    if call.audio is None:
        return None
    try:
        stats = await call.audio.stats()
    except MediaError as error:
        call_log(log, call.id).info("its audio does not say whether Asterisk is there: %s", error)
        return None
    return stats.quiet_ms / 1000 if stats.transport else None
