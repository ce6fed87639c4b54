"""The controller is killed at each event of a call, as soon as it has told of it: each call has one right end.

Beside the calls of the scenes two people talk all the time, whose call has one controller after the other.

SURVIVAL_TRANSPORTS="rtp websocket" has both transports.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ari_app.calls.events import (
    Bridged,
    CallEvent,
    CallRequested,
    MediaConnected,
    Resumed,
    TelegramAnswered,
    TelegramRinging,
)
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS
from tests.e2e.test_ami_events import Consumer, consumer
from tests.survival.conftest import TRANSPORTS, Supervised, SupervisedMaker
from tests.survival.performance import Cast, Performance, Scene, ami_knows, in_asterisk
from tests.survival.scenes import BYSTANDERS, DIALPLAN, IN, LINES, SECOND
from tests.survival.scenes_out import BACK, NOT_BROUGHT_ABOUT, OUT, without_ari

BORIS_HZ, BYSTANDER_HZ, PHONE_HZ, OTHER_HZ = 1200.0, 660.0, 880.0, 1500.0
LONGEST_S = 900.0
"""Of the bystanders' talk, on a machine without time."""
AWAY_S = 2.0
"""Without ARI, until a call in which both talk says so."""
DIRECTIONS = {"in": IN, "out": OUT, "back": BACK}
PLACED = {CallRequested, TelegramRinging, TelegramAnswered, Bridged, MediaConnected}
"""A call back is placed as an outgoing call is."""
DONE: dict[str, set[type[CallEvent]]] = {"in": set(), "out": {Resumed}, "back": PLACED | {Resumed}}
"""What another direction has shown."""
WITHOUT_ARI = Proxy(0)
"""Whose scenes need no more of it to be known."""


@dataclass
class Bystanders:
    """Boris and a phone, who talk all the time."""

    its: Supervised
    phone: SipPhone
    call: PersonCall
    recording: Path
    call_id: str
    began: float

    async def hang_up(self, crm: Consumer, kills: int) -> None:
        """Neither has heard anything of it, and the history has their call as a whole."""
        await self.call.hang_up()
        await self.phone.closed()
        lasted_s = time.monotonic() - self.began
        row = await self.its.ended(self.call_id)
        call = row["call"]
        assert (call["status"], call["cause"], call["detail"]) == ("ANSWER", 16, "Ended on Telegram: hung up."), call
        assert lasted_s - 1 < call["talked_s"] < lasted_s + 2, call
        assert [each["type"] for each in row["events"]].count(Resumed.__name__) == kills
        await ami_knows(crm, call)
        await self.call.close_audio()
        for recording in (self.recording, self.phone.recordings[-1]):
            self.its.has_no_gap(recording)


@asynccontextmanager
async def bystanders(its: Supervised) -> AsyncIterator[Bystanders]:
    """Both talk."""
    async with its.person(BORIS) as boris, its.phone("102", BYSTANDER_HZ, call_s=LONGEST_S) as phone:
        await phone.dial(BYSTANDERS)
        call = await boris.incoming()
        await call.ring()
        recording = its.stage.folder / "heard-by-boris.wav"
        await call.accept(its.tone(BORIS_HZ), recording, loop=True)
        await phone.established()
        await its.controller.call_talks()
        (live,) = await its.ask("GET", "/calls/live")
        yield Bystanders(its, phone, call, recording, live["call"]["id"], time.monotonic())


def all_events(kind: type[CallEvent] = CallEvent) -> set[type[CallEvent]]:
    """Every kind of event that the program has."""
    below = {each for direct in kind.__subclasses__() for each in all_events(direct)}
    return below if kind.__name__.startswith("_") else below | ({kind} - {CallEvent})


def scenes_of(direction: str, ari: Proxy | None) -> Sequence[Scene]:
    """What is played; ``ari`` is the way to Asterisk, where that can be cut without the audio's."""
    return (*DIRECTIONS[direction], *(without_ari(ari) if direction == "out" and ari else ()))


async def play(cast: Cast, scene: Scene) -> None:
    """Play a scene until the controller has been killed at each event of it."""
    await cast.its.asterisk.cli(f"dialplan set global KIND {scene.kind}")
    if scene.before:
        await scene.before(cast)
    while True:
        killed_at = await Performance(cast, scene).play()
        cast.kills += killed_at
        if not killed_at or scene.last.__name__ in killed_at:
            return


@pytest.mark.timeout(600)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_kill_at_each_event(supervised: SupervisedMaker, transport: str, direction: str) -> None:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        # Over WebSocket the audio goes the same way.
        ari = await stack.enter_async_context(Proxy(0)) if (direction, transport) == ("out", "rtp") else None
        sections: dict[str, Any] = {"asterisk": {"transport": transport, "away_s": AWAY_S}}
        its = await stack.enter_async_context(
            supervised(dialplan=DIALPLAN, people={SECOND: "Second line"}, lines=LINES, ari=ari, **sections)
        )
        crm = await stack.enter_async_context(consumer(its.stage))
        anna = await stack.enter_async_context(its.person(ANNA))
        phone = await stack.enter_async_context(its.phone("101", PHONE_HZ))
        other = await stack.enter_async_context(its.phone("103", OTHER_HZ))
        await its.start()
        others = await stack.enter_async_context(bystanders(its))
        cast = Cast(its, crm, anna, phone, other, bystanders=await in_asterisk(its))
        cast.done = {each.__name__ for each in DONE[direction]}
        scenes, restarts = scenes_of(direction, ari), 0
        for scene in scenes:
            with its.configured(**scene.configured):
                if scene.configured:
                    await its.kill()
                    await its.start()
                    restarts += 1
                await play(cast, scene)
        await others.hang_up(crm, len(cast.kills) + restarts)
        rows = (await its.ask("GET", "/calls?limit=500"))["calls"]
        told = {each["CallID"] for each in crm.telegram("TelegramCallOffered")}
        assert sorted(each["id"] for each in rows) == sorted(told), "one row a call"
        assert len(rows) == cast.calls + 1
        print(
            f"{direction}, {transport}: {len(cast.kills)} kills in {time.monotonic() - began:.0f} s, "
            f"{cast.calls} calls; at {cast.kills}"
        )
    wanted = {each.__name__ for scene in scenes for each in scene.brings}
    assert wanted <= set(cast.kills), f"no kill at {wanted - set(cast.kills)}"


def test_every_event_is_in_a_scene_or_has_a_reason_not_to_be() -> None:
    scenes = [scene for direction in DIRECTIONS for scene in scenes_of(direction, WITHOUT_ARI)]
    brought = {each for scene in scenes for each in scene.brings}
    assert not brought & NOT_BROUGHT_ABOUT.keys()
    missing = all_events() - brought - NOT_BROUGHT_ABOUT.keys()
    assert not missing, f"add a scene to tests/survival/scenes.py that brings about {missing}"
