"""The calls of a soak, one function for each kind: what the person and the phone do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ari_app.calls.rate_limiter import AGAIN_S
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.soak.api import PatientApi
from ari_app.sandbox.soak.cast import (
    CONTACT,
    FAILING_LINE,
    HERMIT,
    LIMITED,
    NOBODY,
    PLAIN,
    SHORTLY,
    WITH_CARD,
    Place,
    is_keypad,
)
from ari_app.sandbox.soak.plan import Kind
from ari_app.sandbox.soak.talks import Talk, Talks
from ari_app.sandbox.stage import LINE
from ari_app.telegram.phone import DiscardReason

RINGS_S = 20.0  # from one side's dialling to the other side's ringing
ENDS_S = 30.0  # from one side's hanging up until the other one hears of it: the program may have to be started first
T = TypeVar("T")


@dataclass
class Scene:
    """One call: its place, how long they talk (seconds), the program's API, all talks, and who is told of this one.

    ``only_talks``: it does nothing that a fault may keep it from after a kill, and so tells what people heard of it.
    """

    place: Place
    talk_s: float
    only_talks: bool
    api: PatientApi
    talks: Talks
    talked: Callable[[Talk], None]

    async def talk(self) -> None:
        """Both are connected for a while."""
        first_packet = await self.place.phone.wait_for("CALL_RTPESTAB")
        self.talked(await self.talks.talk(first_packet.at, self.talk_s, stays=self.only_talks))

    async def called(self) -> PersonCall:
        """The person has called, and the phone rings."""
        call = await self.place.person.call(LINE)
        await _before(self.place.phone.incoming(RINGS_S), call.ended(RINGS_S), "the phone rang")
        return call

    async def answered(self) -> PersonCall:
        """The person has called, and the phone has answered; they talk."""
        call = await self.called()
        await self.place.phone.answer()
        await call.confirm(self.place.tone, self.place.heard, loop=True)
        await self.place.phone.established()
        await self.talk()
        return call

    async def dial(self, prefix: str = PLAIN, number: str = "") -> None:
        """The phone calls a number, or the place's person."""
        await self.place.phone.dial(f"{prefix}{(number or self.place.person.phone).removeprefix('+')}")

    async def dialled(self, prefix: str = PLAIN) -> PersonCall:
        """The phone has called the person, whose Telegram rings."""
        await self.dial(prefix)
        phone_closed = self.place.phone.closed(RINGS_S)
        call = await _before(self.place.person.incoming(RINGS_S), phone_closed, "Telegram rang")
        await call.ring()
        return call

    async def accepted(self) -> PersonCall:
        """The phone has called the person, who has answered; they talk."""
        call = await self.dialled()
        await call.accept(self.place.tone, self.place.heard, loop=True)
        await self.place.phone.established()
        await self.talk()
        return call


async def _in_caller_hangs_up(scene: Scene) -> None:
    call = await scene.answered()
    await call.hang_up()
    await scene.place.phone.closed(ENDS_S)


async def _in_phone_hangs_up(scene: Scene) -> None:
    call = await scene.answered()
    await scene.place.phone.hangup()
    await call.ended()


async def _in_keypad(scene: Scene) -> None:
    known = {message.id for message in await scene.place.person.chat_with(LINE)}
    call = await scene.answered()
    shown = await _message(scene, lambda each: each.id not in known)
    if not is_keypad(shown):
        raise SandboxError(f"in place of a keypad came: {shown.message}")
    await shown.click(text="5")
    key = (await scene.place.phone.wait_for("CALL_DTMF_START")).parameter
    if key != "5":
        raise SandboxError(f"the phone heard key {key} in place of 5")
    await call.hang_up()
    await scene.place.phone.closed(ENDS_S)


async def _in_transfer(scene: Scene) -> None:
    call = await scene.answered()
    await scene.place.phone.transfer(CONTACT)
    await scene.place.phone.closed(ENDS_S)
    await asyncio.sleep(scene.talk_s)
    await call.hang_up()


async def _in_given_up(scene: Scene) -> None:
    call = await scene.called()
    await call.hang_up(DiscardReason.MISSED)
    await scene.place.phone.closed(ENDS_S)


async def _in_declined(scene: Scene) -> None:
    call = await scene.called()
    await scene.place.phone.hangup()
    await call.ended()


async def _in_not_answered(scene: Scene) -> None:
    call = await scene.called()
    await call.ended()
    await scene.place.phone.closed(ENDS_S)


async def _in_failed(scene: Scene) -> None:
    call = await scene.place.person.call(FAILING_LINE)
    await call.ended()


async def _out_callee_hangs_up(scene: Scene) -> None:
    call = await scene.accepted()
    await call.hang_up()
    await scene.place.phone.closed(ENDS_S)


async def _out_phone_hangs_up(scene: Scene) -> None:
    call = await scene.accepted()
    await scene.place.phone.hangup()
    await call.ended()


async def _out_administrator(scene: Scene) -> None:
    call = await scene.accepted()
    for live in await scene.api.ask("GET", "/calls/live"):
        if live["call"]["pbx_party"] == scene.place.user:
            await scene.api.ask("POST", f"/calls/{live['call']['id']}/hangup")
    await call.ended()
    await scene.place.phone.closed(ENDS_S)


async def _out_transfer(scene: Scene) -> None:
    call = await scene.accepted()
    await scene.place.phone.transfer(CONTACT)
    await scene.place.phone.closed(ENDS_S)
    await asyncio.sleep(scene.talk_s)
    await call.hang_up()


async def _out_declined(scene: Scene) -> None:
    call = await scene.dialled()
    await call.hang_up(DiscardReason.BUSY)
    await scene.place.phone.closed(ENDS_S)


async def _out_called_back(scene: Scene) -> None:
    place = scene.place
    known = {message.id for message in await place.person.chat_with(LINE)}
    call = await scene.dialled(WITH_CARD)
    await call.hang_up(DiscardReason.BUSY)
    await place.phone.closed(ENDS_S)
    card = await _message(scene, lambda each: bool(each.buttons) and each.id not in known and not is_keypad(each))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, place.asked_back_at + AGAIN_S - loop.time()))
    place.asked_back_at = loop.time()
    await card.click()
    await place.phone.incoming()
    await place.phone.answer()
    back = await place.person.incoming()
    await back.ring()
    await back.accept(None, None)
    await asyncio.sleep(scene.talk_s)
    await back.hang_up()
    await place.phone.closed(ENDS_S)


async def _out_not_answered(scene: Scene) -> None:
    call = await scene.dialled(SHORTLY)
    await call.ended()
    await scene.place.phone.closed(ENDS_S)


async def _out_given_up(scene: Scene) -> None:
    call = await scene.dialled()
    await scene.place.phone.hangup()
    await call.ended()


async def _out_unavailable(scene: Scene) -> None:
    call = await scene.dialled()
    await call.hang_up(DiscardReason.DISCONNECT)
    await scene.place.phone.closed(ENDS_S)


async def _out_no_media(scene: Scene) -> None:
    await scene.dial()
    for _ in range(2):  # it is tried once more
        call = await _before(scene.place.person.incoming(RINGS_S), scene.place.phone.closed(RINGS_S), "Telegram rang")
        await call.ring()
        await call.accept_without_media()
        await call.ended()
    await scene.place.phone.closed(ENDS_S)


async def _out_not_found(scene: Scene) -> None:
    await scene.dial(number=NOBODY)
    await scene.place.phone.closed(ENDS_S)


async def _out_restricted(scene: Scene) -> None:
    await scene.dial(number=HERMIT)
    await scene.place.phone.closed(ENDS_S)


async def _out_limited(scene: Scene) -> None:
    await scene.dial(LIMITED)
    await scene.place.phone.closed(ENDS_S)


async def _before(wanted: Awaitable[T], end: Awaitable[object], what: str) -> T:
    """Wait for something, but not longer than for the end of the call: a fault may have ended it."""
    waiting, ending = asyncio.ensure_future(wanted), asyncio.ensure_future(end)
    try:
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise SandboxError(f"the call was over before {what}: {ending.result()}")
        return waiting.result()
    finally:
        for each in (waiting, ending):
            each.cancel()
        await asyncio.gather(waiting, ending, return_exceptions=True)


async def _message(scene: Scene, wanted: Callable[[Any], bool]) -> Any:
    """The newest such message in the person's chat with the line, once there is one."""
    return await scene.place.person.sees(LINE, lambda messages: next(filter(wanted, messages), None))


SCRIPTS: dict[Kind, Callable[[Scene], Awaitable[None]]] = {
    Kind.IN_CALLER_HANGS_UP: _in_caller_hangs_up,
    Kind.IN_PHONE_HANGS_UP: _in_phone_hangs_up,
    Kind.IN_KEYPAD: _in_keypad,
    Kind.IN_TRANSFER: _in_transfer,
    Kind.IN_GIVEN_UP: _in_given_up,
    Kind.IN_DECLINED: _in_declined,
    Kind.IN_NOT_ANSWERED: _in_not_answered,
    Kind.IN_FAILED: _in_failed,
    Kind.OUT_CALLEE_HANGS_UP: _out_callee_hangs_up,
    Kind.OUT_PHONE_HANGS_UP: _out_phone_hangs_up,
    Kind.OUT_ADMINISTRATOR: _out_administrator,
    Kind.OUT_TRANSFER: _out_transfer,
    Kind.OUT_DECLINED: _out_declined,
    Kind.OUT_CALLED_BACK: _out_called_back,
    Kind.OUT_NOT_ANSWERED: _out_not_answered,
    Kind.OUT_GIVEN_UP: _out_given_up,
    Kind.OUT_UNAVAILABLE: _out_unavailable,
    Kind.OUT_NO_MEDIA: _out_no_media,
    Kind.OUT_NOT_FOUND: _out_not_found,
    Kind.OUT_RESTRICTED: _out_restricted,
    Kind.OUT_LIMITED: _out_limited,
}
