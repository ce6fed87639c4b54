"""Who takes part in a soak: places, each with a person on Telegram and a phone, that have one call at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from telethon import errors
from telethon.tl import types

from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import LINE, Stage
from ari_app.sandbox.telegram.privacy import Audience
from ari_app.sandbox.tones import write_tone
from media.types import MediaError

log = logging.getLogger(__name__)

PLACES = 6
FAILING_LINE, LIMITED_LINE = "+79990000008", "+79990000009"
HERMIT = "+79990000007"  # takes no calls
NOBODY = "+79990009999"
NUMBERS = {number: f"+799900000{10 + number}" for number in range(1, PLACES + 1)}
"""The people's phone numbers; the last digit names their phone."""

RING_S = 8
"""How long the dialplan rings a phone; one on a busy machine takes seconds to answer."""
CONTACT = "600"  # the extension that calls are transferred to: an echo
PLAIN, WITH_CARD, SHORTLY, LIMITED = "76", "77", "78", "79"
"""Prefixes that a phone dials for a call, one with a card, one that rings for two seconds, and one by LIMITED_LINE.

Each names its line: what is not for a certain one goes by whichever line is free, and that may be LIMITED_LINE.
"""
HANG_UP = " same => n,Hangup(${TELEGRAM_CAUSE})\n"
DIALPLAN = f"""\
; Whoever calls rings the phone that the last digit of their number names.
[soak]
exten => _X.,1,Dial(PJSIP/10${{TELEGRAM_PHONE:-1}},{RING_S},tT)
 same => n,Hangup(${{IF($["${{DIALSTATUS}}"="NOANSWER"]?19:${{HANGUPCAUSE}})}})
exten => agent,1,Dial(PJSIP/10${{TELEGRAM_PHONE:-1}},{RING_S},tT)
 same => n,Hangup(19)
[soak-failing]
exten => _X.,1,Hangup(38)
[phones](+)
exten => _{PLAIN}X.,1,Stasis(telegram,+${{EXTEN:2}},line={LINE})
{HANG_UP}\
exten => _{WITH_CARD}X.,1,Stasis(telegram,+${{EXTEN:2}},line={LINE},card=yes)
{HANG_UP}\
exten => _{SHORTLY}X.,1,Stasis(telegram,+${{EXTEN:2}},line={LINE},timeout=2)
{HANG_UP}\
exten => _{LIMITED}X.,1,Stasis(telegram,+${{EXTEN:2}},line={LIMITED_LINE})
{HANG_UP}\
"""
PEOPLE = {
    FAILING_LINE: "Failing",
    LIMITED_LINE: "Limited",
    HERMIT: "Hermit",
    **{number: f"Person {place}" for place, number in NUMBERS.items()},
}
LINES: tuple[dict[str, Any], ...] = (
    {
        "number": LINE,
        "name": "Soak",
        "context": "soak",
        "max_calls": PLACES + 2,
        "card": {
            "no_answer": False, "declined": False, "busy": False, "cancelled": False, "card_every_s": 0,
            "callback": "agent@soak",
        },
    },
    {"number": FAILING_LINE, "context": "soak-failing", "max_calls": PLACES + 2},
    {"number": LIMITED_LINE, "context": "soak", "max_calls": PLACES + 2},
)  # fmt: skip

CALL_S = 60.0  # of memory that a phone has for a call
RENEW_S = 60.0  # for a phone to register again, which may have to wait for Asterisk
CLEAN_FAILURES = (SandboxError, MediaError, errors.RPCError, ConnectionError, TimeoutError, OSError)
KEYPAD_ROWS = 4
TONE_HZ, TONE_S = 440.0, 1.0  # whole periods: it is played over and over


class Place:
    """One of them; made by `place(...)`."""

    def __init__(self, stage: Stage, number: int, person: Person, stack: AsyncExitStack) -> None:
        self.number = number
        self.person = person
        self.user = f"10{number}"
        self.person_id = stage.telegram.user(person.phone).id
        self.asked_back_at = 0.0
        self.tone = self._folder(stage) / "tone.wav"
        """What the person and the phone say in a talk."""
        self.heard = self._folder(stage) / "heard-by-person.wav"
        self._stage = stage
        self._stack = stack
        self._registered_at = 0  # the process id of that Asterisk
        self.phone: SipPhone

    async def ready(self) -> None:
        """Have a phone that is registered: an Asterisk that was started again knows of none."""
        async with asyncio.timeout(RENEW_S):
            while self._registered_at != self._stage.asterisk.pid:
                await self._stack.aclose()
                pid = self._stage.asterisk.pid
                run_dir = self.tone.parent
                phone = SipPhone(self._stage.asterisk, self.user, play=self.tone, call_s=CALL_S, run_dir=run_dir)
                try:
                    self.phone = await self._stack.enter_async_context(phone)
                except SandboxError as error:
                    log.info("phone %s: %s", self.user, error)
                else:
                    self._registered_at = pid

    async def clean(self) -> None:
        """End whatever a script has left."""
        for call in list(self.person.calls.values()):
            await end_call(call)
        self.person.calls.clear()
        self.person.forget_offers()
        with suppress(*CLEAN_FAILURES):
            await self.phone.hang_up_all()

    def discard_recordings(self) -> None:
        """What was heard is of no use any more."""
        for recording in self.phone.recordings:
            recording.unlink(missing_ok=True)

    async def keypads(self) -> int:
        """How many keypads are in the person's chat with the line."""
        return sum(1 for message in await self.person.chat_with(LINE) if is_keypad(message))

    def _folder(self, stage: Stage) -> Path:
        return stage.folder / "phones" / self.user


async def end_call(call: PersonCall) -> None:
    """End whatever is left of a person's call."""
    if call.id and not any(isinstance(update, types.PhoneCallDiscarded) for update in call.updates):
        with suppress(*CLEAN_FAILURES):
            await call.hang_up()
    with suppress(*CLEAN_FAILURES):
        await call.close_audio()


def is_keypad(message: Any) -> bool:
    """Whether a message is a keypad; a card has one button."""
    return bool(message.buttons) and len(message.buttons) == KEYPAD_ROWS


@asynccontextmanager
async def place(stage: Stage, number: int) -> AsyncIterator[Place]:
    """A person and a phone, with nothing to do."""
    async with stage.person(NUMBERS[number]) as person, AsyncExitStack() as stack:
        made = Place(stage, number, person, stack)
        made.tone.parent.mkdir(parents=True)
        write_tone(made.tone, TONE_HZ, TONE_S)
        yield made


def set_privacy(stage: Stage) -> None:
    """People show their numbers; one takes no calls; and at its first call Telegram limits LIMITED_LINE for a day."""
    for number in NUMBERS.values():
        stage.telegram.set_privacy(number, "phone_number", Audience.EVERYBODY)
    stage.telegram.set_privacy(HERMIT, "phone_call", Audience.NOBODY)
    stage.telegram.refuse("phone.requestCall", "PEER_FLOOD", phone=LIMITED_LINE)
