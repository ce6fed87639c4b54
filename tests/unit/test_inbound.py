"""An incoming call, whatever each party and each part of it does."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from telethon import errors
from telethon.tl import types

from ari_app.calls import inbound as inbound_module
from ari_app.calls import outcome
from ari_app.calls.events import (
    Bridged,
    CallEnded,
    CallOffered,
    Connected,
    MediaConnected,
    MediaTimedOut,
    PbxAnswered,
    PbxRinging,
    TelegramAnswered,
    TelegramRinging,
)
from ari_app.calls.inbound import inbound
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import NoCodec
from ari_app.calls.scope import CallScope
from ari_app.telegram.phone import Offer
from media.types import Codecs, MediaError
from tests.unit.call_rig import CallRig, call_rig, flow, handled, new_call
from tests.unit.fake_telegram import ANNA, FROM_ANNA, confirmed, discarded

BUSY, HANGUP = types.PhoneCallDiscardReasonBusy, types.PhoneCallDiscardReasonHangup
MISSED, DISCONNECT = types.PhoneCallDiscardReasonMissed, types.PhoneCallDiscardReasonDisconnect


@pytest.fixture
async def rig() -> AsyncIterator[CallRig]:
    async with call_rig() as made:
        yield made


class Inbound:
    """A call from Anna, with the steps that each side does."""

    def __init__(self, rig: CallRig, offer: Offer, scope: CallScope) -> None:
        self.rig, self.offer, self.scope, self.call = rig, offer, scope, scope.call
        self.leg = ""

    async def pbx_answers(self) -> None:
        self.leg = await self.rig.dialplan("Up")

    async def confirms(self) -> None:
        """Anna's app confirms the key that `acceptCall` has begun."""
        await self.rig.telegram.asked_for("phone.acceptCall")
        await self.rig.telegram.tells(confirmed(**FROM_ANNA))

    async def talks(self) -> None:
        await self.pbx_answers()
        await self.confirms()
        await self.call.connected()

    @property
    def told(self) -> list[Any]:
        """The reasons that Telegram was told."""
        return [type(each.reason) for each in self.rig.telegram.requests["phone.discardCall"]]


def calling(rig: CallRig, offer: Offer) -> Any:
    call = new_call(Direction.IN)
    return handled(call, lambda scope: inbound(scope, rig.line, offer, rig.resources, cast(Any, rig.keypads)))


def nothing_is_left(rig: CallRig) -> None:
    assert (rig.ari.channels, rig.ari.bridges, rig.pool.open) == ({}, {}, 0)
    assert rig.keypads.hidden == rig.keypads.shown


async def test_both_sides_talk_until_the_pbx_hangs_up(rig: CallRig) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.talks()
        assert it.call.state is CallState.TALKING
        assert rig.media.attached == ("127.0.0.1", 5000)
        await rig.hangs_up(it.leg)
    assert flow(it.call) == [
        CallOffered, TelegramRinging, PbxRinging, PbxAnswered, Bridged, TelegramAnswered, MediaConnected, Connected,
        CallEnded,
    ]  # fmt: skip
    assert it.call.ending == outcome.asterisk_ended(16, Direction.IN, talking=True)
    assert it.told == [HANGUP]
    nothing_is_left(rig)


@pytest.mark.parametrize(
    ("modules", "codecs"),
    [(["codec_opus", "codec_g722"], Codecs("opus", "g722")), (["codec_alaw"], Codecs("alaw", "alaw"))],
)
async def test_the_audio_is_what_this_asterisk_can_translate(rig: CallRig, modules: list[str], codecs: Codecs) -> None:
    rig.ari.modules = modules
    await rig.codecs.learn()
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        await Inbound(rig, offer, scope).talks()
        scope.call.end(outcome.shut_down(talking=True))
    assert rig.media.codecs == codecs
    assert rig.ari.queries["POST /channels"]["formats"] == codecs.from_asterisk
    assert rig.ari.queries["POST /channels/externalMedia"]["format"] == codecs.from_asterisk
    assert Bridged("rtp", codecs.from_asterisk, codecs.to_asterisk) in [each.event for each in scope.call.events]


async def test_a_phone_whose_codec_asterisk_cannot_translate_is_not_left_in_silence(
    rig: CallRig, caplog: pytest.LogCaptureFixture
) -> None:
    """Asterisk puts the media channel out of the bridge again, and tells that by this event alone."""
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.pbx_answers()
        await rig.telegram.asked_for("phone.acceptCall")
        (media,) = rig.media_channels
        await rig.ari.event("ChannelLeftBridge", channel=rig.ari.channels[media], bridge={"id": "1", "channels": []})
    assert it.call.ending == outcome.not_translated("opus", talking=False)
    assert (it.call.ending.status, it.call.ending.cause) == (Status.ERROR, 58)
    assert it.told == [DISCONNECT]
    assert any(record.levelname == "ERROR" and "can't translate" in record.getMessage() for record in caplog.records)
    nothing_is_left(rig)


async def test_nobody_is_rung_where_asterisk_has_no_codec(rig: CallRig, caplog: pytest.LogCaptureFixture) -> None:
    rig.ari.modules = ["codec_gsm"]
    await rig.codecs.learn()
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
    assert it.call.ending is not None
    assert (it.call.ending.status, it.call.ending.cause, it.call.ending.reason) == (Status.ERROR, 58, NoCodec())
    assert flow(it.call) == [CallOffered, CallEnded]
    assert it.told == [DISCONNECT]
    assert [record.levelname for record in caplog.records if "refused" in record.getMessage()] == ["ERROR", "ERROR"]
    nothing_is_left(rig)


async def test_the_dialplan_learns_who_calls(rig: CallRig) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        await Inbound(rig, offer, scope).talks()
        scope.call.end(outcome.shut_down(talking=True))
    asked = rig.ari.queries["POST /channels"]
    assert asked["endpoint"] == "Local/79990000001@from-telegram/n"
    assert asked["callerId"].endswith(f"<{ANNA}>")


@pytest.mark.parametrize(
    ("cause", "status", "reason"),
    [
        (17, Status.BUSY, BUSY),
        (21, Status.BUSY, BUSY),
        (19, Status.NOANSWER, MISSED),
        (42, Status.ERROR, DISCONNECT),
    ],
)
async def test_a_dialplan_that_hangs_up_before_it_answers(
    rig: CallRig, cause: int, status: Status, reason: Any
) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await rig.hangs_up(await rig.dialplan("Down"), cause)
    assert it.call.ending is not None
    assert (it.call.ending.status, it.told) == (status, [reason])
    nothing_is_left(rig)


async def test_a_dialplan_that_never_answers(rig: CallRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_module, "RING_IN_S", 0.01)
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
    assert it.call.ending == outcome.not_answered(0.01)
    assert it.told == [MISSED]
    nothing_is_left(rig)


async def test_a_caller_who_gives_up_while_it_rings(rig: CallRig) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await rig.dialplan("Down")
        await rig.telegram.tells(discarded(MISSED()))
    assert it.call.ending is not None
    assert it.call.ending.status is Status.CANCEL
    assert it.told == [], "they know"
    nothing_is_left(rig)


async def test_a_caller_who_hangs_up_while_they_talk(rig: CallRig) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.talks()
        await rig.telegram.tells(discarded(HANGUP(), 7))
    assert it.call.ending is not None
    assert (it.call.ending.status, int(it.call.ending.cause)) == (Status.ANSWER, 16)
    assert rig.ari.queries[f"DELETE /channels/{it.leg}"] == {"reason": "normal"}
    nothing_is_left(rig)


async def test_a_caller_who_never_confirms_costs_only_their_call(rig: CallRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.telegram.phone_call.CONFIRM_S", 0.01)
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.pbx_answers()
    assert it.call.ending is not None
    assert (it.call.ending.status, it.told) == (Status.ERROR, [DISCONNECT])
    nothing_is_left(rig)


async def test_telegrams_media_that_does_not_come_up(rig: CallRig) -> None:
    rig.connect_s, rig.media.connects = 0.01, False
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.pbx_answers()
        await it.confirms()
    assert flow(it.call)[-2:] == [MediaTimedOut, CallEnded]
    assert it.call.ending == outcome.no_media(0.01)
    nothing_is_left(rig)


async def test_a_media_process_that_is_lost_while_they_talk(rig: CallRig) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.talks()
        rig.media.lose("it ended by SIGKILL")
    assert it.call.ending == outcome.audio_lost("it ended by SIGKILL", talking=True)
    assert it.told == [DISCONNECT]
    nothing_is_left(rig)


async def test_asterisk_closes_the_media_channel(rig: CallRig) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await it.talks()
        (media,) = rig.media_channels
        await rig.hangs_up(media)
    assert it.call.ending is not None
    assert it.call.ending.status is Status.ANSWER
    nothing_is_left(rig)


async def test_no_media_process_can_be_started(rig: CallRig) -> None:
    rig.pool.error = MediaError("the machine is out of memory")
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
    assert it.call.ending is not None
    assert (it.call.ending.status, it.told) == (Status.ERROR, [DISCONNECT])
    assert rig.telegram.requests["phone.receivedCall"] == [], "it has not rung for nothing"


@pytest.mark.parametrize("request_name", ["phone.receivedCall", "phone.acceptCall"])
async def test_telegram_refuses_a_step_of_the_call(rig: CallRig, request_name: str) -> None:
    rig.telegram.answers[request_name] = [errors.RPCError(None, "NEW_ONE", 400)]
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        if request_name == "phone.acceptCall":
            await it.pbx_answers()
    assert it.call.ending is not None
    assert (it.call.ending.status, it.told) == (Status.ERROR, [DISCONNECT])
    nothing_is_left(rig)


@pytest.mark.parametrize("request_start", ["POST /channels", "POST /channels/externalMedia", "POST /bridges"])
async def test_asterisk_refuses_a_part_of_the_call(rig: CallRig, request_start: str) -> None:
    rig.ari.refuse = lambda request: 500 if request == request_start else None
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        if request_start != "POST /channels":
            await it.pbx_answers()
    assert it.call.ending is not None
    assert (it.call.ending.status, it.told) == (Status.ERROR, [DISCONNECT])
    nothing_is_left(rig)


@pytest.mark.parametrize(("talking", "reason"), [(False, BUSY), (True, HANGUP)])
async def test_an_administrator_hangs_up(rig: CallRig, talking: bool, reason: Any) -> None:
    offer = await rig.offered()
    async with calling(rig, offer) as scope:
        it = Inbound(rig, offer, scope)
        await (it.talks() if talking else rig.dialplan("Down"))
        it.call.end(outcome.by_administrator(Direction.IN, talking))
    assert it.told == [reason]
    nothing_is_left(rig)
