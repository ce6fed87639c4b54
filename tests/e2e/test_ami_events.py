"""What programs at AMI are told of Telegram calls and lines, and what they may ask for."""

import asyncio
import hashlib
import hmac
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from panoramisk.manager import Manager

from ari_app.config import load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE, Stage, stage
from ari_app.telegram.phone import DiscardReason
from tests.conftest import OLDEST
from tests.e2e.conftest import Play, PlayMaker, ami_login
from tests.e2e.test_callback import SETTINGS as WITH_CARD
from tests.e2e.test_callback import asked, card_of
from tests.e2e.test_texts import Correspondence
from tests.integration.command import astergram

WAIT_S = 20.0
EXAMPLE = Path(__file__).parents[2] / "docs/examples/pop_card.py"
AGENTS = "[agents]\nexten => 605,1,Dial(PJSIP/101,20)\n same => n,Hangup(19)\n"
KEY = "the key of the crm"
Event = dict[str, Any]


class Consumer:
    """A program at AMI that keeps every event."""

    def __init__(self, manager: Manager) -> None:
        self.events: list[Event] = []
        self._manager = manager
        self._came = asyncio.Event()
        manager.register_event("*", self._take)

    def _take(self, _manager: Manager, event: Any) -> None:
        self.events.append(dict(event.items()))
        self._came.set()

    def telegram(self, *names: str, call: str | None = None) -> list[Event]:
        """Astergram's events so far, of these names and of this call."""
        found = [each for each in self.events if str(each.get("UserEvent")).startswith("Telegram")]
        found = [each for each in found if each.get("EventTime")]
        return [
            each
            for each in found
            if (not names or each["UserEvent"] in names) and (call is None or each.get("CallID") == call)
        ]

    async def event(self, name: str, which: Callable[[Event], bool] = lambda _: True) -> Event:
        """The first of this name that fits, once it has come."""
        async with asyncio.timeout(WAIT_S):
            while not (found := [each for each in self.telegram(name) if which(each)]):
                self._came.clear()
                await self._came.wait()
        return found[0]

    def send(self, name: str, **headers: str) -> None:
        """A user event of its own."""
        self._manager.send_action({"Action": "UserEvent", "UserEvent": name, **headers})

    async def request(self, name: str, action_id: str, key: str = KEY, **headers: str) -> Event:
        """A signed one, as docs/events.md says; its answer."""
        signed = {"UserEvent": name, "ActionID": action_id, "User": "crm", "Time": str(int(time.time())), **headers}
        text = "\n".join(f"{each}: {signed[each]}" for each in sorted(signed))
        signed["Signature"] = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
        self._manager.send_action({"Action": "UserEvent", **signed})
        return await self.event("TelegramResponse", lambda event: event["ActionID"] == action_id)


@asynccontextmanager
async def consumer(stage: Play | Stage) -> AsyncIterator[Consumer]:
    asterisk = stage.asterisk
    manager = Manager(
        host=asterisk.ami_host, port=asterisk.ami_port, username=asterisk.ami_user, secret=asterisk.ami_password
    )
    its = Consumer(manager)
    await manager.connect()
    try:
        yield its
    finally:
        manager.close()


def names(events: list[Event]) -> list[str]:
    return [each["UserEvent"].removeprefix("Telegram") for each in events]


async def test_an_incoming_call(play: PlayMaker) -> None:
    async with play(ami={}) as stage, consumer(stage) as crm, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        ringing = await crm.event("TelegramCallRinging")
        [channel] = [each for each in await stage.app.ari.channels.list() if each.name == ringing["Channel"]]
        assert await channel.getChannelVar(variable="TELEGRAM_CALL") == ringing["CallID"]
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        await call.hang_up()
        ended = await crm.event("TelegramCallEnded")
        assert names(crm.telegram(call=ended["CallID"])) == ["CallOffered", "CallRinging", "CallAnswered", "CallEnded"]
        ids = [int(each["EventID"]) for each in crm.telegram()]
        assert ids == sorted(set(ids))
        user = stage.telegram.user(ANNA)
        for event in crm.telegram(call=ended["CallID"]):
            assert (event["Line"], event["Direction"], event["TelegramID"]) == (LINE, "in", str(user.id))
            assert (event["Name"], event["Phone"], event["Username"]) == ("Анна", "", "")
        assert (ended["Status"], ended["Cause"], ended["EndedBy"]) == ("ANSWER", "16", "Telegram")
        assert int(ended["SetupMs"]) > 0
        # The phone's channel belongs to the same call.
        news = [each for each in crm.events if each.get("Event") == "Newchannel"]
        [phones] = [each for each in news if each["Channel"].startswith("PJSIP/101-")]
        [far] = [each for each in news if each["Channel"] == ringing["Channel"]]
        assert ringing["Uniqueid"] == far["Uniqueid"]
        assert ringing["Linkedid"] == far["Linkedid"] == phones["Linkedid"] == ended["Linkedid"]


@pytest.mark.parametrize("dialled", ["directly", "through a Local channel"])
async def test_an_outgoing_call_and_its_transfer(play: PlayMaker, dialled: str, asterisk_version: str) -> None:
    through, direct = f"Dial(Local/{ANNA}@to-telegram/n,60,tT)", f"Stasis(telegram,{ANNA})"
    wraps = f"[phones](+)\nexten => 700,1,{through}\nexten => 701,1,{direct}\n"
    async with (
        play(ami={}, dialplan=wraps) as stage,
        consumer(stage) as crm,
        stage.phone() as phone,
        SipPhone(stage.asterisk, "102", auto_answer=True) as other,
        stage.person(ANNA) as anna,
    ):
        await phone.dial("701" if dialled == "directly" else "700")
        call = await anna.incoming()
        await call.ring()
        await crm.event("TelegramCallRinging")
        await call.accept(None, None)
        await phone.established()
        await stage.talking()
        await phone.transfer("102")
        await other.established()
        if dialled == "directly":  # else the Local channel stays, and Asterisk's own events tell of the transfer
            await crm.event("TelegramCallTransferred")
        await other.hangup()
        ended = await crm.event("TelegramCallEnded")
        told = crm.telegram(call=ended["CallID"])
        middle = ["CallTransferred"] if dialled == "directly" else []
        assert names(told) == ["CallOffered", "CallRinging", "CallAnswered", *middle, "CallEnded"]
        assert told[0]["Destination"] == ANNA
        assert told[1]["TelegramID"] == str(stage.telegram.user(ANNA).id)
        assert (ended["PbxParty"], ended["EndedBy"]) == ("101", "Asterisk")
        [phones] = [each for each in crm.events if each.get("Event") == "Newchannel" and "PJSIP/101" in each["Channel"]]
        assert {each["Linkedid"] for each in told} == {phones["Linkedid"]}
        variables = [each for each in crm.events if each.get("Event") == "VarSet" and each["Variable"] == "TELEGRAM_ID"]
        its = [crm.events.index(each) for each in variables if each["Linkedid"] == phones["Linkedid"]]
        assert its
        if asterisk_version != OLDEST:  # which sets a channel's variables up to 200 ms after its answer
            assert min(its) < crm.events.index(told[1])


@pytest.mark.parametrize("dialled", ["directly", "through a Local channel"])
async def test_what_nobody_took_is_told_too(play: PlayMaker, dialled: str) -> None:
    """A line without room, and a destination that is none, each with the channel that dialled."""
    form = "Stasis(telegram,{0})" if dialled == "directly" else "Dial(Local/{0}@to-telegram/n,60,tT)"
    wraps = f"[phones](+)\nexten => 700,1,{form.format(ANNA)}\nexten => 701,1,{form.format('+1')}\n"
    async with (
        play(ami={}, dialplan=wraps, lines=[{"number": LINE, "max_calls": 1}]) as stage,
        consumer(stage) as crm,
        stage.phone("101") as phone,
        stage.phone("102") as other,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        await other.dial("701")
        await other.closed()
        wrong = await crm.event("TelegramCallEnded")
        await phone.dial("700")
        taken = await anna.incoming()
        await other.dial("700")
        await other.closed()
        refused = await crm.event("TelegramCallEnded", lambda event: bool(event["CallID"] != wrong["CallID"]))
        await (await boris.call(LINE)).ended()
        missed = await crm.event("TelegramCallEnded", lambda event: bool(event["Direction"] == "in"))
        await phone.hangup()
        await taken.ended()
        await crm.event("TelegramCallEnded", lambda event: bool(event["PbxParty"] == "101"))
        assert [wrong["Status"], refused["Status"], missed["Status"]] == ["NOTFOUND", "BUSY", "BUSY"]
        assert (missed["Name"], missed["EndedBy"]) == ("Boris", "Astergram")
        assert len(crm.telegram("TelegramCallOffered")) == len(crm.telegram("TelegramCallEnded")) == 4
        begun = {each["Uniqueid"]: each for each in crm.events if each.get("Event") == "Newchannel"}
        known = [each for each in crm.events if each.get("Event") == "VarSet" and each["Variable"] == "TELEGRAM_CALL"]
        for ended in (wrong, refused):
            told = crm.telegram(call=ended["CallID"])
            assert names(told) == ["CallOffered", "CallEnded"]
            assert (ended["PbxParty"], ended["EndedBy"]) == ("102", "Astergram")
            assert ended["Linkedid"] == begun[ended["Uniqueid"]]["Linkedid"]
            [variable] = [each for each in known if each["Value"] == ended["CallID"]]
            assert variable["Uniqueid"] == ended["Uniqueid"]
            assert crm.events.index(variable) < crm.events.index(told[0])


async def test_events_wait_while_ami_is_away(play: PlayMaker) -> None:
    async with (
        Proxy(0) as proxy,
        play(ami={}, ami_proxy=proxy) as stage,
        consumer(stage) as crm,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await phone.incoming()
        await crm.event("TelegramCallRinging")
        reports = stage.app.services.ami
        assert reports
        await reports.spool.emptied()  # else Asterisk may have passed on what it had no time to confirm
        async with proxy.away():
            await phone.answer()
            await call.confirm(None, None)
            await stage.talking()
            await call.hang_up()
            await stage.call_over()
            assert crm.telegram("TelegramCallAnswered", "TelegramCallEnded") == []
        ended = await crm.event("TelegramCallEnded")
        assert names(crm.telegram(call=ended["CallID"])) == ["CallOffered", "CallRinging", "CallAnswered", "CallEnded"]


async def test_a_crash_ends_the_calls_that_it_has_left(tmp_path: Path, asterisk_tree: Tree) -> None:
    """It is started again too late to go on with them: their media processes have ended them."""
    async with stage(tmp_path, tree=asterisk_tree) as sandbox:
        config = await sandbox.configuration(ami=ami_login(sandbox.asterisk, None), media={"orphan_s": 1.0})
        await sandbox.sign_in_lines(load(config))
        async with (
            consumer(sandbox) as crm,
            SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
            sandbox.person(ANNA) as anna,
        ):
            async with astergram("run", "--config", config) as program:
                await program.until("ready: 1 of 1 lines")
                call = await anna.call(LINE)
                await call.confirm(None, None)
                answered = await crm.event("TelegramCallAnswered")
                program.process.kill()
                await program.ends()
            async with astergram("run", "--config", config) as program:
                await program.until("ready: 1 of 1 lines")
                await phone.closed()
                ended = await crm.event("TelegramCallEnded")
                await crm.event("TelegramStarted", lambda event: int(event["EventID"]) > int(answered["EventID"]))
            told = names(crm.telegram("TelegramStarted", "TelegramCallEnded"))
            assert (told[0], sorted(told[1:])) == ("Started", ["CallEnded", "Started"])
            assert (ended["CallID"], ended["Name"], ended["Line"]) == (answered["CallID"], "Анна", LINE)
            assert (ended["Status"], ended["EndedBy"]) == ("ANSWER", "Astergram")  # nothing of it is left in Asterisk


async def test_who_comes_late_asks(play: PlayMaker) -> None:
    async with play(ami={}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        async with consumer(stage) as late:
            late.send("TelegramStatus", ActionID="late-1")
            complete = await late.event("TelegramStatusComplete")
            answered = [each for each in late.telegram() if each.get("ActionID") == "late-1"]
        assert names(answered) == ["LineStatus", "CallStatus", "StatusComplete"]
        assert (complete["Lines"], complete["Calls"]) == ("1", "1")
        line, live = answered[0], answered[1]
        assert (line["Line"], line["Asterisk"], line["Account"], line["Bot"]) == (LINE, "green", "green", "grey")
        assert (line["Calls"], line["MaxCalls"]) == ("1", "2")
        assert (live["State"], live["Name"]) == ("talking", "Анна")
        await call.hang_up()


async def test_card_call_back_keypad_message_and_pause(play: PlayMaker) -> None:
    async with (
        play(bot=True, ami={}, dialplan=AGENTS, lines=[WITH_CARD]) as stage,
        consumer(stage) as crm,
        stage.phone("101") as agent,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
        card_of(stage, agent, anna) as card,
    ):
        sent = await crm.event("TelegramCardSent")
        assert (sent["Line"], sent["Name"], sent["Reason"]) == (LINE, "Анна", "declined")
        await stage.telegram.press(ANNA, ANNA, card.id, card.buttons[0][0].data)
        call = await asked(agent, anna)
        requested = await crm.event("TelegramCallbackRequested")
        await call.accept(None, None)
        await agent.established()
        await stage.talking()
        chat = await Correspondence.of(anna)
        await chat.write("1 2 3")
        keypad = await crm.event("TelegramKeypad", lambda event: bool(event["Keypad"] == "Dialled"))
        assert keypad["Count"] == "3"
        assert not {"123", "1 2 3"} & set(keypad.values())
        await call.hang_up(DiscardReason.HANGUP)
        ended = await crm.event("TelegramCallbackEnded")
        assert (ended["CallID"], ended["Status"]) == (requested["CallID"], "ANSWER")
        assert names(crm.telegram(call=ended["CallID"])) == [
            "CallbackRequested",
            "CallOffered",
            "CallRinging",
            "CallRinging",
            "CallAnswered",
            "Keypad",
            "CallEnded",
            "CallbackEnded",
        ]
        await (await Correspondence.of(boris)).write("Are you there?")
        message = await crm.event("TelegramMessage")
        assert (message["Name"], message["Text"]) == ("Boris", "")
        stage.telegram.refuse("phone.requestCall", "FLOOD_WAIT_30", phone=LINE)
        await agent.dial(BORIS)
        await agent.closed()
        pause = await crm.event("TelegramPause")
        assert (pause["Line"], pause["Request"], pause["Reason"]) == (LINE, "phone.requestCall", "FLOOD_WAIT_30")
        assert int(pause["Seconds"]) in range(50, 61)
        orange = await crm.event("TelegramLineStatus", lambda event: bool(event["Account"] == "orange"))
        assert "FLOOD_WAIT_30" in orange["AccountReason"]


async def test_requests(play: PlayMaker) -> None:
    ami = {"message_text": True, "requesters": {"crm": KEY}}
    async with play(ami=ami) as stage, consumer(stage) as crm, stage.phone() as phone, stage.person(ANNA) as anna:
        chat = await Correspondence.of(anna)
        said = await crm.request("TelegramSend", "1", To=ANNA, Text="Your order has come")
        assert (said["Result"], said["Message"]) == ("Success", f"Text sent to {ANNA}.")
        assert await chat.answered(1) == ["Your order has come"]
        await chat.write("Thank you")
        assert (await crm.event("TelegramMessage"))["Text"] == "Thank you"

        said = await crm.request("TelegramCall", "2", To=ANNA, Exten="101@phones")
        assert said["Result"] == "Success"
        await phone.incoming()
        await phone.answer()
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await stage.talking()
        assert (await crm.request("TelegramHangup", "3", CallID=said["CallID"]))["Result"] == "Success"
        await call.ended()
        await phone.closed()
        ended = await crm.event("TelegramCallEnded")
        assert (ended["CallID"], ended["EndedBy"], ended["Direction"]) == (said["CallID"], "Administrator", "back")
        assert not crm.telegram("TelegramCallbackRequested")

        forged = await crm.request("TelegramSend", "4", key="another", To=ANNA, Text="Forged")
        assert forged["Result"] == "Error"
        assert "Signature" in forged["Message"]
        unknown = await crm.request("TelegramSend", "5", To="@nobody_here", Text="Hello")
        assert unknown["Result"] == "Error"
        again = await crm.request("TelegramSend", "6", To=ANNA, Text="The last one")
        assert again["Result"] == "Success"
        async with asyncio.timeout(WAIT_S):
            while chat.answers[-1] != "The last one":
                await chat.answered(len(chat.answers) + 1)
        assert "Forged" not in chat.answers


async def test_a_program_that_has_nothing_but_a_socket_and_the_page(play: PlayMaker) -> None:
    ami = {"requesters": {"crm": KEY}}
    async with play(ami=ami) as stage, stage.person(ANNA) as anna:
        asterisk = stage.asterisk
        chat = await Correspondence.of(anna)
        reader, writer = await asyncio.open_connection(asterisk.ami_host, asterisk.ami_port)

        async def answer(to: str) -> dict[str, str]:
            """The first block with this line."""
            while True:
                block = (await reader.readuntil(b"\r\n\r\n")).decode()
                if to in block.splitlines():
                    return dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)

        def send(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())

        try:
            async with asyncio.timeout(WAIT_S):
                send("Action: Login", f"Username: {asterisk.ami_user}", f"Secret: {asterisk.ami_password}")
                await answer("Response: Success")
                signed = ["ActionID: 7", "Text: Ваш «заказ» 📦", "  готов", f"Time: {time.time():.0f}", f"To: {ANNA}"]
                signed += ["User: crm", "UserEvent: TelegramSend"]
                signature = hmac.new(KEY.encode(), "\n".join(signed).encode(), hashlib.sha256).hexdigest()
                signed[2] = f"Text: {signed[2]}"
                send("Action: UserEvent", *signed, f"Signature: {signature}")
                said = await answer("UserEvent: TelegramResponse")
        finally:
            writer.close()
            await writer.wait_closed()
        assert (said["ActionID"], said["Result"], said["Message"]) == ("7", "Success", f"Text sent to {ANNA}.")
        assert await chat.answered(1) == ["Ваш «заказ» 📦\n  готов"]


async def test_the_example_pops_the_card(play: PlayMaker) -> None:
    async with play(ami={}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        asterisk = stage.asterisk
        login = {"AMI_PORT": str(asterisk.ami_port), "AMI_USER": asterisk.ami_user, "AMI_SECRET": asterisk.ami_password}
        example = await asyncio.create_subprocess_exec(
            sys.executable, str(EXAMPLE), env={**os.environ, **login}, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert example.stdout
            async with asyncio.timeout(WAIT_S):
                while (await asterisk.cli("manager show connected")).count(asterisk.ami_user) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            call = await anna.call(LINE)
            await phone.incoming()
            async with asyncio.timeout(WAIT_S):
                assert (
                    (await example.stdout.readline())
                    .decode()
                    .startswith(f"Анна ({stage.telegram.user(ANNA).id}) calls")
                )
            await call.hang_up()
            async with asyncio.timeout(WAIT_S):
                said = (await example.stdout.readline()).decode()
            assert "CANCEL, talked for 0.000 s" in said
        finally:
            example.kill()
            await example.wait()
