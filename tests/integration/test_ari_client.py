"""The ARI client against a real Asterisk, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import aiohttp
import pytest

from ari_app.asterisk import events, websocket
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import bridged, reconcile, reconciling
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import AriConflict, AriError, AriNotFound, AriRefused, AriTimeout, AriUnreachable
from ari_app.asterisk.external_media import rtp_media_leg
from ari_app.asterisk.legs import dialplan_leg
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.asterisk.websocket import PROBE_TIMEOUT_S
from ari_app.calls.outbound import return_lost
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.tasks import guarded_tasks

from .ari_helpers import (
    APP,
    DIALPLAN,
    WAIT_S,
    Proxy,
    calls_telegram,
    channels_are,
    connected,
    global_variable,
    nothing_is_left,
    reaches_state,
)

CALLER = CallerId("Анна", "+79990000001")
STALL_S = 4.0


@pytest.fixture
def extra_dialplan() -> str:
    return DIALPLAN


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """A server for one kind of misbehaviour; its base URL."""

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(serve_and_close, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/ari"


async def test_what_asterisk_tells_about_itself(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        assert (await client.asterisk.getInfo())["system"]["version"]
        assert "res_ari.so" in {module["name"] for module in await client.asterisk.listModules()}
        assert APP in {application["name"] for application in await client.applications.list()}
        assert (await client.applications.get(applicationName=APP))["channel_ids"] == []
        await client.endpoints.list()


async def test_an_unknown_channel_is_not_found(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        with pytest.raises(AriNotFound, match="GET /channels/no%2Fsuch: Asterisk answered 404") as caught:
            await client.channels.get(channelId="no/such")
        assert caught.value.status == 404


async def test_a_channel_in_no_state_for_it_is_a_conflict(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        channel = await client.channels.originate(
            endpoint="Local/ring@ari-test/n", context="ari-test", extension="echo", priority=1
        )
        with pytest.raises(AriConflict, match="409: Channel not in Stasis application"):
            await channel.answer()
        await channel.hangup()
        await nothing_is_left(client)


async def test_a_wrong_password_is_refused_with_a_hint_and_no_secret(asterisk: PrivateAsterisk) -> None:
    client = AriClient(asterisk.ari_url, asterisk.ari_user, "wrong-secret", APP)
    async with client:
        with pytest.raises(AriRefused, match=r"user .* and that its password") as caught:
            await client.channels.list()
        with pytest.raises(AriRefused, match="password") as caught_socket:
            await client.wait_connected(WAIT_S)
    for text in (str(caught.value), str(caught_socket.value), repr(client)):
        assert "wrong-secret" not in text
    assert asterisk.ari_user in str(caught.value)


async def test_another_http_server_is_named_as_such(asterisk: PrivateAsterisk) -> None:
    url = asterisk.ari_url.replace("/ari", "/elsewhere/ari")
    async with AriClient(url, asterisk.ari_user, asterisk.ari_password, APP) as client:
        with pytest.raises(AriUnreachable, match=r"enabled = yes in ari\.conf"):
            await client.channels.list()


async def test_a_server_that_never_answers_is_a_timeout() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client closes

    async with server(say_nothing) as url, AriClient(url, "user", "password", APP, timeout_s=0.05) as client:
        with pytest.raises(AriTimeout, match=r"POST /channels/x/answer: Asterisk gave no answer within 0\.05 s"):
            await client.channel("x").answer()


async def test_no_server_is_unreachable() -> None:
    async with server(lambda *_: asyncio.sleep(0)) as url:
        pass
    async with AriClient(url, "user", "password", APP) as client:
        with pytest.raises(AriUnreachable, match="no connection to Asterisk"):
            await client.channels.list()


@pytest.mark.parametrize(
    ("ask", "made"),
    [
        (lambda client: client.channels.list(), ["GET /ari/channels"] * 2),
        (lambda client: client.channel("x").hangup(), ["DELETE /ari/channels/x"] * 2),
        (lambda client: client.channel("x").answer(), ["POST /ari/channels/x/answer"]),
    ],
)
async def test_only_what_may_be_repeated_is_tried_again_after_a_reset(
    ask: Callable[[AriClient], Awaitable[object]], made: list[str]
) -> None:
    requests: list[str] = []

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).decode().partition(" HTTP/1.1")[0]
        if "/events" not in line:
            requests.append(line)

    async with server(break_off) as url, AriClient(url, "user", "password", APP) as client:
        with pytest.raises(AriUnreachable, match="whether it was carried out is unknown"):
            await ask(client)
    assert requests == made


async def test_an_error_in_the_callers_block_goes_on_as_it_is(asterisk: PrivateAsterisk) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with connected(asterisk):
            raise KeyError("mine")


async def test_the_connection_comes_back_and_live_channels_are_followed(asterisk: PrivateAsterisk) -> None:
    async with Proxy(asterisk.http_port) as proxy, connected(asterisk, proxy.ari_url) as client:
        async with (
            client.subscribe() as application,
            dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as stays,
            dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as goes,
            dialplan_leg(client, extension="ring", context="ari-test", caller_id=CALLER) as rings,
        ):
            await stays.answered()
            await goes.answered()
            proxy.refusing = True
            proxy.cut()
            async with asyncio.timeout(WAIT_S):
                await application.next(events.DISCONNECTED)
                assert client.state is not ConnectionState.CONNECTED
                assert isinstance(client.last_error, AriUnreachable)
                await asterisk.cli(f"channel request hangup {await _name(asterisk, goes.id)}")
                proxy.refusing = False
                await application.next(events.CONNECTED)
                assert (await goes.hung_up()).cause_text == "Gone while Asterisk was not connected"
                assert stays.hangup is None
                assert rings.hangup is None
                # Events of the channels that stayed arrive as before.
                await asterisk.cli(f"channel request hangup {await _name(asterisk, stays.id)}")
                await stays.hung_up()
        await nothing_is_left(client)


async def _name(asterisk: PrivateAsterisk, channel_id: str) -> str:
    async with AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, "observer") as direct:
        return (await direct.channels.get(channelId=channel_id)).name


async def test_a_restart_of_asterisk_is_seen_and_ends_the_legs(asterisk: PrivateAsterisk) -> None:
    restarted = PrivateAsterisk(dialplan=DIALPLAN)
    restarted.ari_password = asterisk.ari_password
    async with (
        asyncio.timeout(WAIT_S),
        restarted,
        Proxy(asterisk.http_port) as proxy,
        connected(asterisk, proxy.ari_url) as client,
        client.subscribe() as application,
        dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as leg,
    ):
        await leg.answered()
        proxy.target_port = restarted.http_port
        await asterisk.__aexit__(None, None, None)
        await application.next(events.DISCONNECTED)
        await application.next(events.CONNECTED)
        await leg.hung_up()
        async with dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as another:
            await another.answered()
        await nothing_is_left(client)


async def test_an_answer_in_the_time_without_events_is_not_missed(asterisk: PrivateAsterisk) -> None:
    async with (
        asyncio.timeout(WAIT_S),
        connected(asterisk, app="observer") as direct,
        Proxy(asterisk.http_port) as proxy,
        connected(asterisk, proxy.ari_url, heartbeat_s=0.2) as client,
        client.subscribe() as application,
        dialplan_leg(client, extension="when-told", context="ari-test", caller_id=CALLER) as leg,
    ):
        proxy.silent = proxy.refusing = True  # Asterisk takes its events for delivered
        await asterisk.cli("dialplan set global ANSWER yes")
        await reaches_state(direct, leg.id, "Up")
        await application.next(events.DISCONNECTED)  # told by the heartbeat
        proxy.silent = proxy.refusing = False
        await leg.answered()


async def test_an_application_that_another_program_takes_says_so(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as first, connected(asterisk), asyncio.timeout(WAIT_S):
        await first.wait_state(ConnectionState.WAITING)
        error: AriError | None = first.last_error
        assert isinstance(error, AriConflict)
        assert "another program connected" in str(error)


async def test_a_websocket_that_begins_as_another_ends_is_told_of_calls(
    asterisk: PrivateAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of so many are told nothing by Asterisk, which takes the application for one that has gone."""
    monkeypatch.setattr(websocket, "PROBE_TIMEOUT_S", 0.5)
    headers = {"Authorization": aiohttp.encode_basic_auth(asterisk.ari_user, asterisk.ari_password)}
    for turn in range(60):
        async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(WAIT_S):
            before = await session.ws_connect(f"{asterisk.ari_url}/events?app={APP}")
            end = partial(before.get_extra_info("socket").shutdown, socket.SHUT_RDWR)
            asyncio.get_running_loop().call_later(turn * 0.0001, end)
            async with connected(asterisk, heartbeat_s=0.2) as client, client.subscribe() as application:
                event = asyncio.create_task(application.next("ChannelUserevent"))
                while not event.done():  # what is told while it is deaf does not come later
                    with suppress(AriNotFound):  # the application
                        await client.userEvents.generate(eventName=f"turn-{turn}", application=APP)
                    await asyncio.wait({event}, timeout=0.2)


async def test_pings_and_probes_are_answered(asterisk: PrivateAsterisk) -> None:
    client = AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, APP, heartbeat_s=1.0)
    async with client, client.subscribe() as application:
        await client.wait_connected(WAIT_S)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(PROBE_TIMEOUT_S + 1.0):
                await application.next(events.DISCONNECTED)


async def test_a_connection_that_stalls_for_a_moment_is_kept(asterisk: PrivateAsterisk) -> None:
    """Asterisk has no application between two WebSockets, and declines who is answered just then."""
    async with (
        asyncio.timeout(WAIT_S),
        Proxy(asterisk.http_port) as proxy,
        connected(asterisk, proxy.ari_url) as client,
        client.subscribe() as application,
    ):
        with proxy.stalled():
            await asyncio.sleep(STALL_S)
        await client.userEvents.generate(eventName="after", application=APP)
        await application.next("ChannelUserevent")
        assert client.connects == 1


async def test_a_subscriber_that_does_not_read_holds_up_nobody(asterisk: PrivateAsterisk) -> None:
    count = 200
    async with (
        connected(asterisk) as client,
        dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as leg,
    ):
        await leg.answered()
        async with client.subscribe(channel_id=leg.id) as slow, client.subscribe(channel_id=leg.id) as quick:
            for number in range(count):
                await leg.channel.setChannelVar(variable="NUMBER", value=str(number))
            for subscription in (quick, slow):
                seen: list[str] = []
                async with asyncio.timeout(WAIT_S):
                    while len(seen) < count:
                        seen.append((await subscription.next("ChannelVarset")).raw["value"])
                assert seen == [str(number) for number in range(count)]
        assert client.state is ConnectionState.CONNECTED


async def test_values_survive_the_way_into_asterisk_and_back(asterisk: PrivateAsterisk) -> None:
    async with (
        connected(asterisk) as client,
        dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as leg,
    ):
        await leg.answered()
        for value in ("+7 999", "a&b=c;d/e?f#g%20", "Привет, 世界 🙂", '"quoted\\"', "${EXTEN}"):
            async with client.subscribe(channel_id=leg.id) as subscription, asyncio.timeout(WAIT_S):
                await leg.channel.setChannelVar(variable="VALUE", value=value)
                await subscription.next("ChannelVarset")  # an old Asterisk does it after its answer
                assert await leg.channel.getChannelVar(variable="VALUE") == value
        with pytest.raises(AriNotFound):
            await leg.channel.getChannelVar(variable="NO_SUCH_VARIABLE")


async def test_reconciling_removes_what_nobody_knows_and_nothing_else(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as crashed:  # leaves two channels and a bridge behind, as a crash would
        lost_id, kept_id = crashed.new_id(), crashed.new_id()
        async with crashed.subscribe(channel_id=lost_id) as lost, crashed.subscribe(channel_id=kept_id) as kept:
            for channel_id, subscription in ((lost_id, lost), (kept_id, kept)):
                await crashed.channels.externalMedia(
                    app=APP, external_host="127.0.0.1:9", format="opus", channelId=channel_id
                )
                await subscription.next(events.STASIS_START)
        lost_bridge = await crashed.bridges.create(type="mixing", bridgeId=crashed.new_id())
    async with (
        connected(asterisk) as client,
        dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as known,
        rtp_media_leg(client, ("127.0.0.1", 9)) as media,
        bridged(client, known, media) as bridge,
    ):
        foreign = await client.channels.originate(
            endpoint="Local/ring@ari-test/n",
            context="ari-test",
            extension="echo",
            priority=1,
            channelId="foreign",
            otherChannelId="foreign-far",
        )
        removed = await reconcile(client, keep={kept_id})
        assert [channel.id for channel in removed.channels] == [lost_id]
        assert [stale.id for stale in removed.bridges] == [lost_bridge.id]
        await channels_are(client, {known.id, f"{known.id}-far", media.id, kept_id, foreign.id, "foreign-far"})
        assert [left.id for left in await client.bridges.list()] == [bridge.id]
        assert [channel.id for channel in (await reconcile(client)).channels] == [kept_id]
        await foreign.hangup()
    async with connected(asterisk) as client:
        await nothing_is_left(client)


async def _password(asterisk: PrivateAsterisk, old: str, new: str) -> None:
    """Set another one for ARI, as an administrator does."""
    file = asterisk.run_dir / "etc" / "ari.conf"
    file.write_text(file.read_text().replace(f"password = {old}", f"password = {new}"))
    await asterisk.cli("module reload res_ari.so")


async def test_what_a_changed_password_leaves_behind_is_removed_when_it_is_put_right(asterisk: PrivateAsterisk) -> None:
    """The WebSocket stays up meanwhile, and every request is refused."""
    right = asterisk.ari_password
    async with connected(asterisk) as client, guarded_tasks() as tasks, asyncio.timeout(WAIT_S):
        tasks.supervise(lambda: reconciling(client), "reconciling")
        async with (
            dialplan_leg(client, extension="echo", context="ari-test", caller_id=CALLER) as leg,
            rtp_media_leg(client, ("127.0.0.1", 9)) as media,
            bridged(client, leg, media),
        ):
            await _password(asterisk, right, "another")
        assert isinstance(client.refusal, AriRefused)
        assert client.state is ConnectionState.CONNECTED
        assert len((await asterisk.cli("core show channels concise")).splitlines()) == 3
        await _password(asterisk, "another", right)
        await channels_are(client, set())
        await nothing_is_left(client)


@pytest.mark.asterisk_16
async def test_a_caller_whose_program_was_killed_goes_on_in_the_dialplan(asterisk: PrivateAsterisk) -> None:
    """They would hear it ring in Stasis for as long as they like."""
    async with connected(asterisk) as killed, killed.subscribe() as application, asyncio.timeout(WAIT_S):
        await calls_telegram(killed)
        await application.next(events.STASIS_START)
    async with connected(asterisk) as client:
        removed = await reconcile(client, give_back=return_lost)
        assert [channel.id for channel in removed.channels] == ["caller-far"]
        assert await global_variable(asterisk, "SEEN") == "ERROR"
        await channels_are(client, set())
        await nothing_is_left(client)


async def test_a_caller_who_waits_to_be_taken_over_is_not_stale(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        async with client.subscribe() as application, asyncio.timeout(WAIT_S):
            caller = await calls_telegram(client)
            await application.next(events.STASIS_START)
            assert not await reconcile(client)
            await caller.hangup()
        await nothing_is_left(client)
