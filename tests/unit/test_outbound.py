"""How long an outgoing call may ring, and what of it a caller can do without; the rest is heard in e2e tests."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from telethon.tl import types

from ari_app.asterisk.errors import AriError, AriFailed, AriTimeout, LegEnded
from ari_app.asterisk.hangup import Hangup
from ari_app.calls.audio import AudioSettings
from ari_app.calls.call import Call
from ari_app.calls.callback import Agent
from ari_app.calls.cdr import OutgoingRow
from ari_app.calls.outbound import RING_OUT_S, CallingChannel, place_call
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.reasons import NotAnswered
from ari_app.calls.request import Route
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.telegram.peers import Callee, Destination, Person
from media.types import AriLogin

PASSES_S = 5.0


class Unanswered:
    """A call that the person never takes, and whose end Telegram never tells."""

    id, access_hash, peer_id, date = 1, 2, 20, 0.0

    def __init__(self) -> None:
        self.may_ring_s = 0.0
        self.told: list[Any] = []

    async def ringing(self) -> None:
        """It rings at once."""

    async def accepted(self, timeout_s: float) -> None:
        self.may_ring_s = timeout_s
        raise TimeoutError

    async def discarded(self) -> None:
        await asyncio.Event().wait()

    async def discard(self, reason: Any, duration_s: int) -> None:
        self.told.append(reason)


class Party:
    """Who dialled."""

    leg = SimpleNamespace(id="1700.1")

    def call_requested(self) -> None:
        """The person has been asked."""

    async def ringing(self) -> None:
        """The person's app rings."""


CODECS: Any = SimpleNamespace(best=None)


class Pool:
    """Media processes without media."""

    @asynccontextmanager
    async def process(self, call_id: str, ari: AriLogin | None = None) -> AsyncIterator[Any]:
        yield SimpleNamespace(lost=asyncio.Event().wait, in_asterisk=AsyncMock(), pid=0, started=0, path="", messages=1)


class Phone:
    """The line's calls."""

    def __init__(self, call: Unanswered) -> None:
        self.answer = call

    @asynccontextmanager
    async def call(self, peer: Any, keys: Any) -> AsyncIterator[Unanswered]:
        yield self.answer


async def call_that_rings(line: Any, ring_s: float) -> Ending:
    call = Call("1", Direction.OUT, "+79990000001", "@anna")
    settings = AudioSettings(Pool(), CODECS, "rtp", "127.0.0.1", 5.0, 8.0)  # type: ignore[arg-type]
    resources = CallResources(None, settings, ring_s)  # type: ignore[arg-type]
    callee = Callee(Person(20), types.InputPeerUser(20, 1))
    dialled = Destination.parse("@anna", "")
    async with asyncio.timeout(PASSES_S):
        scope = CallScope(call)
        await scope.run(place_call(scope, line, dialled, callee, Party(), resources, ring_s))  # type: ignore[arg-type]
    assert call.ending is not None
    return call.ending


@pytest.mark.parametrize(("asked_s", "may_s"), [(30.0, 30.0), (86400.0, RING_OUT_S), (math.inf, RING_OUT_S)])
async def test_it_rings_for_a_bounded_time_whatever_the_dialplan_asks_for(asked_s: float, may_s: float) -> None:
    unanswered = Unanswered()
    ending = await call_that_rings(Phone(unanswered), asked_s)
    assert unanswered.may_ring_s == may_s
    assert (ending.status, ending.reason) == (Status.NOANSWER, NotAnswered(may_s))
    assert unanswered.told == [ending.discard]


class RefusingLeg:
    """A channel for which Asterisk does nothing but what ``does`` names."""

    id = "1700.1"
    channel = SimpleNamespace(name="PJSIP/101-00000001")

    def __init__(self, error: AriError, *does: str) -> None:
        self._error = error
        self._does = does
        self.asked: list[str] = []

    async def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what not in self._does:
            raise self._error

    async def ring(self) -> None:
        await self._ask("ring")

    async def set_variables(self, variables: dict[str, str]) -> None:
        await self._ask(", ".join(variables))

    async def answer(self) -> None:
        await self._ask("answer")

    async def noticing_the_end(self, request: Any) -> None:
        await self._ask(request.__name__)


FAILED = AriFailed("POST /channels/1700.1/ring: Asterisk answered 503", status=503)

ANSWERED = (
    "TELEGRAM_CAUSE, TELEGRAM_STATUS, "
    "ARRAY(CDR(telegram_direction),CDR(telegram_line),CDR(telegram_id),CDR(telegram_status),CDR(telegram_call))"
)


def calling_channel(leg: Any) -> CallingChannel:
    return CallingChannel(Route.__new__(Route), leg, OutgoingRow(leg))


async def test_a_call_goes_on_though_its_caller_can_not_hear_it_ring() -> None:
    leg: Any = RefusingLeg(FAILED, "answer")
    party = calling_channel(leg)
    await party.ringing()
    await party.connected()
    assert leg.asked == ["ring", ANSWERED, "answer"]


async def test_a_call_back_goes_on_though_its_agent_can_not_hear_it_ring() -> None:
    leg: Any = RefusingLeg(AriTimeout("POST /channels/1700.1/ring: no answer within 5 s"))
    agent = Agent(leg)
    await agent.ringing()
    await agent.connected()
    assert leg.asked == ["ring", "ringStop"]


async def test_an_answer_that_asterisk_refuses_ends_the_call() -> None:
    leg: Any = RefusingLeg(FAILED)
    with pytest.raises(AriFailed):
        await calling_channel(leg).connected()


async def test_a_caller_who_is_gone_is_noticed_by_whatever_is_asked_of_the_channel() -> None:
    leg: Any = RefusingLeg(LegEnded("channel ended", Hangup.with_cause(16)))
    for asked in (calling_channel(leg), Agent(leg)):
        with pytest.raises(LegEnded):
            await asked.ringing()
