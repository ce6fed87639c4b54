"""A line's calls when Telegram's part goes wrong, against the local Telegram; no media, and no Asterisk."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Call, Device, LocalTelegram, ServerCallState, device, sign_in
from ari_app.sandbox.telegram.device import API_HASH, API_ID
from ari_app.store.limits import LimitRepository
from ari_app.store.peers import PeerRepository
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.account import Account, Server
from ari_app.telegram.errors import CallDiscarded, TelegramError
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.peers import Directory
from ari_app.telegram.phone import DiscardReason, Offer, OutgoingCall
from ari_app.telegram.profile import Profile
from ari_app.telegram.session import connected
from ari_app.telegram.texts import MessageTemplates
from media.types import Agreement, DhConfig, EngineProtocol
from tests.observers import Unobserved

LINE, BORIS = "+79990000001", "+79990000002"
PATIENCE_S = 30.0
ENGINE = EngineProtocol(92, 92, ("8.0.0", "9.0.0"))
PROTOCOL = types.PhoneCallProtocol(65, 92, ["8.0.0", "9.0.0"], udp_p2p=True, udp_reflector=True)
UNKNOWN = struct.pack("<I", 0xDEADBEEF)
HANGUP = types.PhoneCallDiscardReasonHangup()


class MadeKey:
    """A key exchange whose numbers mean nothing; the server looks at the hash of g_a only."""

    def __init__(self) -> None:
        self.g_a = os.urandom(256)

    async def offer(self, dh: DhConfig) -> bytes:
        return sha256(self.g_a).digest()

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        return os.urandom(256)

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        return Agreement(self.g_a, 7)


@dataclass
class Rig:
    """A line at work, Boris' app, and the local Telegram between them."""

    telegram: LocalTelegram
    line: Line
    boris: Device
    account: Account
    offers: asyncio.Queue[Offer] = field(default_factory=asyncio.Queue)
    states: list[LineState] = field(default_factory=list)

    async def dialled(self) -> Any:
        """A peer that the line may call."""
        return await self.line.require_online().session.client.get_input_entity(BORIS)

    async def rings(self) -> types.InputPhoneCall:
        """Boris' app hears of a call, and says nothing yet."""
        call = (await self.boris.next(types.UpdatePhoneCall)).phone_call
        assert isinstance(call, types.PhoneCallRequested), call
        return types.InputPhoneCall(call.id, call.access_hash)

    async def accepts(self, peer: types.InputPhoneCall) -> None:
        await self.boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), PROTOCOL))

    async def calls(self) -> tuple[types.InputPhoneCall, bytes, Offer]:
        """Boris calls the line: their call, their g_a, and what the line has of it."""
        g_a = os.urandom(256)
        user = (await self.boris(functions.contacts.ResolvePhoneRequest(LINE))).users[0]
        request = functions.phone.RequestCallRequest(user, sha256(g_a).digest(), PROTOCOL)
        call = (await self.boris(request)).phone_call
        async with asyncio.timeout(PATIENCE_S):
            return types.InputPhoneCall(call.id, call.access_hash), g_a, await self.offers.get()

    async def hangs_up(self, peer: types.InputPhoneCall, reason: Any = HANGUP, duration: int = 0) -> None:
        await self.boris(functions.phone.DiscardCallRequest(peer, duration, reason, connection_id=0))

    async def over(self, reason: str) -> Call:
        """The last call, once it is over at Telegram."""
        call = self.telegram.calls[-1]
        await call.reaches(ServerCallState.DISCARDED, PATIENCE_S)
        assert call.reason == reason, call
        return call

    async def ready_again(self, break_it: Callable[[], Any]) -> None:
        """The line loses its client for another one."""
        async with asyncio.timeout(PATIENCE_S):
            before = await self.line.until_ready()
            await break_it()
            await self.line.until_ready(before)


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        for phone in (LINE, BORIS):
            running.add_user(phone, phone)
        running.add_contact(LINE, BORIS)
        yield running


@asynccontextmanager
async def at_work(telegram: LocalTelegram, folder: Path) -> AsyncIterator[Rig]:
    server = Server(telegram.dc_id, telegram.host, telegram.port, telegram.public_key_pem)
    account = Account(LINE, API_ID, API_HASH, folder / "line.session", server)
    async with connected(account) as session:
        await sign_in(Device(session.client), telegram, LINE)
        await session.invoke(functions.contacts.ResolvePhoneRequest(BORIS))
    async with (
        open_store(folder / "astergram.db") as store,
        guarded_tasks() as tasks,
        device(telegram, BORIS, sequential_updates=True) as boris,
    ):
        offers: asyncio.Queue[Offer] = asyncio.Queue()
        states: list[LineState] = []
        line = Line(
            account,
            ENGINE,
            Unobserved(offers.put_nowait),
            profile=Profile(LINE, "from-telegram", MessageTemplates(LINE, LINE, LINE)),
            limits=Limits(LINE, LimitSettings(), LimitRepository(store, LINE)),
            directory=Directory(PeerRepository(store, LINE)),
            on_change=lambda: states.append(line.state),
        )
        tasks.spawn(line.run(), "line")
        async with asyncio.timeout(PATIENCE_S):
            await line.until_ready()
        states.clear()
        yield Rig(telegram, line, boris, account, offers, states)


@pytest.fixture
async def rig(telegram: LocalTelegram, tmp_path: Path) -> AsyncIterator[Rig]:
    async with at_work(telegram, tmp_path) as running:
        yield running


async def within(awaited: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await awaited


def empty(right: Any) -> Any:
    return types.phone.PhoneCall(types.PhoneCallEmpty(right.phone_call.id), right.users)


def discarded(right: Any) -> Any:
    call = types.PhoneCallDiscarded(right.phone_call.id, reason=types.PhoneCallDiscardReasonBusy())
    return types.phone.PhoneCall(call, right.users)


@pytest.mark.parametrize("odd", [lambda _: UNKNOWN, empty, discarded], ids=["unreadable", "empty", "discarded"])
async def test_an_odd_answer_to_request_call_leaves_no_call_behind_and_the_line_at_work(
    rig: Rig, odd: Callable[[Any], Any]
) -> None:
    rig.telegram.misanswer("phone.requestCall", odd, phone=LINE)
    with pytest.raises(TelegramError):
        async with rig.line.call(await rig.dialled(), MadeKey()) as call:
            await within(call.accepted())
    peer = await rig.rings()
    await rig.boris(functions.phone.ReceivedCallRequest(peer))
    await rig.over("missed")
    await rig.boris.next(types.UpdatePhoneCall)
    async with rig.line.call(await rig.dialled(), MadeKey()):
        await rig.rings()
    assert set(rig.states) <= {LineState.READY}


async def test_an_app_that_never_says_that_it_rings_can_answer(rig: Rig) -> None:
    keys = MadeKey()
    async with rig.line.call(await rig.dialled(), keys) as call:
        await rig.accepts(await rig.rings())
        await within(call.ringing())
        await within(call.accepted())
        await within(call.confirm(keys))


async def test_a_call_that_moves_on_to_a_group_call_ends(rig: Rig) -> None:
    peer, _, offer = await rig.calls()
    async with offer:
        await rig.hangs_up(peer, types.PhoneCallDiscardReasonMigrateConferenceCall("slug"))
        ended = await within(offer.discarded())
        assert (ended.reason, ended.word) == (DiscardReason.HANGUP, "moved on to a group call")
    assert rig.telegram.calls[-1].reason == "migrated"


async def test_the_message_in_the_chat_ends_a_call_whose_discard_was_lost(rig: Rig) -> None:
    rig.telegram.lose(types.PhoneCallDiscarded, LINE)
    peer, _, offer = await rig.calls()
    async with offer:
        await rig.hangs_up(peer, types.PhoneCallDiscardReasonMissed())
        assert (await within(offer.discarded())).reason is DiscardReason.MISSED


@asynccontextmanager
async def talking(rig: Rig) -> AsyncIterator[tuple[OutgoingCall, types.InputPhoneCall]]:
    """A call of the line's to Boris, up to where the media would connect."""
    keys = MadeKey()
    async with rig.line.call(await rig.dialled(), keys) as call:
        peer = await rig.rings()
        await rig.accepts(peer)
        await within(call.accepted())
        await within(call.confirm(keys))
        yield call, peer


async def test_after_a_refusal_the_list_of_calls_says_how_the_call_ended(rig: Rig) -> None:
    rig.telegram.lose(types.PhoneCallDiscarded, LINE)
    rig.telegram.lose(types.MessageActionPhoneCall, LINE)
    async with talking(rig) as (call, peer):
        await rig.hangs_up(peer, duration=34)
        with pytest.raises(CallDiscarded):
            await call.send_signal(b"restart")
        ended = await within(call.discarded())
        assert (ended.reason, ended.duration_s) == (DiscardReason.HANGUP, 34)


async def broken_update_loop(rig: Rig) -> None:
    """What Telethon can't read makes it disconnect for good; the line takes another client."""
    rig.telegram.misanswer("updates.getDifference", lambda _: UNKNOWN, phone=LINE)
    await rig.line.require_online().session.client.catch_up()


async def test_a_call_outlives_the_client(rig: Rig) -> None:
    keys = MadeKey()
    async with rig.line.call(await rig.dialled(), keys) as call:
        peer = await rig.rings()
        await rig.ready_again(lambda: broken_update_loop(rig))
        await rig.accepts(peer)
        await within(call.accepted())
        await within(call.confirm(keys))
        await call.discard(DiscardReason.HANGUP, 3)
    assert (await rig.over("hangup")).duration == 3


async def test_an_end_during_the_change_of_clients_is_learnt(rig: Rig) -> None:
    rig.telegram.difference_tells_calls = False
    async with talking(rig) as (call, peer):

        async def break_and_hang_up() -> None:
            await broken_update_loop(rig)
            await rig.line.require_online().session.client.disconnected
            await rig.hangs_up(peer, duration=5)

        await rig.ready_again(break_and_hang_up)
        ended = await within(call.discarded())
        assert (ended.reason, ended.duration_s) == (DiscardReason.HANGUP, 5)


async def test_a_call_that_comes_before_the_line_is_ready_again_is_taken(rig: Rig) -> None:
    asked, client = rig.telegram.requests("users.getUsers", LINE), rig.line.require_online().session.client
    rig.telegram.delay("users.getUsers", 2.0, phone=LINE, times=None)  # the first that a new client asks
    await broken_update_loop(rig)
    async with asyncio.timeout(PATIENCE_S):
        await client.disconnected
        while rig.telegram.requests("users.getUsers", LINE) == asked:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.05)
    _, _, offer = await rig.calls()
    async with offer:
        await offer.ringing()
    await rig.over("disconnect")


async def test_what_came_while_telethon_connected_again_is_learnt(rig: Rig) -> None:
    async with rig.line.call(await rig.dialled(), MadeKey()) as call:
        peer = await rig.rings()
        rig.telegram.drop_connections(LINE)
        await rig.accepts(peer)
        await within(call.accepted())


async def test_what_another_device_has_taken_goes_on(rig: Rig) -> None:
    rig.telegram.lose(types.PhoneCallDiscarded, LINE, times=None)
    async with device(rig.telegram, LINE, sequential_updates=True) as other:
        _, _, offer = await rig.calls()
        async with offer:
            call = (await other.next(types.UpdatePhoneCall)).phone_call
            await other(
                functions.phone.AcceptCallRequest(
                    types.InputPhoneCall(call.id, call.access_hash), os.urandom(256), PROTOCOL
                )
            )
            with pytest.raises(CallDiscarded):
                await offer.accept(MadeKey())
            assert (await within(offer.discarded())).reason is None
        assert rig.telegram.calls[-1].state is ServerCallState.ACCEPTED


async def test_a_call_that_was_over_before_the_line_heard_of_it(rig: Rig) -> None:
    rig.telegram.lose(types.PhoneCallRequested, LINE)
    user = (await rig.boris(functions.contacts.ResolvePhoneRequest(LINE))).users[0]
    call = (await rig.boris(functions.phone.RequestCallRequest(user, os.urandom(32), PROTOCOL))).phone_call
    await rig.hangs_up(types.InputPhoneCall(call.id, call.access_hash), types.PhoneCallDiscardReasonMissed())
    rig.telegram.offer_again(rig.telegram.calls[-1])
    offer = await within(rig.offers.get())
    async with offer:
        with pytest.raises(CallDiscarded):
            await offer.ringing()
        assert (await within(offer.discarded())).reason is DiscardReason.MISSED


async def test_passing_trouble_of_telegrams_loses_no_call(rig: Rig) -> None:
    peer, g_a, offer = await rig.calls()
    async with offer:
        rig.telegram.refuse("phone.receivedCall", "Timeout", phone=LINE, code=-503)
        await offer.ringing()
        rig.telegram.refuse("messages.getDhConfig", "FLOOD_WAIT_30", phone=LINE)
        rig.telegram.refuse("phone.acceptCall", "RPC_CALL_FAIL", phone=LINE, code=500, carried_out=True)
        accepting = asyncio.create_task(offer.accept(MadeKey()))
        await rig.telegram.calls[-1].reaches(ServerCallState.ACCEPTED, PATIENCE_S)
        await asyncio.sleep(3.0)  # Telethon waits before it says that Telegram has failed, and so do we
        await rig.boris(functions.phone.ConfirmCallRequest(peer, g_a, 7, PROTOCOL))
        await within(accepting)
        assert not offer.over
    await rig.over("disconnect")
