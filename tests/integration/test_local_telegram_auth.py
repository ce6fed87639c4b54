"""Signing in to the local Telegram with a real Telethon client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.errors.common import AuthKeyNotFound
from telethon.network.connection.tcpabridged import ConnectionTcpAbridged
from telethon.network.connection.tcpfull import ConnectionTcpFull
from telethon.network.connection.tcpintermediate import ConnectionTcpIntermediate
from telethon.network.connection.tcpobfuscated import ConnectionTcpObfuscated
from telethon.sessions.memory import MemorySession
from telethon.sessions.sqlite import SQLiteSession
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Device, LocalTelegram, RpcError, device, new_device, sign_in

ANNA, BORIS = "+79990000001", "+79990000002"
PATIENCE_S = 15.0


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        running.add_user(ANNA, "Анна", username="anna")
        running.add_user(BORIS, "Борис", password="correct horse")
        yield running


async def test_sign_in_by_code(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as anna:
        assert not await anna.client.is_user_authorized()
        await anna.client.send_code_request(ANNA)
        me = await anna.client.sign_in(ANNA, telegram.login_code(ANNA))
        assert (me.phone, me.first_name, me.username, me.is_self) == (ANNA[1:], "Анна", "anna", True)
        assert await anna.client.is_user_authorized()


async def test_wrong_code_is_refused_and_the_right_one_still_works(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as anna:
        await anna.client.send_code_request(ANNA)
        code = telegram.login_code(ANNA)
        with pytest.raises(errors.PhoneCodeInvalidError):
            await anna.client.sign_in(ANNA, "0" if code[0] != "0" else "1")
        assert await anna.client.sign_in(ANNA, code)


async def test_expired_code(telegram: LocalTelegram) -> None:
    telegram.timers.code_s = 0
    async with new_device(telegram) as anna:
        await anna.client.send_code_request(ANNA)
        with pytest.raises(errors.PhoneCodeExpiredError):
            await anna.client.sign_in(ANNA, telegram.login_code(ANNA))


async def test_a_code_works_once_and_resending_replaces_it(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as anna, new_device(telegram) as other:
        sent = await anna.client.send_code_request(ANNA)
        first = telegram.login_code(ANNA)
        again = await anna(functions.auth.ResendCodeRequest(ANNA, sent.phone_code_hash))
        with pytest.raises(errors.PhoneCodeExpiredError):
            await anna(functions.auth.SignInRequest(ANNA, sent.phone_code_hash, first))
        code = telegram.login_code(ANNA)
        await anna(functions.auth.SignInRequest(ANNA, again.phone_code_hash, code))
        with pytest.raises(errors.PhoneCodeExpiredError):
            await other(functions.auth.SignInRequest(ANNA, again.phone_code_hash, code))


async def test_cancelled_code(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as anna:
        sent = await anna.client.send_code_request(ANNA)
        await anna(functions.auth.CancelCodeRequest(ANNA, sent.phone_code_hash))
        with pytest.raises(errors.PhoneCodeExpiredError):
            await anna(functions.auth.SignInRequest(ANNA, sent.phone_code_hash, "12345"))
        with pytest.raises(LookupError):
            telegram.login_code(ANNA)


async def test_numbers_that_cannot_sign_in(telegram: LocalTelegram) -> None:
    telegram.ban(BORIS)
    async with new_device(telegram) as someone:
        with pytest.raises(errors.PhoneNumberInvalidError):
            await someone.client.send_code_request("+12")
        with pytest.raises(errors.PhoneNumberBannedError):
            await someone.client.send_code_request(BORIS)
        await someone.client.send_code_request("+79995550000")
        with pytest.raises(errors.PhoneNumberUnoccupiedError):
            await someone.client.sign_in("+79995550000", telegram.login_code("+79995550000"))


async def test_two_step_verification(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as boris:
        await boris.client.send_code_request(BORIS)
        with pytest.raises(errors.SessionPasswordNeededError):
            await boris.client.sign_in(BORIS, telegram.login_code(BORIS))
        assert not await boris.client.is_user_authorized()
        with pytest.raises(errors.PasswordHashInvalidError):
            await boris.client.sign_in(password="wrong")
        me = await boris.client.sign_in(password="correct horse")
        assert me.phone == BORIS[1:]


async def test_a_password_can_be_set_and_removed_by_the_account(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA) as anna:
        await anna.client.edit_2fa(new_password="secret")
        async with device(telegram, ANNA, "secret") as second:
            assert await second.client.is_user_authorized()
        with pytest.raises(errors.PasswordHashInvalidError):
            await anna.client.edit_2fa(current_password="wrong")
        await anna.client.edit_2fa(current_password="secret")
        async with device(telegram, ANNA) as third:
            assert await third.client.is_user_authorized()


async def scanned(someone: Device, telegram: LocalTelegram, phone: str) -> Any:
    qr = await someone.client.qr_login()
    waiting = asyncio.create_task(qr.wait(PATIENCE_S))
    await asyncio.sleep(0)  # let it begin to listen, as QRLogin.wait demands
    telegram.accept_qr(qr.token, phone)
    return await waiting


async def test_qr(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as anna:
        assert (await scanned(anna, telegram, ANNA)).phone == ANNA[1:]
        assert await anna.client.is_user_authorized()


async def test_qr_with_password(telegram: LocalTelegram) -> None:
    async with new_device(telegram) as boris:
        with pytest.raises(errors.SessionPasswordNeededError):
            await scanned(boris, telegram, BORIS)
        assert (await boris.client.sign_in(password="correct horse")).phone == BORIS[1:]


async def test_qr_scanned_by_another_client(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA) as phone, new_device(telegram) as desktop:
        qr = await desktop.client.qr_login()
        authorized = await phone(functions.auth.AcceptLoginTokenRequest(qr.token))
        assert authorized.hash
        await desktop.next(types.UpdateLoginToken)
        with pytest.raises(errors.AuthTokenAlreadyAcceptedError):
            await phone(functions.auth.AcceptLoginTokenRequest(qr.token))


async def test_qr_expires_and_an_unknown_token_is_refused(telegram: LocalTelegram) -> None:
    telegram.timers.qr_s = 0
    async with new_device(telegram) as anna:
        qr = await anna.client.qr_login()
        with pytest.raises(RpcError, match="AUTH_TOKEN_EXPIRED"):
            telegram.accept_qr(qr.token, ANNA)
        with pytest.raises(RpcError, match="AUTH_TOKEN_INVALID"):
            telegram.accept_qr(b"unknown", ANNA)


def memory_session() -> Any:
    new: Any = MemorySession  # has no type hints
    return new()


async def test_a_session_survives_a_restart(tmp_path: Path) -> None:
    state, session = tmp_path / "telegram.db", str(tmp_path / "anna")
    async with LocalTelegram(state) as first:
        port, pem = first.port, first.public_key_pem
        first.add_user(ANNA, "Анна")
        async with device(first, ANNA, session=SQLiteSession(session)) as anna:
            await anna.client.send_message("me", "before")
    async with LocalTelegram(state, port=port) as second:
        assert second.public_key_pem == pem
        async with new_device(second, SQLiteSession(session)) as anna:
            assert (await anna.client.get_me()).phone == ANNA[1:]
            assert [m.message for m in await anna.client.get_messages("me", limit=5)] == ["before"]


async def test_a_client_reconnects_to_a_restarted_server(tmp_path: Path) -> None:
    state = tmp_path / "telegram.db"
    async with LocalTelegram(state) as first:
        first.add_user(ANNA, "Анна")
        port, session = first.port, memory_session()
        someone = new_device(first, session)
        anna = await someone.__aenter__()
        await sign_in(anna, first, ANNA)
    try:
        async with LocalTelegram(state, port=port), asyncio.timeout(PATIENCE_S):
            assert (await anna.client.get_me()).phone == ANNA[1:]
    finally:
        await someone.__aexit__(None, None, None)


async def test_devices_and_revoking_one(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA) as phone, device(telegram, ANNA, device_model="desk") as desk:
        devices = (await phone(functions.account.GetAuthorizationsRequest())).authorizations
        assert [device.current for device in devices] == [True, False]
        assert devices[1].device_model == "desk"
        with pytest.raises(errors.HashInvalidError):
            await phone(functions.account.ResetAuthorizationRequest(hash=1))
        await phone(functions.account.ResetAuthorizationRequest(devices[1].hash))
        async with asyncio.timeout(PATIENCE_S):  # Telethon asks for the difference, is refused, and disconnects
            with pytest.raises(errors.UnauthorizedError):
                await desk.client.run_until_disconnected()
        assert await phone.client.is_user_authorized()


async def test_revoked_by_the_server(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA, receive_updates=False) as anna:
        telegram.revoke_sessions(ANNA)
        with pytest.raises(errors.SessionRevokedError):
            await anna(functions.updates.GetStateRequest())


async def test_log_out(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA) as anna, device(telegram, ANNA) as other:
        assert await anna.client.log_out()
        devices = (await other(functions.account.GetAuthorizationsRequest())).authorizations
        assert len(devices) == 1


async def test_a_key_of_another_server_is_not_known(telegram: LocalTelegram, tmp_path: Path) -> None:
    session = memory_session()
    async with LocalTelegram(tmp_path / "another.db") as another:
        another.add_user(ANNA, "Анна")
        async with device(another, ANNA, session=session):
            pass
    with pytest.raises(AuthKeyNotFound):
        async with new_device(telegram, session, connection_retries=1):
            pass


@pytest.mark.parametrize(
    "transport", [ConnectionTcpFull, ConnectionTcpAbridged, ConnectionTcpIntermediate, ConnectionTcpObfuscated]
)
async def test_every_transport(telegram: LocalTelegram, transport: type) -> None:
    async with device(telegram, ANNA, connection=transport) as anna:
        text = "ё" * 2000  # long enough for every form of a length
        await anna.client.send_message("me", text)
        assert [m.message for m in await anna.client.get_messages("me", limit=5)] == [text]


async def test_what_is_not_implemented_is_an_rpc_error_and_one_line_in_the_log(
    telegram: LocalTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    async with device(telegram, ANNA) as anna:
        for _ in range(2):
            with pytest.raises(errors.MethodInvalidError):
                await anna(functions.account.GetAccountTTLRequest())
        assert [r.getMessage() for r in caplog.records if "account.getAccountTTL" in r.getMessage()] == [
            "account.getAccountTTL is not implemented by the local Telegram; answered METHOD_INVALID"
        ]
        config = await anna(functions.help.GetConfigRequest())
        assert [(dc.id, dc.port) for dc in config.dc_options] == [(telegram.dc_id, telegram.port)]


async def test_service_messages(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA) as anna, asyncio.timeout(PATIENCE_S):
        assert (await anna(functions.PingRequest(5))).ping_id == 5
        assert (await anna(functions.PingDelayDisconnectRequest(6, 75))).ping_id == 6
        salts = await anna(functions.GetFutureSaltsRequest(num=1))
        assert salts.salts[0].salt == anna.client._sender._state.salt
        assert (await anna(functions.DestroySessionRequest(session_id=1))).session_id == 1
        ordered = [functions.help.GetNearestDcRequest(), functions.updates.GetStateRequest()]
        assert len(await anna.client(ordered, ordered=True)) == 2
        assert isinstance(await anna(functions.RpcDropAnswerRequest(req_msg_id=1)), types.RpcAnswerUnknown)


async def test_a_password_is_kept_even_when_the_server_closes_at_once(tmp_path: Path) -> None:
    async with LocalTelegram(tmp_path / "telegram.db") as first:
        first.add_user(BORIS, "Борис", password="correct horse")
    async with LocalTelegram(tmp_path / "telegram.db") as second, device(second, BORIS, "correct horse") as boris:
        assert (await boris(functions.account.GetPasswordRequest())).has_password


async def test_no_secret_reaches_the_log(telegram: LocalTelegram, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "ari_app")
    async with device(telegram, BORIS, "correct horse"):
        pass
    assert telegram.login_code(BORIS) not in caplog.text
    assert "correct horse" not in caplog.text


async def test_garbage_on_the_port_harms_nobody(telegram: LocalTelegram) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 8, b"\xef\x05" + bytes(20), b"\xee" * 4 + b"\xff" * 40, b""):
        reader, writer = await asyncio.open_connection(telegram.host, telegram.port)
        writer.write(garbage)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            await reader.read()
        writer.close()
        await writer.wait_closed()
    async with device(telegram, ANNA) as anna:
        assert await anna.client.is_user_authorized()
