"""Whom a dialplan reaches, through which line, and who may call whom."""

from typing import Any

import pytest

from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PlayMaker
from tests.e2e.test_endings import reason

SECOND, NEWCOMER = "+79990000009", "+79990000005"


async def test_the_callers_own_line_and_the_default_one(play: PlayMaker) -> None:
    lines = [{"number": LINE, "callers": ["101"]}, {"number": SECOND, "default": True}]
    async with (
        play(people={SECOND: "Astergram Two"}, lines=lines) as stage,
        stage.phone("101") as named,
        stage.phone("102") as other,
        stage.person(ANNA) as anna,
    ):
        for phone in (named, other):
            await phone.dial(ANNA)
            await (await anna.incoming()).hang_up(DiscardReason.BUSY)
            assert (await phone.closed()).startswith("486")
        assert [call.caller for call in stage.telegram.calls] == [LINE[1:], SECOND[1:]]


@pytest.mark.parametrize(
    "lists",
    [{"deny": [ANNA]}, {"allow": [BORIS]}, {"only_contacts": True}],
    ids=["deny", "allow", "only_contacts"],
)
async def test_who_may_not_call_nor_be_called(play: PlayMaker, lists: dict[str, Any]) -> None:
    async with (
        play(lines=[{"number": LINE, **lists}]) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        # The line sees the phone of who has it in their contacts.
        stage.telegram.add_contact(ANNA, LINE)
        stage.telegram.add_contact(LINE, BORIS)
        stage.telegram.add_contact(BORIS, LINE)
        refused = await anna.call(LINE)
        assert reason(await refused.ended()) is DiscardReason.BUSY
        assert "receivedCall" not in {event.event for event in stage.telegram.calls[0].events}
        assert stage.app.registry.counted["in.RESTRICTED"] == 1
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith("403")
        assert await stage.outcome() == "RESTRICTED"
        assert len(stage.telegram.calls) == 1
        await phone.dial(BORIS)
        await (await boris.incoming()).hang_up(DiscardReason.BUSY)
        assert (await phone.closed()).startswith("486")
        taken = await boris.call(LINE)
        await phone.incoming()
        await taken.hang_up(DiscardReason.MISSED)
        await phone.closed()


async def test_a_number_without_a_plus(play: PlayMaker) -> None:
    lines = [{"number": LINE, "bare_number_prefix": "+7"}]
    dialplan = "[phones](+)\nexten => _XXXXXX.,1,Stasis(telegram,${EXTEN})\n same => n,Hangup(${TELEGRAM_CAUSE})\n"
    async with play(lines=lines, dialplan=dialplan) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        for dialled in (ANNA.removeprefix("+7"), f"tg#{stage.telegram.user(ANNA).id}"):
            await phone.dial(dialled)
            await (await anna.incoming()).hang_up(DiscardReason.BUSY)
            assert (await phone.closed()).startswith("486")


async def test_other_numbers_are_not_for_telegram(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone:
        for dialled in ("112", "911", "2050", ANNA.removeprefix("+")):
            await phone.dial(dialled)
            assert (await phone.closed())[:3] in ("404", "484")  # 484: the sandbox has longer numbers
        assert not stage.calls


async def test_nobody_there_is_remembered(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone:
        for _ in range(2):
            await phone.dial(NEWCOMER)
            assert (await phone.closed()).startswith("404")
            stage.telegram.add_user(NEWCOMER, "Newcomer")
        await stage.call_over()
        assert stage.outcomes() == ["NOTFOUND", "NOTFOUND"]


async def test_somebody_found_is_remembered_until_telegram_refuses_him(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:

        async def reached() -> None:
            await phone.dial(ANNA)
            await (await anna.incoming()).hang_up(DiscardReason.BUSY)
            assert (await phone.closed()).startswith("486")

        await reached()
        stage.telegram.refuse("contacts.resolvePhone", "PHONE_NOT_OCCUPIED", phone=LINE)
        await reached()  # what is not asked can't be refused
        stage.telegram.clear_faults()
        stage.telegram.refuse("phone.requestCall", "USER_ID_INVALID", phone=LINE)
        await reached()
        stage.telegram.refuse("phone.requestCall", "USER_ID_INVALID", phone=LINE, times=2)
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith("404")


async def test_a_dialled_comma_is_no_option(play: PlayMaker) -> None:
    """The samples let through what a destination may have, and no more."""
    clara = "+79990000007"
    dialplan = "[phones](+)\nexten => 700,1,Goto(to-telegram,@clara_tg,1)\n"
    async with play(dialplan=dialplan) as stage, stage.phone() as phone:
        stage.telegram.add_user(clara, "Clara", username="clara_tg")
        await phone.dial(f"{ANNA},timeout=1")
        assert (await phone.closed()).startswith("484")
        assert not stage.telegram.calls
        async with stage.person(clara) as person:
            for dialled in (clara, "700", f"tg#{stage.telegram.user(clara).id}"):
                await phone.dial(dialled)
                await (await person.incoming()).hang_up(DiscardReason.BUSY)
                assert (await phone.closed()).startswith("486")
