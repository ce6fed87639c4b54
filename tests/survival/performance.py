"""A scene is played to its end; the controller is killed at each event of its call that it was not killed at yet."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from telethon.tl import functions

from ari_app.api_client import NotRunning, program
from ari_app.calls.events import CallEnded, CallEvent, Connected, KeypadHidden, Resumed
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import LINE
from ari_app.sandbox.telegram.calls import ServerCallState
from ari_app.telegram.phone import DiscardReason
from tests.e2e.leftovers import left_in_asterisk
from tests.e2e.test_ami_events import Consumer
from tests.survival.conftest import PATIENCE_S, Supervised

PERSON_HZ = 440.0
LONGEST_S = 240.0
"""Of a scene, on a machine without time: the program is started several times meanwhile."""
LOOKS_EVERY_S = 0.05
"""Between two looks at what tells nobody of its changes."""
CRASHED = ("ERROR", 41, "The program stopped during the call.")
"""How a call ends in which nobody talked yet: status, cause, and detail."""
AFTER_THE_END = {KeypadHidden.__name__}
"""The journal has no call that is over, and the history keeps such an event a moment later."""
ONCE = ("TelegramCallOffered", "TelegramCallRinging", "TelegramCallAnswered", "TelegramCallEnded")
"""What AMI is told of a call once at most, in this order; that it rings, of each side."""


@dataclass(frozen=True)
class Scene:
    """What those who take part in one call do.

    ``status`` and ``cause``: how it ends where the controller lets it, ``by`` whom. ``brings``: the events that it is
    there for. ``last``: the event after which nothing new comes. ``kind``: the context of the dialplan that takes
    incoming calls. ``before``: what has to be there first. ``configured``: keys of the configuration file, by section.
    """

    name: str
    script: Callable[["Performance"], Awaitable[None]]
    status: str
    cause: int
    brings: tuple[type[CallEvent], ...] = ()
    last: type[CallEvent] = CallEnded
    kind: str = "dials"
    by: str = "Anna"
    before: Callable[["Cast"], Awaitable[None]] | None = None
    configured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


@dataclass
class Cast:
    """Who takes part: Anna on Telegram, the phone that talks to her, and the one that calls are transferred to.

    ``done``: at which events the controller was killed; each way to end a call counts.
    """

    its: Supervised
    crm: Consumer
    anna: Person
    phone: SipPhone
    other: SipPhone
    others: set[str] = field(default_factory=set)
    """The calls that there were before the scene."""
    bystanders: set[str] = field(default_factory=set)
    """What these have in Asterisk."""
    done: set[str] = field(default_factory=set)
    kills: list[str] = field(default_factory=list)
    calls: int = 0


class Performance:
    """A scene, once; `play` gives whether the controller was killed during it."""

    def __init__(self, cast: Cast, scene: Scene) -> None:
        self.cast = cast
        self.its, self.anna, self.phone, self.other = cast.its, cast.anna, cast.phone, cast.other
        self.scene = scene
        self.call_id = ""
        self.hung_up = False  # by Anna
        self._told: list[str] = []
        self._changed = asyncio.Condition()
        self._at_work = asyncio.Event()
        self._kills: list[str] = []
        self._asking: list[asyncio.Task[None]] = []
        self._known = set(self.anna.calls)
        self._telegram_calls = len(self.its.stage.telegram.calls)

    async def told(self, event: type[CallEvent]) -> None:
        """Wait until the controller has told of such an event; it is at work then."""
        async with self._changed:
            await self._changed.wait_for(lambda: event.__name__ in self._told)
        await self._at_work.wait()

    async def told_or_killed(self, event: type[CallEvent]) -> None:
        """Wait until the controller has told of such an event, or is killed at another one."""
        async with self._changed:
            await self._changed.wait_for(lambda: event.__name__ in self._told or not self._at_work.is_set())

    async def at_work(self) -> None:
        """Wait until there is a controller, which has the call."""
        await self._at_work.wait()

    async def bot_is_ready(self) -> None:
        """Wait until the bot can be used."""
        async with program(self.its.settings) as api, aclosing(api.events("line")) as changes:
            async for _ in changes:
                if (await api.ask("GET", f"/lines/{LINE}/lights"))["bot"]["colour"] == "green":
                    return

    def begin(self, method: str, path: str, body: Any) -> None:
        """Ask the controller for something; it may be killed before it has answered."""

        async def ask() -> None:
            with suppress(NotRunning):
                await self.its.ask(method, path, body)

        self._asking.append(asyncio.create_task(ask()))

    async def connects(self, call: PersonCall) -> None:
        """Anna takes, or has placed, a call; both sides talk."""
        tone = self.its.tone(PERSON_HZ)
        await (call.confirm if call.audio else call.accept)(tone, None, loop=True)
        await self.told(Connected)

    async def hangs_up(self, call: PersonCall, reason: DiscardReason = DiscardReason.HANGUP) -> None:
        """Anna ends a call."""
        self.hung_up = True
        await call.hang_up(reason)

    async def types(self, digits: str) -> None:
        """Anna sends the line a text."""
        line = (await self.anna.client(functions.contacts.ResolvePhoneRequest(LINE))).users[0]
        await self.anna.client.send_message(line, digits)

    async def play(self) -> list[str]:
        """Play it to its end, and see to it that each side knows of it; gives at which events there were kills."""
        await self.phone.hang_up_all()
        self.anna.forget_offers()
        self.cast.others |= {each["id"] for each in (await self.its.ask("GET", "/calls?limit=500"))["calls"]}
        watching = asyncio.create_task(self._watch())
        playing = asyncio.create_task(self._whole())
        try:
            async with asyncio.timeout(LONGEST_S):
                cut = await self._to_the_end(playing, watching)
            await self._is_over(cut)
        except BaseException as error:
            error.add_note(f"{self.scene}, call {self.call_id}, killed at {self._kills}; told: {self._told}")
            raise
        finally:
            for task in (playing, *self._asking):
                task.cancel()
            await asyncio.gather(playing, *self._asking, return_exceptions=True)
            self.its.stage.telegram.clear_faults()
            for call in self._calls():
                await call.close_audio()
        return self._kills

    async def _whole(self) -> None:
        await self._at_work.wait()
        await self.scene.script(self)
        await self.told(CallEnded)

    async def _to_the_end(self, playing: "asyncio.Task[None]", watching: "asyncio.Task[None]") -> bool:
        """Whether the call was cut."""
        while True:
            try:
                await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
                if playing.done() and self._at_work.is_set() and not watching.done():
                    playing.result()
                    return False
                await watching
            finally:
                if not watching.done():
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
            talked, ended = Connected.__name__ in self._told, CallEnded.__name__ in self._told
            await self.its.start()
            call = (await self._as_found())["call"]
            if (call["status"], call["cause"], call["detail"]) == CRASHED:
                assert not (talked or call["answered"]), f"both talked: {call}"
                assert not ended, f"it had ended: {call}"
                return True
            watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Follow the controller's live events, and kill it at one that it was not killed at yet."""
        async with program(self.its.settings) as api, aclosing(api.events("call")) as live:
            async for data in live:
                if not data:  # it listens: what has happened before it did
                    known = (await api.ask("GET", f"/calls/{self.call_id}"))["events"] if self.call_id else []
                    new = [each["type"] for each in known if each["type"] not in self._told]
                elif data["key"] in self.cast.others or not data["event"]:
                    continue
                else:
                    self.call_id = data["key"]
                    new = [data["event"]]
                for event in new:
                    if self._is_new(event, bool(data)):
                        self._at_work.clear()
                        self.cast.done.add(self._key(event))
                        self._kills.append(event)
                        await self._tell(event, self.its.kill())
                        return
                    await self._tell(event)
                if not data:
                    self._at_work.set()

    def _is_new(self, event: str, live: bool) -> bool:
        return self._key(event) not in self.cast.done and (live or event == Resumed.__name__)

    def _key(self, event: str) -> str:
        scene = self.scene
        return f"{event} {scene.status} {scene.cause} {scene.by}" if event == CallEnded.__name__ else event

    async def _tell(self, event: str, kill: Awaitable[None] | None = None) -> None:
        if kill:
            await kill
        async with self._changed:
            self._told.append(event)
            self._changed.notify_all()

    async def _as_found(self) -> dict[str, Any]:
        """What the controller says of the call, once that goes on or is over."""
        kills = len(self._kills)

        def goes_on_or_is_over(call: dict[str, Any]) -> bool:
            resumed = [each["type"] for each in call["events"]].count(Resumed.__name__)
            return call["call"]["status"] is not None or resumed >= kills

        return await self.its.until(self.call_id, goes_on_or_is_over)

    def _calls(self) -> list[PersonCall]:
        return [call for number, call in self.anna.calls.items() if number not in self._known]

    async def _is_over(self, cut: bool) -> None:
        """Each side, and whoever is told of calls, knows that it is over, and nothing is left of it."""
        row = await self.its.ended(self.call_id)
        call, events = row["call"], [each["type"] for each in row["events"]]
        if not cut:
            assert (call["status"], call["cause"]) == (self.scene.status, self.scene.cause), call
        assert not (lost := set(self._told) - set(events) - AFTER_THE_END), f"not in the history: {lost}"
        assert events.count(CallEnded.__name__) == 1
        assert events.count(Resumed.__name__) <= len(self._kills)
        for each in self.its.stage.telegram.calls[self._telegram_calls :]:
            await each.reaches(ServerCallState.DISCARDED, PATIENCE_S)
            assert self.hung_up or not cut or each.reason == "disconnect", each
        assert await self._left() == []
        await ami_knows(self.cast.crm, call)
        if cut and call["direction"] == "out":
            assert self._cause_for_the_phone() == str(call["cause"])
        await self.anna.sees(LINE, lambda messages: not any(is_keypad(each) for each in messages))
        self.cast.calls += 1

    async def _left(self) -> list[str]:
        """Channels and bridges in Asterisk beside the bystanders', and calls of the phones, after a while."""
        until = time.monotonic() + PATIENCE_S
        while True:
            left = sorted(await in_asterisk(self.its) - self.cast.bystanders)
            left += [f"a call of {each!r}" for each in (self.phone, self.other) if await each.active_calls()]
            if not left or time.monotonic() > until:
                return left
            await asyncio.sleep(LOOKS_EVERY_S)

    def _cause_for_the_phone(self) -> str:
        hangups = [each for each in self.cast.crm.events if each.get("Event") == "Hangup"]
        its = [each for each in hangups if each["Channel"].startswith(f"PJSIP/{self.phone.user}-")]
        return str(its[-1]["Cause"])


async def ami_knows(crm: Consumer, call: dict[str, Any]) -> None:
    """AMI was told of a call from its beginning to its end, of each only once."""
    ended = await crm.event("TelegramCallEnded", lambda each: bool(each["CallID"] == call["id"]))
    assert (ended["Status"], ended["Cause"]) == (call["status"], str(call["cause"]))
    by_id = {each["EventID"]: each for each in crm.telegram(call=call["id"])}  # what comes again has the same
    told = [(each["UserEvent"], each.get("Side")) for each in by_id.values() if each["UserEvent"] in ONCE]
    assert len(told) == len(set(told)), told
    happened = [ONCE.index(each) for each, _ in told]
    assert happened == sorted(happened), told
    assert {0, len(ONCE) - 1} <= set(happened), told


def is_keypad(message: Any) -> bool:
    """Whether a message has the keys of a phone, not the button of a card."""
    return len(message.buttons or ()) > 1


async def in_asterisk(its: Supervised) -> set[str]:
    """The channels and bridges that there are, by name."""
    found = await left_in_asterisk(its.asterisk)
    return {" ".join(each.replace("!", " ").split()[:2]) for each in found}
