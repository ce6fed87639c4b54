"""The controller is killed while people talk: they go on talking, and the next one has their calls."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ari_app.sandbox.demo.program import ProgramEnded
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from tests.e2e.conftest import WEBSOCKET
from tests.e2e.test_ami_events import Consumer, consumer, names
from tests.survival.conftest import Supervised, SupervisedMaker

ANNA_HZ, BORIS_HZ, FIRST_HZ, SECOND_HZ = 440.0, 1200.0, 880.0, 660.0
BEFORE_S, AFTER_S = 2.0, 2.0
"""Of talk, before the controller is killed and after it has come back."""
BOT_S = 90.0
"""For the key that is pressed as soon as the call goes on: loading what the bot needs takes seconds of CPU."""
TRANSPORTS = pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])


@dataclass
class Talk:
    """A person and a phone; ``id`` is the call's."""

    id: str
    call: PersonCall
    phone: SipPhone
    recording: Path
    began: float


class Cast:
    """Anna and Boris on Telegram, and two phones; Anna calls the line, and the second phone calls Boris."""

    def __init__(
        self, its: Supervised, crm: Consumer, anna: Person, boris: Person, first: SipPhone, second: SipPhone
    ) -> None:
        self.its = its
        self.crm = crm
        self.anna = anna
        self.boris = boris
        self.first = first
        self.second = second
        self.recordings: list[Path] = []
        self.restarts = 0  # during these calls

    async def both_talk(self) -> tuple[Talk, Talk]:
        """The call in, and the call out, for some time by now."""
        its, self.restarts = self.its, 0
        into = await self.anna.call(LINE)
        await self.first.incoming()
        await self.first.answer()
        recordings = [its.stage.folder / f"{into.id}.wav"]
        await into.confirm(its.tone(ANNA_HZ), recordings[0])
        await self.second.dial(BORIS)
        out = await self.boris.incoming()
        await out.ring()
        recordings.append(its.stage.folder / f"{out.id}.wav")
        await out.accept(its.tone(BORIS_HZ), recordings[1])
        await self.second.established()
        for _ in range(2):
            await its.controller.call_talks()
        began = time.monotonic()
        await asyncio.sleep(BEFORE_S)
        live = await its.live()
        return (
            Talk(live["in"]["id"], into, self.first, recordings[0], began),
            Talk(live["out"]["id"], out, self.second, recordings[1], began),
        )

    async def another_controller(self, *talks: Talk) -> None:
        """The controller is killed, and the next one goes on with the calls."""
        await self.its.kill()
        await self.its.start()
        self.restarts += 1
        for talk in talks:
            await self.its.happens(talk.id, "Resumed", self.restarts)
        await asyncio.sleep(AFTER_S)

    async def over(self, talk: Talk, ended_by: str, reason: str) -> dict[str, Any]:
        """A call has ended as any call does; what the history has of it."""
        row = await self.its.ended(talk.id)
        lasted_s = time.monotonic() - talk.began
        call: dict[str, Any] = row["call"]
        assert (call["status"], call["cause"], call["answered"]) == ("ANSWER", 16, True), call
        assert call["detail"] == reason
        assert BEFORE_S < call["talked_s"] < lasted_s + 2, call
        event = await self.ended_for_ami(talk.id)
        assert (event["EndedBy"], event["Cause"]) == (ended_by, "16")
        assert self.told(talk.id) == ["CallOffered", "CallRinging", "CallAnswered", "CallEnded"], "once each"
        await talk.call.close_audio()
        self.recordings += [talk.recording, talk.phone.recordings[-1]]
        return row

    def told(self, call_id: str) -> list[str]:
        """What AMI was told of a call, in all runs; what comes again with its EventID is the same (docs/events.md)."""
        by_id = {each["EventID"]: each for each in self.crm.telegram(call=call_id)}
        return [name for name in names(list(by_id.values())) if name != "Keypad"]

    async def over_at_once(self, talk: Talk) -> None:
        """A call has ended, whose audio nobody looks at."""
        await self.its.ended(talk.id)
        await talk.phone.closed()
        await talk.call.close_audio()

    async def ended_for_ami(self, call_id: str) -> dict[str, Any]:
        """What AMI was told of a call's end."""
        return await self.crm.event("TelegramCallEnded", lambda each: bool(each["CallID"] == call_id))


@asynccontextmanager
async def cast(its: Supervised) -> AsyncIterator[Cast]:
    """All of them; once they have gone, what each has heard had no gap."""
    async with (
        consumer(its.stage) as crm,
        its.person(ANNA) as anna,
        its.person(BORIS) as boris,
        its.phone("101", FIRST_HZ) as first,
        its.phone("102", SECOND_HZ) as second,
    ):
        await its.start()
        them = Cast(its, crm, anna, boris, first, second)
        yield them
        told = {each["CallID"] for each in crm.telegram("TelegramCallOffered")}
        rows = [each["id"] for each in (await its.ask("GET", "/calls?limit=50"))["calls"]]
        assert sorted(rows) == sorted(told), "one row a call"
    for recording in them.recordings:
        its.has_no_gap(recording)


def discard_of(ended: Any) -> str:
    """The reason that Telegram was told."""
    return type(ended.reason).__name__.removeprefix("PhoneCallDiscardReason")


@pytest.mark.timeout(240)  # four calls and three kills, and a busy machine starts slowly
@TRANSPORTS
async def test_calls_go_on_and_end_as_any_call(supervised: SupervisedMaker, transport: str) -> None:
    async with supervised(asterisk={"transport": transport}) as its, cast(its) as them:
        into, out = await them.both_talk()
        keypad = await them.anna.keypad(LINE)
        await them.another_controller(into, out)
        # A key, and who has called hangs up; so does the phone that has dialled.
        await keypad.click(text="5")
        assert (await them.first.wait_for("CALL_DTMF_START", BOT_S)).parameter == "5"
        await into.call.hang_up()
        await them.first.closed()
        await them.second.hangup()
        assert discard_of(await out.call.ended()) == "Hangup"
        row = await them.over(into, "Telegram", "Ended on Telegram: hung up.")
        assert {"Resumed", "DigitsDialled"} < {each["type"] for each in row["events"]}
        assert row["call"]["talked_s"] > BEFORE_S + AFTER_S
        await them.over(out, "Asterisk", "Ended by the PBX (cause 16).")
        await them.anna.sees(LINE, lambda messages: not messages)

        # The administrator, and who was called. These calls have three controllers.
        into, out = await them.both_talk()
        await them.another_controller(into, out)
        await them.another_controller(into, out)
        await its.ask("POST", f"/calls/{into.id}/hangup")
        assert discard_of(await into.call.ended()) == "Hangup"
        await them.first.closed()
        await out.call.hang_up()
        await them.second.closed()
        row = await them.over(into, "Administrator", "Ended by the administrator.")
        assert [each["type"] for each in row["events"]].count("Resumed") == 2
        assert row["call"]["talked_s"] > BEFORE_S + 2 * AFTER_S
        await them.over(out, "Telegram", "Ended on Telegram: hung up.")


async def test_who_hangs_up_while_there_is_no_controller(supervised: SupervisedMaker) -> None:
    async with supervised() as its, cast(its) as them:
        into, out = await them.both_talk()
        await its.kill()
        await into.call.hang_up()
        await them.second.hangup()
        await them.second.closed()
        await its.start()
        await them.first.closed()
        assert discard_of(await out.call.ended()) == "Hangup"
        await them.over(into, "Telegram", "Ended on Telegram: hung up.")
        await them.over(out, "Asterisk", "The PBX hung up while Astergram was not running.")


async def test_a_restart_hands_over_who_talks(supervised: SupervisedMaker) -> None:
    """SIGTERM with on_stop = "hand_over"; a call that rings then ends with the reason."""
    async with supervised(calls={"on_stop": "hand_over", "cpu_percent": 0}) as its, cast(its) as them:
        into, out = await them.both_talk()
        await into.call.hang_up()
        await them.over_at_once(into)
        rings = await them.anna.call(LINE)
        await rings.rings()
        await them.first.incoming()
        await its.kill(signal.SIGTERM)
        assert discard_of(await rings.ended()) == "Disconnect"
        await them.first.closed()
        assert "calls that go on, for the next start: 1" in its.controller.log.read_text()
        await its.start()
        await its.happens(out.id, "Resumed")
        await asyncio.sleep(AFTER_S)
        await them.second.hangup()
        await them.over(out, "Asterisk", "Ended by the PBX (cause 16).")
        rows = (await its.ask("GET", "/calls?limit=50"))["calls"]
        (rang,) = [each for each in rows if not each["answered"]]
        assert (rang["status"], rang["cause"], rang["detail"]) == ("ERROR", 41, "Astergram was stopped.")
        await its.kill(signal.SIGINT)
        await its.start()


async def test_calls_end_when_the_whole_machine_stops(
    supervised: SupervisedMaker, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd says it to whom it stops; the test is systemd."""
    folder = tmp_path_factory.mktemp("systemd")
    (folder / "systemctl").write_text("#!/bin/sh\necho stopping; exit 1\n")
    (folder / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
    async with supervised(calls={"on_stop": "hand_over", "cpu_percent": 0}) as its, cast(its) as them:
        into, out = await them.both_talk()
        await its.kill(signal.SIGTERM)
        assert discard_of(await into.call.ended()) == discard_of(await out.call.ended()) == "Hangup"
        await them.first.closed()
        await them.second.closed()
        assert "the machine stops: calls end" in its.controller.log.read_text()
        await its.start()
        for talk in (into, out):
            await them.over(talk, "Astergram", "Astergram was stopped.")


async def test_a_start_that_fails_leaves_the_calls_to_the_next_one(supervised: SupervisedMaker) -> None:
    async with supervised(calls={"on_stop": "hand_over"}) as its, cast(its) as them:
        into, out = await them.both_talk()
        await its.kill()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with its.configured(web={"port": port}), pytest.raises(ProgramEnded, match="can't listen"):
                await its.start()
        left = pytest.raises(ProgramEnded, match=r"calls that go on, for the next start: 2")
        with its.configured(asterisk={"password": "wrong"}), left:
            await its.start()
        await its.start()
        for talk in (into, out):
            await its.happens(talk.id, "Resumed")
        await asyncio.sleep(AFTER_S)
        await into.call.hang_up()
        await them.first.closed()
        await them.second.hangup()
        await them.over(into, "Telegram", "Ended on Telegram: hung up.")
        await them.over(out, "Asterisk", "Ended by the PBX (cause 16).")


async def test_calls_that_only_ring_are_ended_on_both_sides(supervised: SupervisedMaker) -> None:
    async with supervised() as its, cast(its) as them:
        into = await them.anna.call(LINE)
        await into.rings()
        await them.first.incoming()
        await them.second.dial(BORIS)
        out = await them.boris.incoming()
        await out.ring()
        await them.second.wait_for("CALL_RINGING")
        live = await its.live()
        await its.kill()
        await its.start()
        assert discard_of(await into.ended()) == discard_of(await out.ended()) == "Disconnect"
        await them.first.closed()
        await them.second.closed()
        for direction in ("in", "out"):
            call_id = live[direction]["id"]
            call = (await its.ended(call_id))["call"]
            assert (call["status"], call["cause"], call["answered"]) == ("ERROR", 41, False)
            assert call["detail"] == "The program stopped during the call."
            await them.ended_for_ami(call_id)
            assert them.told(call_id) == ["CallOffered", "CallRinging", "CallEnded"]
        await them.anna.sees(LINE, lambda messages: not messages)


async def test_a_phone_that_rings_for_a_call_back_is_ended_at_once(supervised: SupervisedMaker) -> None:
    async with supervised() as its, cast(its) as them:
        call_id = (await its.ask("POST", f"/lines/{LINE}/test-call", {"destination": ANNA}))["id"]
        await them.first.incoming()
        await them.crm.event("TelegramCallRinging", lambda each: bool(each["CallID"] == call_id))
        await its.kill()
        await its.start()
        await them.first.closed()
        call = (await its.ended(call_id))["call"]
        assert (call["status"], call["cause"], call["answered"]) == ("ERROR", 41, False)
        assert call["detail"] == "The program stopped during the call."
        await them.ended_for_ami(call_id)
        assert them.told(call_id) == ["CallOffered", "CallRinging", "CallEnded"]
