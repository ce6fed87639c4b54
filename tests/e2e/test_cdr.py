"""What Asterisk's own CDR and CEL have of a call, read from its files: one row for each time that two parties talk."""

import asyncio
import csv
import re

import pytest

from ari_app.sandbox.asterisk import PROJECT_DIALPLAN
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import GONE_S, WEBSOCKET, Play, PlayMaker, nothing_left_in

LINE_EXTENSION = LINE.removeprefix("+")
SETTINGS = {"number": LINE, "context": "incoming", "max_calls": 2, "account_code": "sales"}
DIALPLAN = (
    f'#include "{PROJECT_DIALPLAN.parent}/extensions-callback.conf"\n'
    + """
[incoming]
exten => _X.,1,Goto(${KIND},${EXTEN},1)

[late]
exten => _X.,1,Dial(PJSIP/101,1)
 same => n,Hangup(19)

[phones]
exten => _8+X.,1,Goto(to-telegram,${EXTEN:1},1)
exten => _7+X.,1,Set(CHANNEL(accountcode)=of-the-phone)
 same => n,Set(CDR(userfield)=of-the-dialplan)
 same => n,Goto(${EXTEN:1},1)
"""
)
DIAL = ANNA
"""Dialled by a phone: Dial(Local/...@to-telegram/n)."""
STASIS = f"8{ANNA}"
"""Stasis() for the phone's own channel."""
NOT_ON_TELEGRAM = "+79990009999"
TALK_S = 1.0

Row = dict[str, str]


def written(stage: Play, sample: str, column: str) -> list[Row]:
    """The rows in the file of a sample of ours, which is begun anew; ``column`` finds the names of its columns."""
    path = stage.asterisk.run_dir / "log" / sample.replace("_", "-") / "telegram.csv"
    if not path.exists():
        return []
    names = re.findall(column, (PROJECT_DIALPLAN.parent / f"{sample}.conf").read_text())
    with path.open(newline="") as file:
        found = [dict(zip(names, row, strict=True)) for row in csv.reader(file)]
    path.unlink()
    return found


async def cdr(stage: Play, rows: int = 1) -> list[Row]:
    """The rows since the last time, in the order of their beginning; one too many fails this time or the next."""
    assert await nothing_left_in(stage.asterisk) == []
    found: list[Row] = []
    async with asyncio.timeout(GONE_S):
        while len(found) < rows or ";" in await stage.asterisk.cli("cdr show active"):
            found += written(stage, "cdr_custom", r"\bCDR\((\w+)")
            await asyncio.sleep(0.1)
    assert len(found) == rows, found
    return sorted(found, key=lambda row: (row["start"], row["uniqueid"]))


def is_billed(stage: Play, row: Row) -> None:
    """Asterisk's seconds are whole, and may begin a moment before both hear each other."""
    call = stage.calls[-1]
    assert row["disposition"] == "ANSWERED"
    assert call.talked_s - 1 <= int(row["billsec"]) <= call.events[-1].at_s + 1, (row, call.events)


def has(row: Row, **wanted: str) -> None:
    """It has these columns."""
    assert {name: row[name] for name in wanted} == wanted


async def comes_in(stage: Play, phone: SipPhone, anna: Person, kind: str = "from-telegram") -> PersonCall:
    """Anna calls the line, and the phone rings; ``kind`` is the context that decides."""
    await stage.asterisk.cli(f"dialplan set global KIND {kind}")
    call = await anna.call(LINE)
    await phone.incoming()
    return call


async def test_an_incoming_call_is_one_row(play: PlayMaker) -> None:
    async with play(dialplan=DIALPLAN, lines=[SETTINGS]) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        anna_id = str(stage.telegram.user(ANNA).id)
        call = await comes_in(stage, phone, anna)
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        await asyncio.sleep(TALK_S)
        await call.hang_up()
        await phone.closed()
        await stage.call_over()
        [row] = await cdr(stage)
        is_billed(stage, row)
        has(row, src=anna_id, clid=f'"Анна" <{anna_id}>', dst=LINE_EXTENSION, dcontext="from-telegram")
        has(row, accountcode="sales", telegram_direction="in", telegram_line=LINE, telegram_id=anna_id)
        has(row, telegram_call=stage.calls[-1].id)
        assert row["dstchannel"].startswith("PJSIP/101-")

        call = await comes_in(stage, phone, anna)
        await phone.hangup()
        await call.ended()
        has((await cdr(stage))[0], src=anna_id, disposition="BUSY", billsec="0")

        call = await comes_in(stage, phone, anna, "late")
        await call.ended()
        has((await cdr(stage))[0], src=anna_id, disposition="NO ANSWER", billsec="0")

        call = await comes_in(stage, phone, anna)
        await call.hang_up()
        await phone.closed()
        has((await cdr(stage))[0], src=anna_id, disposition="NO ANSWER", billsec="0")
        assert stage.outcomes() == ["ANSWER", "BUSY", "NOANSWER", "CANCEL"]


async def goes_out(stage: Play, phone: SipPhone, anna: Person, number: str) -> PersonCall:
    """The phone dials, and Anna's Telegram rings."""
    await phone.dial(number)
    call = await anna.incoming()
    await call.ring()
    await phone.wait_for("CALL_RINGING")
    return call


async def test_an_answered_outgoing_call_is_one_row(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN, lines=[SETTINGS]) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        for number in STASIS, DIAL:
            for person_hangs_up in False, True:
                call = await goes_out(stage, phone, anna, number)
                await call.accept(None, None)
                await phone.established()
                await stage.talking()
                await asyncio.sleep(TALK_S)
                await (call.hang_up() if person_hangs_up else phone.hangup())
                await phone.closed()
                await call.close_audio()
                [row] = await cdr(stage)
                is_billed(stage, row)
                has(row, src="101", dst=ANNA, accountcode="sales", **of_anna(stage, "ANSWER"))


def of_anna(stage: Play, status: str) -> Row:
    """The columns of ours."""
    anna_id, call_id = str(stage.telegram.user(ANNA).id), stage.calls[-1].id
    return {
        "telegram_direction": "out",
        "telegram_line": LINE,
        "telegram_id": anna_id,
        "telegram_status": status,
        "telegram_call": call_id,
        "userfield": f"telegram direction=out line={LINE} id={anna_id} status={status} call={call_id}",
    }


async def test_an_outgoing_call_that_nobody_took_is_one_row(play: PlayMaker) -> None:
    """Of a Stasis() for the phone's own channel, Asterisk writes none, as of anything that reaches no other channel."""
    reasons = {
        DiscardReason.BUSY: ("BUSY", "BUSY"),
        DiscardReason.HANGUP: ("BUSY", "NO ANSWER"),
        DiscardReason.MISSED: ("NOANSWER", "NO ANSWER"),
        DiscardReason.DISCONNECT: ("UNAVAILABLE", "FAILED"),
    }
    async with play(dialplan=DIALPLAN, lines=[SETTINGS]) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        for reason, (status, disposition) in reasons.items():
            call = await goes_out(stage, phone, anna, DIAL)
            await call.hang_up(reason)
            await phone.closed()
            [row] = await cdr(stage)
            has(row, src="101", dst=DIAL, disposition=disposition, billsec="0", **of_anna(stage, status))

        await goes_out(stage, phone, anna, DIAL)
        await phone.hangup()
        await phone.closed()
        [row] = await cdr(stage)
        has(row, src="101", dst=DIAL, disposition="NO ANSWER", billsec="0", **of_anna(stage, "CANCEL"))

        await phone.dial(NOT_ON_TELEGRAM)
        await phone.closed()
        [row] = await cdr(stage)
        has(row, src="101", disposition="NO ANSWER", telegram_line=LINE, telegram_id="", telegram_status="NOTFOUND")

        call = await goes_out(stage, phone, anna, f"7{ANNA}")
        await call.hang_up(DiscardReason.BUSY)
        await phone.closed()
        [row] = await cdr(stage)
        has(row, accountcode="of-the-phone", userfield="of-the-dialplan", telegram_status="BUSY")


async def test_a_call_back_is_one_row(play: PlayMaker) -> None:
    """Billed from the agent's answer, as any call that is put through to somebody else."""
    async with play(dialplan=DIALPLAN, lines=[SETTINGS]) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        anna_id = str(stage.telegram.user(ANNA).id)
        await stage.asterisk.cli("dialplan set global KIND from-callback")
        await stage.app.services.dispatcher.test_call(stage.app.lines.line(LINE), ANNA)
        await phone.incoming()
        await phone.answer()
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await stage.talking()
        await asyncio.sleep(TALK_S)
        await phone.hangup()
        await phone.closed()
        await call.close_audio()
        [row] = await cdr(stage)
        is_billed(stage, row)
        has(row, src=anna_id, dst=LINE_EXTENSION, accountcode="sales", telegram_direction="back")
        has(row, telegram_line=LINE, telegram_id=anna_id, telegram_call=stage.calls[-1].id)


async def goes_on_with(other: SipPhone, phone: SipPhone, call: PersonCall) -> None:
    """The phone transfers the call to another one, which then hangs up."""
    await phone.transfer("102")
    await other.established()
    await phone.closed()
    await asyncio.sleep(TALK_S)
    await other.hangup()
    await call.ended()
    await call.close_audio()


def is_joined(stage: Play, linked: str) -> None:
    """Asterisk's CEL has the call under one linkedid: the media channel takes it when it is bridged."""
    events = written(stage, "cel_custom", r"CSV_QUOTE\(\$\{(?:\w+\()?(\w+)")
    assert {"CHAN_START", "ANSWER", "BRIDGE_ENTER", "BLINDTRANSFER", "LINKEDID_END"} <= {
        event["eventtype"] for event in events
    }
    media = [event for event in events if event["channame"].startswith(("UnicastRTP/", "WebSocket/"))]
    stub = [event for event in media if event["linkedid"] == event["uniqueid"] != linked]
    assert next(event["eventtype"] for event in media if event["linkedid"] == linked) == "BRIDGE_ENTER"
    assert {event["linkedid"] for event in events if event not in stub} == {linked}


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_a_transferred_call_is_two_rows_that_belong_together(play: PlayMaker, transport: str) -> None:
    async with (
        play(dialplan=DIALPLAN, lines=[SETTINGS], asterisk={"transport": transport}) as stage,
        stage.phone() as phone,
        stage.phone("102", auto_answer=True) as other,
        stage.person(ANNA) as anna,
    ):
        anna_id = str(stage.telegram.user(ANNA).id)
        call = await comes_in(stage, phone, anna)
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        await goes_on_with(other, phone, call)
        first, second = await cdr(stage, 2)
        has(first, src=anna_id, disposition="ANSWERED", telegram_id=anna_id)  # its dst may be 102 by now
        has(second, src=anna_id, dst="102", disposition="ANSWERED", linkedid=first["linkedid"])
        is_joined(stage, first["linkedid"])

        for number in STASIS, DIAL:
            call = await goes_out(stage, phone, anna, number)
            await call.accept(None, None)
            await phone.established()
            await stage.talking()
            await goes_on_with(other, phone, call)
            first, second = await cdr(stage, 2)
            has(first, src="101", dst=ANNA, disposition="ANSWERED", **of_anna(stage, "ANSWER"))
            has(second, src=anna_id, dst="102", disposition="ANSWERED", linkedid=first["linkedid"])
            is_joined(stage, first["linkedid"])
