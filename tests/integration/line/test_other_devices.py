"""A line whose account has other devices: whatever Telegram makes of those, the line copes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from telethon.tl import functions, types

from ari_app.calls.outcome import Cause, Status, failed
from ari_app.sandbox.telegram import Device, LocalTelegram, device, new_device
from ari_app.sandbox.telegram.device import API_HASH, API_ID
from ari_app.sandbox.telegram.login_notices import TELEGRAM_ID
from ari_app.store.store import Store
from ari_app.telegram.account import Account
from ari_app.telegram.errors import Busy
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.signin import SignIn
from ari_app.telegram.signin_view import SignInState
from media.types import Agreement, DhConfig
from tests.observers import Unobserved

from .line_at_work import ANNA, LINE, PATIENCE_S, Watched, at_work

PASSWORD = "correct horse"
BORIS = "+79990000003"
PROTOCOL = types.PhoneCallProtocol(65, 92, ["9.0.0"], udp_p2p=True, udp_reflector=True)
CONFIRM = "account.changeAuthorizationSettings"
COULD_NOT = "could not be confirmed"


class Heard(Unobserved):
    """What a line has been told of."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[int | None, str]] = []

    def on_message(self, line: Line, person: Any, text: str) -> None:
        self.messages.append((person.id, text))


@pytest.fixture
async def anna(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, ANNA) as someone:
        yield someone


@pytest.fixture
async def watched(telegram: LocalTelegram, account: Account, store: Store) -> AsyncIterator[Watched]:
    async with at_work(account, store) as its:
        await its.becomes(LineState.READY)
        yield its


async def line_of(someone: Device) -> Any:
    return (await someone(functions.contacts.ResolvePhoneRequest(LINE))).users[0]


async def is_answered(anna: Device) -> None:
    """Anna writes, and gets the line's answer: what the line was told before is done with."""
    line = await line_of(anna)
    await anna.client.send_message(line, "Hello?")
    async with asyncio.timeout(PATIENCE_S):
        while all(each.out for each in await anna.client.get_messages(line, limit=10)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


# Notices


@pytest.mark.parametrize("notices", [False, True])
async def test_what_telegram_says_of_codes_and_new_devices_is_not_answered(
    telegram: LocalTelegram,
    account: Account,
    store: Store,
    anna: Device,
    caplog: pytest.LogCaptureFixture,
    notices: bool,
) -> None:
    telegram.device_rules.login_notices = notices
    caplog.set_level(logging.DEBUG)
    heard = Heard()
    async with at_work(account, store, observer=heard) as watched:
        await watched.becomes(LineState.READY)
        async with device(telegram, LINE) as phone:
            await is_answered(anna)
            chat = await phone.client.get_messages(TELEGRAM_ID, limit=10) if notices else []
            assert [each.out for each in chat] == [False, False][: 2 * notices]
    assert [text for _, text in heard.messages] == ["Hello?"]
    ours = [each for each in caplog.records if each.name.startswith("ari_app")]
    assert not [each for each in ours if each.levelno >= logging.WARNING]
    assert telegram.login_code(LINE) not in caplog.text


# Devices that are to be confirmed


def other(account: Account, tmp_path: Path) -> Account:
    """The same account, on a machine where it is not signed in."""
    return replace(account, session=tmp_path / "other" / f"{LINE}.session", machine="b")


def unconfirmed(telegram: LocalTelegram) -> int:
    return sum(bool(each.unconfirmed) for each in telegram.devices(LINE))


@pytest.mark.parametrize("password", [False, True], ids=["", "password"])
@pytest.mark.parametrize("tells", [False, True], ids=["told by an update", "told at once"])
async def test_a_machine_that_was_let_in_is_confirmed(
    telegram: LocalTelegram, account: Account, watched: Watched, tmp_path: Path, tells: bool, password: bool
) -> None:
    if password:
        telegram.add_user(LINE, "Line", password=PASSWORD)
    telegram.device_rules.unconfirmed = True
    telegram.device_rules.accepting_tells = tells

    async def accept(number: str, token: bytes) -> None:
        await watched.line.require_online().devices.let_in(token)

    async with SignIn(other(account, tmp_path)) as signing:
        view = await signing.by_device_alone(accept)
        if password:
            assert view.state is SignInState.PASSWORD_NEEDED
            view = await signing.password(PASSWORD)
        assert view.state is SignInState.SIGNED_IN
        await watched.until(lambda: len(telegram.devices(LINE)) == 2 and not unconfirmed(telegram))
    assert telegram.requests(CONFIRM, LINE) in (1, 2)  # an update may come while it is confirmed


async def test_nothing_is_confirmed_where_telegram_does_not_want_it(
    telegram: LocalTelegram, account: Account, watched: Watched, anna: Device, tmp_path: Path
) -> None:
    telegram.device_rules.login_notices = True  # which come with an update of the device that is signed in

    async def accept(number: str, token: bytes) -> None:
        await watched.line.require_online().devices.let_in(token)

    async with SignIn(other(account, tmp_path)) as signing:
        assert (await signing.by_device_alone(accept)).state is SignInState.SIGNED_IN
        await is_answered(anna)
    assert telegram.requests(CONFIRM, LINE) == 0


@pytest.mark.parametrize("word", ["HASH_INVALID", "FLOOD_WAIT_3000", "FRESH_RESET_AUTHORISATION_FORBIDDEN", "Timeout"])
async def test_a_machine_that_can_not_be_confirmed_is_signed_in_all_the_same(
    telegram: LocalTelegram,
    account: Account,
    watched: Watched,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    word: str,
) -> None:
    telegram.device_rules.unconfirmed = True
    telegram.device_rules.accepting_tells = False
    telegram.refuse(CONFIRM, word, phone=LINE, times=None)

    async def accept(number: str, token: bytes) -> None:
        await watched.line.require_online().devices.let_in(token)

    async with SignIn(other(account, tmp_path)) as signing:
        assert (await signing.by_device_alone(accept)).state is SignInState.SIGNED_IN
        await watched.until(lambda: COULD_NOT in caplog.text)
        assert (signing.state, watched.line.state) == (SignInState.SIGNED_IN, LineState.READY)
    assert "under Settings > Devices" in caplog.text
    assert unconfirmed(telegram) == 1


async def test_what_was_refused_before_its_sign_in_is_confirmed_after_it(
    telegram: LocalTelegram, watched: Watched
) -> None:
    telegram.device_rules.unconfirmed = True
    telegram.refuse(CONFIRM, "HASH_INVALID", phone=LINE)
    async with new_device(telegram) as second:
        qr = await second.client.qr_login()
        await watched.line.require_online().devices.let_in(qr.token)
        await watched.until(lambda: telegram.requests(CONFIRM, LINE) == 1)
        await second(functions.auth.ExportLoginTokenRequest(API_ID, API_HASH, []))
        await watched.until(lambda: len(telegram.devices(LINE)) == 2 and not unconfirmed(telegram))


async def test_who_has_signed_in_by_a_code_is_left_to_a_person(
    telegram: LocalTelegram, watched: Watched, anna: Device
) -> None:
    telegram.device_rules.unconfirmed = True
    async with device(telegram, LINE):
        await is_answered(anna)
        assert unconfirmed(telegram) == 1
    assert telegram.requests(CONFIRM, LINE) == 0


# Two calls


class MadeKey:
    """A key exchange whose numbers mean nothing."""

    async def offer(self, dh: DhConfig) -> bytes:
        return sha256(b"").digest()

    async def answer(self, dh: DhConfig, g_a_hash: bytes) -> bytes:
        return os.urandom(256)

    async def agree(self, g_a_or_b: bytes, key_fingerprint: int) -> Agreement:
        return Agreement(b"", 7)


@pytest.mark.parametrize("one_call", [False, True])
async def test_a_call_while_another_device_of_the_account_has_one(
    telegram: LocalTelegram, watched: Watched, anna: Device, one_call: bool
) -> None:
    telegram.device_rules.one_call = one_call
    telegram.add_user(BORIS, "Boris")
    async with device(telegram, BORIS) as boris, device(telegram, LINE) as other_device:
        theirs = (await other_device(functions.contacts.ResolvePhoneRequest(BORIS))).users[0]
        await other_device(functions.phone.RequestCallRequest(theirs, sha256(b"").digest(), PROTOCOL))
        await boris.next(types.UpdatePhoneCall)
        callee = await watched.line.find(watched.line.destination(ANNA))
        if not one_call:
            async with watched.line.call(callee.peer, MadeKey()):
                assert isinstance((await anna.next(types.UpdatePhoneCall)).phone_call, types.PhoneCallRequested)
            return
        with pytest.raises(Busy, match="CALL_OCCUPY_FAILED") as refused:
            async with watched.line.call(callee.peer, MadeKey()):
                pytest.fail("it was placed")
    ending = failed(refused.value)
    assert (ending.status, ending.cause) == (Status.BUSY, Cause.USER_BUSY)


# Devices that nobody uses


EXPIRED = {
    "SESSION_EXPIRED": "nobody uses one for months: sign this line in",
    "AUTH_KEY_UNREGISTERED": "sign this line in",
}


@pytest.mark.parametrize("word", EXPIRED)
async def test_a_line_whose_session_has_expired_says_what_to_do(
    telegram: LocalTelegram, account: Account, store: Store, word: str
) -> None:
    telegram.expire_idle_devices(LINE, word)
    async with at_work(account, store) as watched:
        said = await watched.becomes(LineState.SIGNED_OUT)
        assert word in said
        assert EXPIRED[word] in said


async def test_a_line_that_is_connected_does_not_expire(telegram: LocalTelegram, watched: Watched) -> None:
    telegram.expire_idle_devices(LINE)
    before = telegram.requests("updates.getState", LINE)
    await watched.until(lambda: telegram.requests("updates.getState", LINE) > before)
    assert watched.line.state is LineState.READY
