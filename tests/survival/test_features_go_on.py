"""What can be done with a call is done with one that has another controller by now."""

from telethon.tl import functions

from ari_app.asterisk.ami import Ami
from ari_app.sandbox.stage import LINE
from tests.e2e.pbx import Talk, hears
from tests.survival.conftest import Supervised, SupervisedMaker
from tests.survival.test_killed_controller import ANNA_HZ, BORIS_HZ, FIRST_HZ, cast

THIRD_HZ = 1500.0


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
