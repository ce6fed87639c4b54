"""Asterisk is away during a call: the call ends, unless its audio comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.events import CONNECTED
from ari_app.calls.away import asterisk_away
from ari_app.calls.call import Call
from ari_app.calls.events import AsteriskAwayWithAudio
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.reasons import AsteriskAway
from media.types import MediaError, MediaStats

from .fake_ari import WAIT_S, FakeAri, connected, eventually, fake_ari

AWAY_S = 0.05
LONG_S = 0.5
"""Enough for a busy machine to connect again meanwhile."""


class Audio:
    """In the media process's place: how long Asterisk has been quiet; None is an error."""

    def __init__(self, quiet_s: float | None, transport: str | None = "rtp") -> None:
        self.quiet_s = quiet_s
        self.transport = transport
        self.asked = 0

    async def stats(self) -> MediaStats:
        self.asked += 1
        if self.quiet_s is None:
            raise MediaError("it does not answer")
        return MediaStats(transport=self.transport, quiet_ms=int(self.quiet_s * 1000))


@asynccontextmanager
async def watched(
    audio: Audio | None, away_s: float = AWAY_S
) -> AsyncIterator[tuple[FakeAri, AriClient, Call, asyncio.Task[Ending]]]:
    """A call of a client that has just lost its Asterisk."""
    call = Call("id", Direction.IN, "+79990000001", "7")
    call.audio = audio  # type: ignore[assignment]
    async with fake_ari() as fake, connected(fake) as client:
        ending = asyncio.create_task(asterisk_away(call, client, away_s))
        fake.no_events = True
        await fake.cut()
        try:
            yield fake, client, call, ending
        finally:
            ending.cancel()


@pytest.mark.parametrize(
    "audio",
    [None, Audio(0.0, transport=None), Audio(AWAY_S), Audio(None)],
    ids=["no audio yet", "no way to Asterisk yet", "quiet", "the media process does not answer"],
)
async def test_a_call_without_asterisk_ends(audio: Audio | None) -> None:
    async with watched(audio) as (_, _, call, ending), asyncio.timeout(WAIT_S):
        assert (await ending).reason == AsteriskAway(AWAY_S)
        assert (await ending).status is Status.ERROR
        assert call.events == []


async def test_a_call_whose_audio_comes_goes_on_until_it_stops() -> None:
    audio = Audio(AWAY_S / 2)
    async with watched(audio) as (_, _, call, ending), asyncio.timeout(WAIT_S):
        await eventually(lambda: audio.asked >= 5)
        assert not ending.done()
        assert [each.event for each in call.events] == [AsteriskAwayWithAudio()]
        audio.quiet_s = AWAY_S
        await ending


async def test_an_asterisk_that_comes_back_in_time_ends_nothing() -> None:
    async with watched(None, LONG_S) as (fake, client, _, ending), client.subscribe() as its, asyncio.timeout(WAIT_S):
        fake.no_events = False
        await its.next(CONNECTED)
        await asyncio.sleep(1.2 * LONG_S)
        assert not ending.done()


async def test_it_counts_anew_when_asterisk_goes_again() -> None:
    audio = Audio(0.0)
    async with watched(audio) as (fake, client, call, ending), client.subscribe() as its, asyncio.timeout(WAIT_S):
        await eventually(lambda: bool(call.events))
        fake.no_events = False
        await its.next(CONNECTED)
        audio.quiet_s = 100.0  # its side is silent
        await asyncio.sleep(2 * AWAY_S)
        assert not ending.done()
        fake.no_events = True
        await fake.cut()
        await ending
