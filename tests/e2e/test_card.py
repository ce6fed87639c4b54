"""The business card after a call that the person did not take."""

from typing import Any

from telethon.tl import types

from ari_app.sandbox.person import Person
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.sandbox.telegram.server import Timers
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PlayMaker, started
from tests.pictures import jpeg

COMPANY_PHONE = "+78005553535"
VCARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Acme\nEND:VCARD\n"
PICTURE = jpeg()
NO_CARD = (
    f"[phones](+)\nexten => 700,1,Stasis(telegram,{ANNA},card=no)\n same => n,Hangup(17)\n"
    f"exten => 701,1,Stasis(telegram,{ANNA},card=yes)\n same => n,Hangup(17)\n"
)
MISSED_AT_ONCE = Timers(receive_s=15, ring_s=0.5)


def line(**card: Any) -> dict[str, Any]:
    texts = {"ru": {"card": "{caller_name}, we called", "card_button": "Call me"}}
    return {"number": LINE, "max_calls": 2, "company": "Acme", "language": "ru", "texts": texts, "card": card}


async def not_answered(phone: SipPhone, person: Person) -> None:
    await phone.dial(person.phone)
    call = await person.incoming()
    await call.ring()
    await phone.closed()
    await call.ended()


async def declined(phone: SipPhone, person: Person, dialled: str, how: DiscardReason = DiscardReason.BUSY) -> None:
    await phone.dial(dialled)
    call = await person.incoming()
    await call.ring()
    await phone.wait_for("CALL_RINGING")
    await call.hang_up(how)
    await phone.closed()


async def cards(person: Person) -> list[str]:
    return [each.message for each in await person.chat_with(LINE)]


async def test_the_card_after_no_answer(play: PlayMaker) -> None:
    """Contact, picture and button; the same person gets no second one in the time, not after a restart either."""
    settings = line(callback="605@phones", contact_phone=COMPANY_PHONE)
    async with (
        play(bot=True, timers=MISSED_AT_ONCE, lines=[settings]) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        await stage.app.services.card_files.put(LINE, "contact_vcard", "acme.vcf", VCARD.encode())
        await stage.app.services.card_files.put(LINE, "picture", "acme.jpg", PICTURE)
        await not_answered(phone, anna)
        card = await anna.keypad(LINE)
        assert card.message == "Анна, we called"
        assert [[button.text for button in row] for row in card.buttons] == [["Call me"]]
        before = await anna.client.get_messages(card.peer_id, limit=3)
        photo, contact = before[1].media, before[2].media
        assert isinstance(photo, types.MessageMediaPhoto)
        assert await anna.client.download_media(photo, bytes) == PICTURE
        assert (contact.phone_number, contact.first_name, contact.vcard) == (COMPANY_PHONE[1:], "Acme", VCARD)

        await not_answered(phone, anna)
        await not_answered(phone, boris)  # whose card comes after what Anna would get
        await boris.keypad(LINE)
        await stage.stop_astergram()
        async with started(stage.settings) as again:
            await not_answered(phone, anna)
            await again.registry.idle()
        assert await cards(anna) == ["Анна, we called"]


async def test_what_gets_no_card(play: PlayMaker) -> None:
    """Calls that failed, that rang too short, `card=no`, and a switch that is off; `card=yes` is over the switch."""
    async with (
        play(bot=True, dialplan=NO_CARD, lines=[line(callback="605@phones", busy=True, declined=False)]) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        stage.telegram.refuse("phone.requestCall", "USER_PRIVACY_RESTRICTED")
        await phone.dial(ANNA)
        await phone.closed()
        await declined(phone, anna, ANNA, DiscardReason.DISCONNECT)
        await declined(phone, anna, ANNA)
        await declined(phone, anna, "700")
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        await phone.hangup()
        await call.ended()
        await stage.call_over()
        assert await cards(anna) == []
        await declined(phone, anna, "701")
        await anna.keypad(LINE)
        assert len(await cards(anna)) == 1
        assert stage.outcomes() == ["RESTRICTED", "UNAVAILABLE", "BUSY", "BUSY", "CANCEL", "BUSY"]


async def test_the_card_without_the_bot(play: PlayMaker) -> None:
    """The text alone; and after a call of the person's that nobody took, where that is switched on."""
    settings = line(callback="605@phones", missed=True)
    async with (
        play(bot=True, lines=[settings]) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        async with stage.telegram.bot_api_down():
            await declined(phone, anna, ANNA)
            (card,) = await anna.sees(LINE, lambda messages: messages)
            assert card.message == "Анна, we called"
            assert not card.buttons
            await stage.call_over()
        async with stage.person(LINE):
            call = await boris.call(LINE)
            await phone.incoming()
            await call.hang_up(DiscardReason.MISSED)
            await phone.closed()
            await boris.sees(LINE, lambda messages: [each for each in messages if "we called" in each.message])
