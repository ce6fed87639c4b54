"""What ten people and phones do who call each other, each at random, and how each call was for them."""

import asyncio
import os
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from telethon import errors

from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import LINE
from ari_app.telegram.phone import DiscardReason
from tests.survival.test_ten_calls import Ten

SEED = os.environ.get("SURVIVAL_SEED") or f"{time.time_ns()}"
RINGS_S = (0, 2)
"""Before the dialplan answers a caller, whole seconds."""
PATIENT_S = (0.5, 8.0)
"""How long somebody waits for the other side, and then gives up."""
TALKS_S = (0.5, 8.0)
ENDS_S = 60.0
"""Until the end of a call is everywhere: the program is started several times meanwhile, on a machine without time."""
BY_PERSON = ("Ended on Telegram: hung up.",)
BY_PHONE = ("Ended by the PBX (cause 16).", "The PBX hung up while Astergram was not running.")


def choosing(for_whom: str = "") -> random.Random:
    """The same choices for the same seed."""
    return random.Random(f"{SEED} {for_whom}")  # noqa: S311 - no secret


@dataclass
class Attempt:
    """A call, as those who take part in it saw it; Unix times."""

    person: str
    began_at: float = field(default_factory=time.time)
    connected_at: float = 0.0
    over_at: float = 0.0
    endings: tuple[str, ...] = ()
    """What the history may call its end; empty where neither side has ended it."""

    def __str__(self) -> str:
        talked = f"connected at {self.connected_at:.1f}" if self.connected_at else "not connected"
        return f"{self.person} from {self.began_at:.1f} to {self.over_at:.1f}, {talked}, {self.endings or 'cut'}"


class Actors:
    """What each of the ten does, one call after the other, until it is enough."""

    def __init__(self, them: Ten) -> None:
        self.attempts: list[Attempt] = []
        self.enough = asyncio.Event()
        self._them = them

    async def calls_in(self, person: Person, choice: random.Random) -> None:
        """A person calls the line."""
        while not self.enough.is_set():
            self.attempts.append(attempt := Attempt(person.phone))
            call = await person.call(LINE)
            talking = call.confirm(self._them.tone, None, loop=True)
            if await _done(talking, call.ended(), choice.uniform(*PATIENT_S)):
                attempt.connected_at = time.time()
                if await _over(call.ended(), choice.uniform(*TALKS_S)):
                    await self._over(attempt, call)
                    continue
                attempt.endings = BY_PERSON
            await self._hung_up(attempt, call)
            await asyncio.sleep(choice.uniform(0.0, 1.0))

    async def calls_out(self, phone: SipPhone, person: Person, choice: random.Random) -> None:
        """A phone calls a person."""
        while not self.enough.is_set():
            person.forget_offers()
            self.attempts.append(attempt := Attempt(person.phone))
            await phone.dial(person.phone)
            closed = asyncio.ensure_future(phone.closed(ENDS_S))
            incoming = asyncio.ensure_future(person.incoming(ENDS_S))
            try:
                await asyncio.wait({closed, incoming}, return_when=asyncio.FIRST_COMPLETED)
                call = incoming.result() if incoming.done() else None
                if call and await self._talks(call, choice):
                    attempt.connected_at = time.time()
                    if not await _over(_either(call.ended(), closed), choice.uniform(*TALKS_S)):
                        attempt.endings = choice.choice((BY_PERSON, BY_PHONE))
                if attempt.endings == BY_PHONE:
                    await phone.hangup()
                elif call:
                    await self._hung_up(attempt, call)
                await closed
                if call and not attempt.over_at:
                    await self._over(attempt, call)
            finally:
                closed.cancel()
                incoming.cancel()
                await asyncio.gather(closed, incoming, return_exceptions=True)
            attempt.over_at = attempt.over_at or time.time()
            await asyncio.sleep(choice.uniform(0.0, 1.0))

    async def _talks(self, call: PersonCall, choice: random.Random) -> bool:
        async def taken() -> None:
            await call.ring()
            await asyncio.sleep(choice.uniform(*RINGS_S))
            await call.accept(self._them.tone, None, loop=True)

        return await _done(taken(), call.ended(), RINGS_S[1] + choice.uniform(*PATIENT_S))

    async def _hung_up(self, attempt: Attempt, call: PersonCall) -> None:
        """The person hangs up, or gives up; Telegram refuses that where it is over already."""
        try:
            await call.hang_up(DiscardReason.HANGUP if attempt.connected_at else DiscardReason.MISSED)
        except errors.CallAlreadyDeclinedError:
            attempt.endings = ()
            await self._over(attempt, call)
        else:  # of which Telegram does not tell who has done it
            attempt.over_at = time.time()
            await call.close_audio()

    async def _over(self, attempt: Attempt, call: PersonCall) -> None:
        await call.ended(ENDS_S)
        attempt.over_at = time.time()
        await call.close_audio()


async def _done(work: Coroutine[Any, Any, Any], over: Coroutine[Any, Any, Any], within_s: float) -> bool:
    """Whether this comes to its end before the call's, and in time."""
    working, ended = asyncio.ensure_future(work), asyncio.ensure_future(over)
    await asyncio.wait({working, ended}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    done = working.done() and not working.exception()
    for task in (working, ended):
        task.cancel()
    await asyncio.gather(working, ended, return_exceptions=True)
    return done


async def _over(over: Coroutine[Any, Any, Any], within_s: float) -> bool:
    """Whether the call's end comes within this time."""
    try:
        async with asyncio.timeout(within_s):
            await over
    except TimeoutError:
        return False
    return True


async def _either(one: Coroutine[Any, Any, Any], other: asyncio.Future[Any]) -> None:
    task = asyncio.ensure_future(one)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
