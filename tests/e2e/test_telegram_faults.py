"""What is heard and seen of a call when Telegram's part goes wrong."""

import asyncio

from telethon.tl import types

from ari_app.calls.events import SignallingFailed
from ari_app.reports.history import end_reason
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.store.calls import Query
from ari_app.telegram.line import Line, LineState
from tests.e2e.conftest import PERSON_HZ, TALK_S, PlayMaker, heard

LATE_S = 8.0  # far longer than the line waits for an answer until its light changes


def ready(line: Line) -> bool:
    return line.state is LineState.READY


async def test_a_call_that_comes_while_the_lines_check_is_late(play: PlayMaker) -> None:
    async with play() as stage, stage.phone(auto_answer=True) as phone, stage.person(ANNA) as anna:
        (line,) = stage.app.lines
        stage.telegram.delay("updates.getState", LATE_S, phone=LINE)
        async with asyncio.timeout(4 * LATE_S):
            while ready(line):  # noqa: ASYNC110 - a test need not add an event for it
                await asyncio.sleep(0.05)
        call = await anna.call(LINE)
        await call.confirm(stage.tone("anna", PERSON_HZ), None)
        assert not ready(line)
        await asyncio.sleep(TALK_S)
        await call.hang_up(duration_s=int(TALK_S))
        await phone.closed()
        assert await stage.outcome() == "ANSWER"
        heard(phone.recordings[-1], PERSON_HZ)


async def test_a_caller_whose_app_speaks_none_of_our_versions(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        anna.protocol = types.PhoneCallProtocol(65, 92, ["2.4.4"], udp_p2p=True, udp_reflector=True)
        ended = await (await anna.call(LINE)).ended()
        assert isinstance(ended.reason, types.PhoneCallDiscardReasonDisconnect)
        assert not any(event.type == "CALL_INCOMING" for event in phone.events)
        assert stage.app.registry.counted["in.UNAVAILABLE"] == 1
        (kept,) = (await stage.app.services.history.find(Query())).rows
        assert (kept.status, "2.4.4" in str(end_reason(kept))) == ("UNAVAILABLE", True)


async def test_signalling_that_fails_while_the_audio_connects(play: PlayMaker) -> None:
    async with play() as stage, stage.phone(auto_answer=True) as phone, stage.person(ANNA) as anna:
        stage.telegram.refuse("phone.sendSignalingData", "RPC_CALL_FAIL", phone=LINE, code=500)
        call = await anna.call(LINE)
        await call.confirm(stage.tone("anna", PERSON_HZ), None)
        await stage.talking()
        events = [each.event for each in stage.calls[-1].events]
        assert any(isinstance(each, SignallingFailed) for each in events)
        await call.hang_up()
        await phone.closed()
        assert await stage.outcome() == "ANSWER"
