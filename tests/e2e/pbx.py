"""What the tests of a PBX's features have in common: each party says a tone of its own, and what was heard when."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telethon.tl import functions

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.resources import Channel
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.sandbox.tones import measure, tones, tones_at_end
from tests.e2e.conftest import Play

PHONES_HZ = {"101": 880.0, "102": 660.0, "103": 1500.0}
PEOPLE_HZ = {ANNA: 440.0, BORIS: 1200.0}
HZ_TOLERANCE = 15.0  # what the jitter buffer leaves out after a change, a spectrum shows
LISTENS_S = 0.8
"""For how long a tone must be heard."""
LOOKS_EVERY_S = 0.1
"""Between two looks at a recording, which tells nobody that it has grown."""
PATIENCE_S = 20.0
"""A generous limit: what is waited for takes a second or two on a machine that does nothing else."""

DIALPLAN = """
[incoming]
exten => _X.,1,Goto(${KIND},${EXTEN},1)

[dials]
exten => _X.,1,Dial(PJSIP/101,20,t)
 same => n,Hangup()
"""
"""``KIND`` is the context of an incoming call, see `coming_in`."""
TO_ANNA = f"Local/{ANNA}@to-telegram/n"
QUEUED = {"Async": "false"}
"""For AMI's actions that are "successfully queued": panoramisk looks for it."""
LINES = [{"number": LINE, "context": "incoming", "max_calls": 4}]


def phone(stage: Play, user: str = "101", **options: Any) -> SipPhone:
    """A SIP phone with its tone."""
    return SipPhone(stage.asterisk, user, play=stage.tone(f"phone{user}", PHONES_HZ[user]), **options)


def are_alike(found: list[int], wanted: Sequence[float]) -> bool:
    """Whether these tones were found, and no other."""
    return len(found) == len(wanted) and all(
        abs(one - other) < HZ_TOLERANCE for one, other in zip(found, sorted(wanted), strict=True)
    )


def has_tones(recording: Path, *wanted: float, start_s: float = 0.0) -> None:
    """These tones are in it from there on, and no other; none is silence."""
    found = tones(recording, start_s)
    assert are_alike(found, wanted), f"{recording.name}: {found} Hz instead of {sorted(wanted)}"


async def hears(listener: "SipPhone | Talk", *wanted: float) -> None:
    """Wait until somebody has heard these tones for a while, and no other."""
    found: list[int] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                recording = listener.recording if isinstance(listener, Talk) else listener.recordings[-1]
                found = tones_at_end(recording, LISTENS_S)
                if are_alike(found, wanted):
                    return
                await asyncio.sleep(LOOKS_EVERY_S)
    except TimeoutError:
        raise AssertionError(f"{listener}: {found} Hz instead of {sorted(wanted)}") from None


def length_s(recording: Path) -> float:
    """How long a recording is that is closed."""
    return measure(recording).seconds


@dataclass
class Talk:
    """A person's call, in which they say their tone; what they hear is recorded."""

    call: PersonCall
    recording: Path

    async def writes(self, text: str) -> None:
        """They write to the line, such as digits to be dialled."""
        person = self.call.person
        found = await person.client(functions.contacts.ResolvePhoneRequest(LINE))
        await person.client.send_message(found.users[0], text)

    async def ends(self, *, hang_up: bool = True) -> None:
        """They hang up, or see that the call is over; the recording is whole then."""
        await (self.call.hang_up() if hang_up else self.call.ended())
        await self.call.close_audio()


async def answered(stage: Play, person: Person, call: PersonCall) -> Talk:
    """The other side of a person's own call has answered: they talk."""
    recording = stage.recording(f"{person.phone}-{call.id}")
    await call.confirm(stage.tone(person.phone, PEOPLE_HZ[person.phone]), recording)
    return Talk(call, recording)


async def accepted(stage: Play, person: Person) -> Talk:
    """A person is called, and answers."""
    call = await person.incoming()
    await call.ring()
    recording = stage.recording(f"{person.phone}-{call.id}")
    await call.accept(stage.tone(person.phone, PEOPLE_HZ[person.phone]), recording)
    return Talk(call, recording)


async def coming_in(stage: Play, person: Person, kind: str = "dials") -> PersonCall:
    """A person calls the line; ``kind`` is the context that decides."""
    await stage.asterisk.cli(f"dialplan set global KIND {kind}")
    return await person.call(LINE)


async def talk_in(stage: Play, person: Person, phone: SipPhone, kind: str = "dials") -> Talk:
    """A person calls, and the phone answers."""
    call = await coming_in(stage, person, kind)
    await phone.incoming()
    await phone.answer()
    talk = await answered(stage, person, call)
    await stage.talking()
    return talk


async def talk_out(stage: Play, person: Person, phone: SipPhone) -> Talk:
    """The phone calls a person, who answers."""
    await phone.dial(person.phone)
    talk = await accepted(stage, person)
    await phone.established()
    await stage.talking()
    return talk


async def channel(stage: Play, beginning: str, ending: str = "") -> Channel:
    """The one channel of Asterisk's whose name begins, and ends, so."""
    found = [
        each
        for each in await stage.app.ari.channels.list()
        if each.name.startswith(beginning) and each.name.endswith(ending)
    ]
    assert len(found) == 1, found
    return found[0]


async def connected_line(stage: Play, user: str) -> tuple[str, str]:
    """The name and the number that a phone shows."""
    of_phone = await channel(stage, f"PJSIP/{user}-")
    name, number = [await of_phone.getChannelVar(variable=f"CONNECTEDLINE({part})") for part in ("name", "num")]
    return name, number


@asynccontextmanager
async def ami(stage: Play) -> AsyncIterator[Ami]:
    """AMI, as an operator's panel has it."""
    its = stage.asterisk
    async with Ami(its.ami_host, its.ami_port, its.ami_user, its.ami_password, timeout_s=PATIENCE_S) as connected:
        yield connected


@asynccontextmanager
async def originated(stage: Play, **fields: str) -> AsyncIterator[None]:
    """AMI's Originate, as a CRM does it; on leaving, Asterisk has said that the channel was answered."""
    async with ami(stage) as manager, asyncio.TaskGroup() as tasks:
        tasks.create_task(manager.action("Originate", **QUEUED, **fields))
        yield
