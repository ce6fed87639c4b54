"""What can be done with a call is done with one that has another controller by now."""

import asyncio
from contextlib import aclosing

from telethon.tl import functions

from ari_app.api_client import program
from ari_app.asterisk.ami import Ami
from ari_app.sandbox.stage import BORIS, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.pbx import Talk, hears
from tests.e2e.test_callback import TEXTS, says
from tests.survival.conftest import PATIENCE_S, Supervised, SupervisedMaker
from tests.survival.test_killed_controller import ANNA_HZ, BORIS_HZ, FIRST_HZ, cast

THIRD_HZ = 1500.0
SPOKEN_DBFS = range(-20, -5)
"""What is said at -12."""


async def transferred_by_manager(its: Supervised, user: str, extension: str) -> None:
    """AMI sends a phone's call elsewhere, as an operator's panel does."""
    asterisk = its.asterisk
    channels = (await asterisk.cli("core show channels concise")).splitlines()
    (name,) = [each.partition("!")[0] for each in channels if each.startswith(f"PJSIP/{user}-")]
    async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
        await ami.action("BlindTransfer", Channel=name, Exten=extension, Context="phones")


async def test_digits_hold_and_transfers(supervised: SupervisedMaker) -> None:
    async with (
        supervised() as its,
        cast(its) as them,
        its.phone("103", THIRD_HZ) as third,
    ):
        into, out = await them.both_talk()
        await them.another_controller(into, out)
        first, second = them.first, them.second

        # Typed digits, and hold.
        line = (await them.anna.client(functions.contacts.ResolvePhoneRequest(LINE))).users[0]
        await them.anna.client.send_message(line, "7")
        assert (await first.wait_for("CALL_DTMF_START")).parameter == "7"
        await first.hold()
        await first.hold(False)
        await hears(Talk(into.call, into.recording), FIRST_HZ)

        # The phone that was called transfers its call, and the one that has dialled is transferred.
        await first.transfer("103")
        await third.incoming()
        await third.answer()
        await third.established()
        await first.closed()
        await hears(Talk(into.call, into.recording), THIRD_HZ)
        await hears(third, ANNA_HZ)
        await transferred_by_manager(its, second.user, "101")
        await first.incoming()
        await first.answer()
        await second.closed()
        await hears(Talk(out.call, out.recording), FIRST_HZ)
        await hears(first, BORIS_HZ)

        # They have yet another controller then.
        await them.another_controller(into, out)
        await out.call.hang_up()
        await first.closed()
        await into.call.hang_up()
        await third.closed()
        for talk in (into, out):
            call = (await its.ended(talk.id))["call"]
            assert (call["status"], call["cause"], call["detail"]) == ("ANSWER", 16, "Ended on Telegram: hung up.")
            await them.ended_for_ami(talk.id)
            assert them.told(talk.id) == ["CallOffered", "CallRinging", "CallAnswered", "CallEnded"]
            await talk.call.close_audio()


async def levels(its: Supervised, call_id: str) -> tuple[float, float]:
    """What the meters show of a call, once they show that both are heard."""
    async with program(its.settings) as api, asyncio.timeout(PATIENCE_S), aclosing(api.events("meters")) as measured:
        async for _ in measured:
            (live,) = await api.ask("GET", "/calls/live")
            assert live["call"]["id"] == call_id
            both = (live["from_telegram_dbfs"], live["to_telegram_dbfs"])
            if all(each is not None and int(each) in SPOKEN_DBFS for each in both):
                return both
    raise AssertionError("the controller has ended")


async def test_meters_and_the_card_of_a_call_back(supervised: SupervisedMaker) -> None:
    line = {"number": LINE, "max_calls": 2, "texts": {"en": TEXTS, "ru": TEXTS}, "card": {"callback": "101@phones"}}
    async with (
        supervised(lines=[line]) as its,
        its.person(BORIS) as boris,
        its.phone("101", FIRST_HZ) as agent,
    ):
        await its.start()
        await agent.dial(BORIS)
        call = await boris.incoming()
        await call.ring()
        await agent.wait_for("CALL_RINGING")
        await call.hang_up(DiscardReason.BUSY)
        await agent.closed()
        card = await boris.keypad(LINE)

        # The person asks to be called back, and talks to the agent while the controller is killed.
        await card.click()
        await agent.incoming()
        await agent.answer()
        call = await boris.incoming()
        await call.ring()
        await call.accept(its.tone(BORIS_HZ), None)
        await its.controller.call_talks()
        call_id = (await its.live())["back"]["id"]
        await its.kill()
        await its.start()
        await its.happens(call_id, "Resumed")
        await levels(its, call_id)
        await call.hang_up()
        await agent.closed()
        row = await its.ended(call_id)
        assert (row["call"]["status"], row["call"]["detail"]) == ("ANSWER", "Ended on Telegram: hung up.")
        assert row["audio"], "measured after the kill"
        assert not (await boris.sees(LINE, says("reached"))).buttons
        await call.close_audio()
