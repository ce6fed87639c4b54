"""What Asterisk and this program know of each other after faults: it comes right again, however often it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import pytest

from ari_app.asterisk import ari, bridging, legs
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import bridged, reconcile, reconciling
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import AriFailed, AriNotFound, AriUnreachable
from ari_app.asterisk.events import CONNECTED, REFUSAL_CHANGED, STASIS_START, Event
from ari_app.asterisk.external_media import rtp_media_leg
from ari_app.asterisk.legs import dialplan_leg
from ari_app.asterisk.rest import Rest
from ari_app.backoff import Backoff
from ari_app.calls.outbound import return_lost
from ari_app.calls.outcome import Status
from ari_app.lines.health import Colour, asterisk_status
from ari_app.tasks import guarded_tasks

from .fake_ari import (
    APP,
    PHONE,
    WAIT_S,
    FakeAri,
    answered,
    connected,
    eventually,
    fake_ari,
    incoming,
    transferred,
    within,
)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "CONFIRM_S", 0.02)
    monkeypatch.setattr(legs, "LEFT_GRACE_S", 0.02)


class Refusals:
    """Refuses so many requests whose text begins so."""

    def __init__(self, status: int, times: int, *beginnings: str) -> None:
        self.status, self.left, self.beginnings = status, times, beginnings

    def __call__(self, request: str) -> int | None:
        if self.left and request.startswith(self.beginnings):
            self.left -= 1
            return self.status
        return None


@asynccontextmanager
async def at_work(client: AriClient, monkeypatch: pytest.MonkeyPatch, every_s: float = 60.0) -> AsyncIterator[None]:
    """Reconciling goes on, quickly."""
    monkeypatch.setattr(bridging, "RETRY", Backoff(first_s=0.01, last_s=0.05))
    monkeypatch.setattr(bridging, "EVERY_S", every_s)
    async with guarded_tasks() as tasks:
        tasks.supervise(lambda: reconciling(client), "reconciling")
        yield


async def test_a_leg_that_went_while_away_is_noticed_although_asterisk_refuses_the_first_looks() -> None:
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg:
        fake.refuse = Refusals(503, 3, "GET /channels")
        del fake.channels[leg.id]
        await fake.cut()
        async with asyncio.timeout(WAIT_S):
            hangup = await leg.hung_up()
            assert (hangup.cause, hangup.cause_text) == (38, "Gone while Asterisk was not connected")


async def test_a_leg_that_still_rings_after_a_reconnect_is_not_answered() -> None:
    async with (
        fake_ari() as fake,
        connected(fake) as client,
        dialplan_leg(client, extension="1", context="c", caller_id=CallerId("", "")) as leg,
        asyncio.timeout(WAIT_S),
    ):
        answered = asyncio.create_task(leg.answered())
        for state in ("Ringing", "Up"):
            fake.channels[leg.id] |= {"state": state, "dialplan": within("AppDial2", "(Outgoing Line)")}
            looks = fake.asked("GET /channels")
            await fake.cut()
            await eventually(lambda looks=looks: fake.asked("GET /channels") > looks)  # type: ignore[misc]
            await asyncio.sleep(0.05)
            assert not answered.done()
        fake.channels[leg.id]["dialplan"] = within("Stasis", APP)
        await fake.cut()
        await answered


@pytest.mark.parametrize("elsewhere", [("Wait", "60"), ("Stasis", "another")])
async def test_a_leg_that_left_stasis_while_away_is_over_and_is_not_hung_up(elsewhere: tuple[str, str]) -> None:
    """Somebody has redirected its channel."""
    async with fake_ari() as fake, connected(fake) as client:
        async with answered(fake, client) as leg:
            fake.channels[leg.id]["dialplan"] = within(*elsewhere)
            await fake.cut()
            async with asyncio.timeout(WAIT_S):
                await leg.hung_up()
        assert leg.id in fake.channels


async def test_a_leg_that_leaves_stasis_and_lives_is_over_and_is_not_hung_up() -> None:
    async with fake_ari() as fake, connected(fake) as client:
        async with answered(fake, client) as leg:
            await fake.event("StasisEnd", channel=fake.channels[leg.id])
            async with asyncio.timeout(WAIT_S):
                await leg.hung_up()
        assert leg.id in fake.channels


async def test_the_cause_of_a_leg_that_leaves_stasis_to_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "LEFT_GRACE_S", WAIT_S)
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg:
        await fake.event("StasisEnd", channel=fake.channels[leg.id])
        await fake.event("ChannelDestroyed", channel=fake.channels[leg.id], cause=17, cause_txt="User busy")
        async with asyncio.timeout(WAIT_S):
            assert (await leg.hung_up()).cause == 17


async def test_strays_are_removed_although_asterisk_refuses_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_ari() as fake, connected(fake) as client:
        ours = [client.new_id() for _ in range(3)]
        fake.channels = {each: {"id": each} for each in ours}
        fake.bridges = {"b": {"id": "b"}, (bridge := client.new_id()): {"id": bridge}}
        fake.refuse = Refusals(401, 7, "GET /", "DELETE /")
        async with at_work(client, monkeypatch):
            await eventually(lambda: not fake.channels and list(fake.bridges) == ["b"])
        assert [fake.queries[f"DELETE /channels/{each}"] for each in ours] == [{"reason": "congestion"}] * len(ours)


async def test_what_was_redirected_is_the_dialplans() -> None:
    async with fake_ari() as fake, connected(fake) as client:
        redirected = client.new_id()
        fake.channels = {redirected: {"id": redirected, "state": "Up", "dialplan": within("VoiceMail", "101")}}
        fake.subscribed = {redirected}  # which it stays
        assert not await reconcile(client)


async def test_the_dialplans_half_is_left_to_end_by_itself() -> None:
    """It may be in its `h` extension, or another program's. One that has called Telegram is as any phone's channel."""
    async with fake_ari() as fake, connected(fake) as client:
        stale, taken, calling = client.new_id(), f"{client.new_id()}-far", f"{client.new_id()}-far"
        places = {
            f"{stale}-far": within("AGI", "bill"),
            stale: within("Stasis", APP),
            taken: within("Stasis", "another"),
            calling: within("Stasis", f"{APP},+79990000002,card=yes"),
        }
        fake.channels = {each: {"id": each, "state": "Up", "dialplan": place} for each, place in places.items()}
        fake.subscribed = set(fake.channels)
        assert [each.id for each in (await reconcile(client)).channels] == [stale, calling]


async def test_a_phone_of_whose_call_nobody_knows_goes_on_in_its_dialplan() -> None:
    """As it arrived, or answered; one that a transfer has brought would call whom it was transferred to again."""
    async with fake_ari() as fake, connected(fake) as client:
        phones = {"rings": "", "talked": Status.ANSWER.value}
        for each, status in phones.items():
            fake.channels[each] = {**PHONE, "id": each}
            fake.variables[each] = {"TELEGRAM_STATUS": status}
        fake.channels["transferred"] = {**PHONE, "id": "transferred", "dialplan": within("Stasis", APP)}
        fake.subscribed = set(fake.channels)
        removed = await reconcile(client, give_back=return_lost)
        assert {each.id for each in removed.channels} == {"transferred", *phones}
        assert set(fake.channels) == set(phones)
        for each, status in phones.items():
            assert fake.asked(f"POST /channels/{each}/continue") == 1
            expected = {"TELEGRAM_STATUS": status or Status.ERROR.value, "TELEGRAM_CAUSE": "41"}
            assert fake.variables[each] == expected
        assert not await reconcile(client, give_back=return_lost)


async def test_whoever_a_call_was_transferred_to_in_the_gap_is_kept_with_its_bridge() -> None:
    async with fake_ari() as fake, connected(fake) as client:
        bridge, before = client.new_id(), "1700.1"
        fake.channels["new"] = {**PHONE, "id": "new", "dialplan": within("Stasis", APP)}
        fake.subscribed = {"new"}
        fake.bridges[bridge] = {"id": bridge, "channels": ["new"]}
        assert not await reconcile(client, keep={bridge, before})
        assert {each.id for each in (await reconcile(client)).channels} == {"new"}


async def test_an_asterisk_that_does_not_tell_where_a_channel_is_keeps_live_calls() -> None:
    """Before 16.12. The dialplan's half of a call is nobody's, and ends with the other one."""
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg:
        far, stale, caller = f"{leg.id}-far", client.new_id(), "1700.1"
        for each in (far, stale, f"{stale}-far", caller):
            fake.channels[each] = {"id": each, "state": "Up"}
            fake.subscribed.add(each)
        assert {each.id for each in (await reconcile(client)).channels} == {stale, caller}
        assert leg.id in fake.channels
        assert far in fake.channels


def once(monkeypatch: pytest.MonkeyPatch, beginning: str, error: BaseException) -> list[str]:
    """Raise an error in the first request that begins so. Returns the requests it was raised in."""
    call = Rest.call
    failed: list[str] = []

    async def failing(rest: Rest, operation: str, **arguments: Any) -> Any:
        request = operation.format(**arguments)
        if request.startswith(beginning) and not failed:
            failed.append(request)
            raise error
        return await call(rest, operation, **arguments)

    monkeypatch.setattr(Rest, "call", failing)
    return failed


@pytest.mark.parametrize("error", [AriFailed("500"), OSError("no room"), ValueError("no such name")], ids=repr)
async def test_one_that_cannot_be_removed_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with fake_ari() as fake, connected(fake) as client:
        ours = sorted(client.new_id() for _ in range(4))
        fake.channels = {each: {"id": each} for each in ours[:3]}
        fake.bridges = {ours[3]: {"id": ours[3]}}
        failed = once(monkeypatch, "DELETE /channels", error)
        with pytest.raises(type(error)):
            await reconcile(client)
        assert failed == [f"DELETE /channels/{ours[0]}"]
        assert list(fake.channels) == [ours[0]]
        assert not fake.bridges
        assert [each.id for each in (await reconcile(client)).channels] == [ours[0]]


@pytest.mark.parametrize("error", [ValueError("no list"), asyncio.CancelledError()], ids=repr)
async def test_an_unexpected_error_does_not_end_the_looking(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr("ari_app.tasks.RESTART", Backoff(0.01, 0.05))
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg:
        failed = once(monkeypatch, "GET /channels", error)
        del fake.channels[leg.id]
        await fake.cut()
        async with asyncio.timeout(WAIT_S):
            assert (await leg.hung_up()).cause_text == "Gone while Asterisk was not connected"
        assert failed


@pytest.mark.parametrize("error", [OSError("no room"), ValueError("no such name")], ids=repr)
async def test_a_phones_channel_that_an_error_leaves_behind_is_removed(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Its call is over, or was transferred away from it."""
    monkeypatch.setattr("ari_app.asterisk.ari.TRANSFERRER_LEAVES_S", 0.02)
    async with fake_ari() as fake, connected(fake) as client, at_work(client, monkeypatch), asyncio.timeout(WAIT_S):
        async with incoming(fake, client) as leg:
            failed = once(monkeypatch, "DELETE /channels", error)
            await transferred(fake, leg.id, "1700.5")
            await eventually(lambda: list(fake.channels) == ["1700.5"])
            assert failed == [f"DELETE /channels/{PHONE['id']}"]
            failed.clear()
        await eventually(lambda: not fake.channels)
        assert failed == ["DELETE /channels/1700.5"]


async def test_what_could_not_be_closed_is_closed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason of its call. The password of ARI is changed and put right: the WebSocket stays up meanwhile."""
    async with fake_ari() as fake, connected(fake) as client, at_work(client, monkeypatch):
        async with answered(fake, client) as leg, rtp_media_leg(client, ("127.0.0.1", 9)) as media:
            await fake.event(STASIS_START, channel=fake.channels[media.id], args=[])
            async with bridged(client, leg, media):
                leg.cause = 17
                fake.refuse = Refusals(401, -1, "")
        await eventually(lambda: len(fake.requests) > 20)
        assert len(fake.channels) == 2
        assert len(fake.bridges) == 1
        hung_up: list[str] = []
        monkeypatch.setattr(fake, "_answer", _noting_causes(fake, hung_up))
        fake.refuse = lambda request: None
        await eventually(lambda: not fake.channels and not fake.bridges)
        assert f"{leg.id} busy" in hung_up
        assert not client.left


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "error", [OSError("no room"), ValueError("no such name"), AriUnreachable("cut"), asyncio.CancelledError()], ids=repr
)
async def test_what_an_error_leaves_behind_is_removed(
    monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException
) -> None:
    """An answer gets lost in this program: what it tells of was carried out, or is not closed."""
    call = Rest.call
    lost: list[str] = []

    async def losing(rest: Rest, request: str, **arguments: Any) -> Any:
        answer = await call(rest, request, **arguments) if method == "POST" else None
        if request.startswith(method) and request not in lost and "/events/" not in request:
            lost.append(request)
            raise error
        return answer if method == "POST" else await call(rest, request, **arguments)

    async with fake_ari() as fake, connected(fake) as client, at_work(client, monkeypatch):
        hung_up: list[str] = []
        monkeypatch.setattr(fake, "_answer", _noting_causes(fake, hung_up))
        monkeypatch.setattr(Rest, "call", losing)
        with suppress(OSError, ValueError, AriUnreachable, asyncio.CancelledError):
            async with dialplan_leg(client, extension="1", context="c", caller_id=CallerId("", "")) as leg:
                assert method == "DELETE"
                leg.cause = 17
        with suppress(OSError, ValueError, AriUnreachable, asyncio.CancelledError):
            async with bridged(client):
                assert method == "DELETE"
        assert len(lost) == 2
        await eventually(lambda: not fake.channels and not fake.bridges)
        assert method == "POST" or f"{leg.id} busy" in hung_up


def _noting_causes(fake: FakeAri, noted: list[str]) -> object:
    answer = fake._answer

    def noting(method: str, path: str, query: dict[str, str]) -> object:
        if method == "DELETE":
            noted.append(f"{path.rpartition('/')[2]} {query.get('reason')}")
        return answer(method, path, query)

    return noting


async def test_strays_are_looked_for_on_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_ari() as fake, connected(fake) as client, at_work(client, monkeypatch, every_s=0.05):
        await eventually(lambda: fake.asked("GET /channels") >= 1)
        stale = client.new_id()
        fake.channels[stale] = {"id": stale}
        await eventually(lambda: not fake.channels)


async def test_a_channel_that_is_about_to_arrive_is_not_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in Stasis already when the event of it comes."""
    monkeypatch.setattr(bridging, "CONFIRM_S", 0.2)
    async with fake_ari() as fake, connected(fake) as client, client.subscribe() as arrivals:
        fake.channels = {each: {"id": each} for each in ("1700.1", "1700.2")}
        fake.subscribed = set(fake.channels)
        looking = asyncio.create_task(reconcile(client))
        await eventually(lambda: fake.asked("GET /applications/telegram") == 1)
        await fake.event(STASIS_START, channel=fake.channels["1700.1"], args=["+79990000002"])
        async with asyncio.timeout(WAIT_S):
            await arrivals.next(STASIS_START)
            assert [each.id for each in (await looking).channels] == ["1700.2"]
        assert list(fake.channels) == ["1700.1"]


async def test_a_closing_that_stalls_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three things to close, none of whose requests is answered meanwhile; what failed after all is tried again."""
    monkeypatch.setattr(ari, "CLOSE_WAIT_S", 0.02)
    async with (
        asyncio.timeout(WAIT_S),
        fake_ari() as fake,
        connected(fake, timeout_s=3 * WAIT_S) as client,
        at_work(client, monkeypatch),
    ):
        async with answered(fake, client) as leg, rtp_media_leg(client, ("127.0.0.1", 9)) as media:
            await fake.event(STASIS_START, channel=fake.channels[media.id], args=[])
            async with bridged(client, leg, media):
                fake.stalls = lambda request: request.startswith("DELETE")
        await eventually(lambda: fake.stalled == 3)
        fake.stalls, fake.refuse = lambda request: False, Refusals(503, 3, "DELETE")
        fake.go_on.set()
        await eventually(lambda: not fake.channels and not fake.bridges)


async def test_a_refused_user_shows_while_the_websocket_is_up() -> None:
    async with fake_ari() as fake, connected(fake) as client, client.subscribe() as its:
        await client.channels.list()
        assert client.refusal is None
        fake.refuse = Refusals(401, 2, "")
        for _ in range(2):
            with pytest.raises(Exception, match="password"):
                await client.channels.list()
        assert "password" in str(client.refusal)
        light = asterisk_status(client)
        assert light.colour is Colour.RED
        assert "password" in str(light.sentence)
        await client.channels.list()
        assert client.refusal is None
        assert asterisk_status(client).colour is Colour.GREEN
        async with asyncio.timeout(WAIT_S):
            assert await its.next(REFUSAL_CHANGED) and await its.next(REFUSAL_CHANGED)


async def test_a_read_only_user_is_refused_until_something_is_done() -> None:
    async with fake_ari() as fake:
        fake.refuse_probes = HTTPStatus.FORBIDDEN
        async with connected(fake) as client:
            await eventually(lambda: client.refusal is not None)  # before anybody calls
            await client.channels.list()
            assert "read_only" in str(client.refusal)
            with pytest.raises(AriNotFound):
                await client.channel("x").answer()
            assert client.refusal is None


async def test_away_counts_from_the_break_and_ends_with_a_connection() -> None:
    async with fake_ari() as fake, connected(fake) as client, client.subscribe() as its:
        short, long = asyncio.create_task(client.away(0.01)), asyncio.create_task(client.away(WAIT_S))
        await asyncio.sleep(0.05)
        assert not short.done()
        fake.no_events = True
        await fake.cut()
        async with asyncio.timeout(WAIT_S):
            await short
        await client.away(0.0)
        fake.no_events = False
        async with asyncio.timeout(WAIT_S):
            await its.next(CONNECTED)
        assert not long.done()
        long.cancel()


async def test_what_a_subscriber_raises_stays_with_it() -> None:
    seen: list[str] = []

    def broken(event: Event) -> None:
        raise ValueError("mine")

    async with fake_ari() as fake, connected(fake) as client:
        with client.events.attached("c", broken), client.events.attached("c", lambda event: seen.append(event.type)):
            await fake.event("ChannelVarset", channel={"id": "c"})
            await fake.event("ChannelDialplan", channel={"id": "c"})
            await eventually(lambda: len(seen) == 2)
        assert client.state.name == "CONNECTED"
