"""The legs of a call against a real Asterisk."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import adopted_bridge, bridged, reconcile
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import AriConflict, AriError, AriNotFound, AriTimeout, LegEnded
from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.external_media import adopted_media_leg, rtp_media_leg, websocket_media_leg
from ari_app.asterisk.hangup import REASONS
from ari_app.asterisk.legs import adopted_dialplan_leg, adopted_incoming_leg, dialplan_leg, incoming_leg
from ari_app.sandbox.asterisk import PrivateAsterisk

from .ari_helpers import (
    APP,
    DIALPLAN,
    WAIT_S,
    calls_telegram,
    channels_are,
    connected,
    eventually,
    global_variable,
    no_bridge_is_left,
    nothing_is_left,
    reaches_state,
)

CALLER = CallerId("Анна", "+79990000001")


@pytest.fixture
def extra_dialplan() -> str:
    return DIALPLAN


async def test_the_dialplan_answers_and_leaving_hangs_up(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        async with (
            asyncio.timeout(WAIT_S),
            dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as leg,
        ):
            await leg.answered()
            assert leg.hangup is None
        await nothing_is_left(client)


async def test_the_dialplan_refuses_with_its_cause(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        for _ in range(30):  # also at once, before ARI's reply is read
            async with (
                asyncio.timeout(WAIT_S),
                dialplan_leg(client, extension="busy", context="ari-test", caller_id=CALLER) as leg,
            ):
                with pytest.raises(LegEnded, match="dialplan leg to busy@ari-test ended: 17 User busy") as caught:
                    await leg.answered()
                assert caught.value.hangup.cause == 17
                assert await leg.hung_up() == caught.value.hangup
        await nothing_is_left(client)


async def test_the_dialplan_hangs_up_after_the_answer(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        async with (
            asyncio.timeout(WAIT_S),
            dialplan_leg(client, extension="rejects", context="ari-test", caller_id=CALLER) as leg,
        ):
            await leg.answered()
            assert (await leg.hung_up()).cause == 21
            with pytest.raises(LegEnded):
                while True:  # its channel may live on for a moment
                    await leg.press("1")
        await nothing_is_left(client)


async def test_a_leg_whose_channel_is_redirected_is_over_and_the_channel_lives(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        async with (
            asyncio.timeout(WAIT_S),
            Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami,
            dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as leg,
        ):
            await leg.answered()
            name = (await client.channels.get(channelId=leg.id)).name
            await ami.action("Redirect", Channel=name, Exten="tone", Context="ari-test", Priority="1")
            await leg.hung_up()
        assert not await reconcile(client)
        await channels_are(client, {leg.id, f"{leg.id}-far"})
        await client.channel(leg.id).hangup()
        await nothing_is_left(client)


async def test_a_call_that_another_application_takes_in_the_dialplan_is_left_to_it(asterisk: PrivateAsterisk) -> None:
    async with (
        connected(asterisk) as client,
        connected(asterisk, app="other") as other,
        other.subscribe() as arrivals,
        asyncio.timeout(WAIT_S),
        dialplan_leg(client, extension="other", context="ari-test", caller_id=CALLER) as leg,
    ):
        start = await arrivals.next(STASIS_START)
        assert isinstance(start, StasisStart)
        async with incoming_leg(other, start) as far:
            assert far.id == f"{leg.id}-far"
            assert not await reconcile(client)
            await far.answer()
            await leg.answered()
            assert not await reconcile(client)


async def test_no_such_extension_ends_the_leg(asterisk: PrivateAsterisk) -> None:
    async with (
        connected(asterisk) as client,
        asyncio.timeout(WAIT_S),
        dialplan_leg(client, extension="nobody", context="ari-test", caller_id=CALLER) as leg,
    ):
        with pytest.raises(LegEnded, match="nobody@ari-test"):
            await leg.answered()


@pytest.mark.parametrize("extension", ["", "1@other", "1/n", "1&2", "1,2", "1 2", "1\n"])
async def test_an_extension_cannot_become_something_else(extension: str) -> None:
    async with AriClient("http://127.0.0.1:1/ari", "user", "password", APP) as client:
        with pytest.raises(ValueError, match="can be no extension"):
            async with dialplan_leg(client, extension=extension, context="ari-test", caller_id=CALLER):
                pass


@pytest.mark.asterisk_16
async def test_the_cause_reaches_the_dialplan(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, asyncio.timeout(WAIT_S):
        for cause in REASONS:
            assert await seen_by_the_dialplan(client, cause) == cause


@pytest.mark.asterisk_22
async def test_a_cause_without_a_word_reaches_the_dialplan(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, asyncio.timeout(WAIT_S):
        assert await seen_by_the_dialplan(client, 20) == 20


async def seen_by_the_dialplan(client: AriClient, cause: int) -> int:
    """Hang up a ringing leg; the cause that its other half ends with."""
    async with AsyncExitStack() as watching:
        async with dialplan_leg(client, extension="ring", context="ari-test", caller_id=CALLER) as leg:
            far = await watching.enter_async_context(client.subscribe(channel_id=f"{leg.id}-far"))
            await reaches_state(client, leg.id, "Ringing")
            leg.cause = cause
        return int((await far.next("ChannelDestroyed")).raw["cause"])


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 50])
async def test_a_cancelled_call_leaves_nothing_however_early(asterisk: PrivateAsterisk, steps: int) -> None:
    async with connected(asterisk) as client:

        async def call() -> None:
            async with dialplan_leg(client, extension="ring", context="ari-test", caller_id=CALLER) as leg:
                await leg.answered()

        task = asyncio.create_task(call())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_is_left(client)


async def test_a_second_cancellation_does_not_cut_the_closing_short(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        opened = asyncio.Event()

        async def call() -> None:
            async with dialplan_leg(client, extension="ring", context="ari-test", caller_id=CALLER) as leg:
                opened.set()
                await leg.answered()

        task = asyncio.create_task(call())
        async with asyncio.timeout(WAIT_S):
            await opened.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_is_left(client)


async def test_leaving_the_client_waits_for_the_closing(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as observer_of_channels:
        with pytest.raises(RuntimeError, match="the call"):
            async with AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, "other") as client:
                await client.wait_connected(WAIT_S)
                async with dialplan_leg(client, extension="ring", context="ari-test", caller_id=CALLER):
                    raise RuntimeError("the call")
        await nothing_is_left(observer_of_channels)


async def test_a_channel_whose_request_was_given_up_is_hung_up_when_it_comes(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        await client.channels.originate(
            endpoint="Local/echo@ari-test/n", app=APP, channelId=client.new_id(), timeout=-1
        )
        await nothing_is_left(client)


async def test_digits_reach_the_dialplan(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        async with (
            asyncio.timeout(WAIT_S),
            dialplan_leg(client, extension="read", context="ari-test", caller_id=CALLER) as leg,
        ):
            await leg.answered()
            await leg.press("7*0")
            assert (await leg.hung_up()).cause == 31
        assert await global_variable(asterisk, "SEEN") == "7*0"


@pytest.mark.parametrize(
    "name",
    ["Иван", '"Иван" <x>', "back\\slash", '\\"', "x> <666", "a,b;c", "${EXTEN}", "", "名前 🙂", '"'],
)
async def test_a_name_stays_a_name(asterisk: PrivateAsterisk, name: str) -> None:
    variables = {"X-TG-Phone": "+7 999", "TELEGRAM_CITY": 'Тверь, "x"', "__INHERITED": name or "empty"}
    async with (
        connected(asterisk) as client,
        asyncio.timeout(WAIT_S),
        dialplan_leg(
            client,
            extension="vars",
            context="ari-test",
            caller_id=CallerId(name, "+7999<1>"),
            variables=variables,
        ) as leg,
    ):
        await leg.answered()
        seen = await global_variable(asterisk, "SEEN")
    assert seen == f'{name}|+79991|+7 999|Тверь, "x"|{name or "empty"}'


async def test_incoming_rings_answers_and_is_hung_up(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, client.subscribe() as application, asyncio.timeout(WAIT_S):
        caller = await calls_telegram(client)
        start = await application.next(STASIS_START)
        assert isinstance(start, StasisStart)
        async with incoming_leg(client, start) as leg:
            assert leg.args == ["+79990000001", "second argument"]
            assert (leg.caller_name, leg.caller_number) == ("Anna", "101")
            assert await leg.get_variable("CHANNEL(state)") == "Ring"
            assert await leg.get_variable("NO_SUCH_VARIABLE") == ""
            await leg.ring()
            await leg.answer()
            await reaches_state(client, caller.id, "Up")
        await nothing_is_left(client)


async def test_incoming_goes_back_to_the_dialplan_with_a_result(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, client.subscribe() as application, asyncio.timeout(WAIT_S):
        await calls_telegram(client)
        start = await application.next(STASIS_START)
        assert isinstance(start, StasisStart)
        async with incoming_leg(client, start) as leg:
            await leg.continue_in_dialplan({"TELEGRAM_STATUS": "ЗАНЯТО + 1", "TELEGRAM_CAUSE": "17"})
            await leg.hung_up()
        assert await global_variable(asterisk, "SEEN") == "ЗАНЯТО + 1"
        await nothing_is_left(client)


async def test_an_incoming_caller_who_gives_up_is_noticed(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, client.subscribe() as application, asyncio.timeout(WAIT_S):
        caller = await calls_telegram(client)
        start = await application.next(STASIS_START)
        assert isinstance(start, StasisStart)
        async with incoming_leg(client, start) as leg:
            await leg.ring()
            await caller.hangup(reason_code=16)
            assert (await leg.hung_up()).cause == 16
            await nothing_is_left(client)
            with pytest.raises(LegEnded):
                await leg.answer()


async def test_an_incoming_caller_who_gives_up_before_being_taken_is_noticed(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, client.subscribe() as application, asyncio.timeout(WAIT_S):
        caller = await calls_telegram(client)
        start = await application.next(STASIS_START)
        assert isinstance(start, StasisStart)
        await caller.hangup(reason_code=16)
        await nothing_is_left(client)
        await eventually(lambda: bool(start.since))
        async with incoming_leg(client, start) as leg:
            await leg.hung_up()


class Datagrams(asyncio.DatagramProtocol):
    """Counts what arrives."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait((data, addr))


async def test_external_media_over_rtp_hears_the_dialplan(asterisk: PrivateAsterisk) -> None:
    loop = asyncio.get_running_loop()
    transport, datagrams = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    try:
        async with connected(asterisk) as client:
            async with (
                asyncio.timeout(WAIT_S),
                rtp_media_leg(client, transport.get_extra_info("sockname")) as media,
                dialplan_leg(client, extension="tone", context="ari-test", caller_id=CALLER) as leg,
            ):
                await leg.answered()
                async with bridged(client, leg, media) as bridge:
                    packet, sender = await datagrams.received.get()
                    assert packet[1] & 0x7F == 107  # Opus
                    assert sender == media.media_address
                    assert set((await client.bridges.get(bridgeId=bridge.id)).channels) == {leg.id, media.id}
                await no_bridge_is_left(client)
                assert leg.hangup is media.hangup is None  # destroying a bridge ends no leg
            await nothing_is_left(client)
    finally:
        transport.close()


@pytest.mark.asterisk_22
async def test_external_media_over_websocket_hears_the_dialplan(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, aiohttp.ClientSession() as session:
        async with (
            asyncio.timeout(WAIT_S),
            websocket_media_leg(client) as media,
            dialplan_leg(client, extension="tone", context="ari-test", caller_id=CALLER) as leg,
        ):
            await leg.answered()
            async with (
                session.ws_connect(media.media_url, protocols=["media"]) as socket,
                bridged(client, leg, media),
            ):
                while (await socket.receive()).type is not aiohttp.WSMsgType.BINARY:
                    pass
            await media.hung_up()  # its program went away
        await nothing_is_left(client)


@pytest.mark.asterisk_22
async def test_a_leg_that_does_not_come_cannot_be_bridged(
    asterisk: PrivateAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.asterisk.bridging.ENTER_TIMEOUT_S", 0.05)
    async with connected(asterisk) as client:
        async with websocket_media_leg(client) as media:
            with pytest.raises(AriTimeout, match="did not enter Stasis"):
                async with bridged(client, media):
                    pass
            with pytest.raises(AriError, match="has another transport"):
                _ = media.media_address
        await nothing_is_left(client)


async def test_a_leg_that_ended_cannot_be_bridged(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        async with (
            asyncio.timeout(WAIT_S),
            rtp_media_leg(client, ("127.0.0.1", 9)) as media,
            dialplan_leg(client, extension="rejects", context="ari-test", caller_id=CALLER) as leg,
        ):
            await leg.hung_up()
            with pytest.raises((LegEnded, AriConflict)):
                async with bridged(client, media, leg):
                    await nothing_is_left(client)
        await nothing_is_left(client)


async def originated(client: AriClient, extension: str) -> str:
    """A channel of a run of the program that is over: in Stasis, and nobody is attached to it; its id."""
    channel_id = client.new_id()
    async with client.subscribe(channel_id=channel_id) as subscription:
        await client.channels.originate(
            endpoint=f"Local/{extension}@ari-test/n", app=APP, channelId=channel_id, timeout=-1
        )
        await subscription.next(STASIS_START)
    return channel_id


async def test_an_adopted_leg_is_closed_as_an_opened_one(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, asyncio.timeout(WAIT_S):
        channel_id = await originated(client, "echo")
        async with adopted_dialplan_leg(client, channel_id) as leg:
            await leg.answered()
            await leg.press("1")
            assert leg.hangup is None
        await nothing_is_left(client)


async def test_the_end_of_an_adopted_leg_is_noticed_with_its_cause(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, asyncio.timeout(WAIT_S):
        channel_id = await originated(client, "echo")
        async with adopted_dialplan_leg(client, channel_id) as leg:
            await client.channel(channel_id).hangup(reason_code=17)
            assert (await leg.hung_up()).cause == 17


async def test_a_leg_that_is_gone_is_not_adopted(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, asyncio.timeout(WAIT_S):
        for door in (adopted_dialplan_leg, adopted_incoming_leg, adopted_media_leg, adopted_bridge):
            with pytest.raises(AriNotFound):
                async with door(client, client.new_id()):
                    raise AssertionError


async def test_an_adopted_caller_goes_back_to_their_dialplan(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client, client.subscribe() as application, asyncio.timeout(WAIT_S):
        await calls_telegram(client)
        start = await application.next(STASIS_START)
        async with adopted_incoming_leg(client, start.channel_id) as leg:
            await leg.continue_in_dialplan({"TELEGRAM_STATUS": "ANSWER", "TELEGRAM_CAUSE": "16"})
            await leg.hung_up()
        assert await global_variable(asterisk, "SEEN") == "ANSWER"
        await nothing_is_left(client)


async def test_an_adopted_bridge_and_media_leg_are_closed_as_opened_ones(asterisk: PrivateAsterisk) -> None:
    loop = asyncio.get_running_loop()
    transport, datagrams = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    try:
        async with connected(asterisk) as client, asyncio.timeout(WAIT_S):
            leg_id, media_id, bridge_id = await originated(client, "tone"), client.new_id(), client.new_id()
            async with client.subscribe(channel_id=media_id) as subscription:
                await client.channels.externalMedia(
                    app=APP, external_host=f"{host}:{port}", format="opus", channelId=media_id
                )
                await subscription.next(STASIS_START)
            bridge = await client.bridges.create(type="mixing", bridgeId=bridge_id)
            for each in (leg_id, media_id):
                await bridge.addChannel(channel=each)
            async with (
                adopted_media_leg(client, media_id) as media,
                adopted_dialplan_leg(client, leg_id) as leg,
                adopted_bridge(client, bridge_id) as found,
            ):
                await datagrams.received.get()
                assert set(found.channels) == {leg.id, media.id}
            await nothing_is_left(client)
    finally:
        transport.close()
