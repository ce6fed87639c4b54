"""Signing a line in: the real Telethon against the local Telegram, over the socket."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from telethon import TelegramClient
from telethon.tl import functions

from ari_app.i18n import message
from ari_app.sandbox.telegram import LocalTelegram, device
from ari_app.sandbox.telegram.qr import token_of
from ari_app.telegram.account import Account, LineHeld, Server, session_lock
from ari_app.telegram.session import Session, connected
from ari_app.telegram.session_file import NothingToAdopt, adopt, replaced_session, retire, signin_session
from ari_app.telegram.signin import AlreadySigningIn, NotAccepted, SignIn
from ari_app.telegram.signin_view import SignInState, SignInTimers, SignInView

LINE, OTHER, NOBODY = "+79990000001", "+79990000002", "+79990000009"
PASSWORD = "correct horse"
API_ID, API_HASH = 12345, "0123456789abcdef0123456789abcdef"
PATIENCE_S = 15.0


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        running.add_user(LINE, "Линия")
        running.add_user(OTHER, "Борис")
        yield running


@pytest.fixture
def account(telegram: LocalTelegram, tmp_path: Path) -> Account:
    server = Server(telegram.dc_id, telegram.host, telegram.port, telegram.public_key_pem)
    return Account(LINE, API_ID, API_HASH, tmp_path / "sessions" / f"{LINE}.session", server)


class Watched(SignIn):
    """A sign-in whose changes can be waited for."""

    def __init__(self, account: Account, timers: SignInTimers = SignInTimers()) -> None:  # noqa: B008 - frozen
        super().__init__(account, self._wake, timers)
        self.came = asyncio.Event()

    def _wake(self) -> None:
        self.came.set()

    async def becomes(self, state: SignInState, *, unlike: SignInView | None = None) -> SignInView:
        async with asyncio.timeout(PATIENCE_S):
            while self.state is not state or self.view == unlike:
                self.came.clear()
                await self.came.wait()
        return self.view


def with_password(telegram: LocalTelegram, hint: str = "") -> None:
    telegram.add_user(LINE, "Линия", password=PASSWORD, password_hint=hint)


async def whoever_holds(account: Account) -> str | None:
    """The phone number that the line's own session is signed in to."""
    async with connected(account) as session:
        me = await session.client.get_me()
        return f"+{me.phone}" if me else None


# The ways that lead there


@pytest.mark.parametrize("password", [False, True], ids=["", "password"])
async def test_by_a_device_that_is_signed_in(telegram: LocalTelegram, account: Account, password: bool) -> None:
    """As another machine of a cluster is."""
    if password:
        with_password(telegram)

    async def accept(number: str, token: bytes) -> None:
        assert number == LINE
        await first.invoke(functions.auth.AcceptLoginTokenRequest(token))

    async with device(telegram, LINE, PASSWORD if password else None) as ours, Watched(account) as signin:
        first = Session(ours.client)
        await signin.by_device(accept)
        if password:
            await signin.becomes(SignInState.PASSWORD_NEEDED)
            await signin.password(PASSWORD)
        await signin.becomes(SignInState.SIGNED_IN)
        assert await ours.client.is_user_authorized(), "the first device stays"
    await adopt(account)
    assert await whoever_holds(account) == LINE


async def test_where_no_device_accepts_the_qr_code_stays(telegram: LocalTelegram, account: Account) -> None:
    async def accept(number: str, token: bytes) -> None:
        raise NotAccepted(message("Nobody is there."))

    async with Watched(account) as signin, device(telegram, LINE) as ours:
        view = await signin.by_device(accept)
        assert (view.state, view.refusal, str(view.error)) == (SignInState.QR_SHOWN, "NOT_ACCEPTED", "Nobody is there.")
        assert view.qr_url
        await ours(functions.auth.AcceptLoginTokenRequest(token_of(view.qr_url)))
        await signin.becomes(SignInState.SIGNED_IN)


async def not_accepted(number: str, token: bytes) -> None:
    raise NotAccepted(message("Nobody is there."))


async def test_where_nobody_is_at_hand_no_qr_code_stays(telegram: LocalTelegram, account: Account) -> None:
    async with Watched(account) as signin:
        view = await signin.by_device_alone(not_accepted)
        assert (view.state, view.refusal, str(view.error)) == (SignInState.ENDED, "NOT_ACCEPTED", "Nobody is there.")
        assert await signin.over() is SignInState.ENDED


@pytest.mark.parametrize("password", [False, True], ids=["", "password"])
async def test_by_a_device_while_nobody_is_at_hand(telegram: LocalTelegram, account: Account, password: bool) -> None:
    if password:
        with_password(telegram)

    async def accept(number: str, token: bytes) -> None:
        await Session(ours.client).invoke(functions.auth.AcceptLoginTokenRequest(token))

    async with device(telegram, LINE, PASSWORD if password else None) as ours, Watched(account) as signin:
        view = await signin.by_device_alone(accept)
        assert view.state is (SignInState.PASSWORD_NEEDED if password else SignInState.SIGNED_IN)
        if password:
            assert (await signin.password(PASSWORD)).state is SignInState.SIGNED_IN


async def test_what_is_accepted_and_leads_to_nothing_ends(telegram: LocalTelegram, account: Account) -> None:
    async def accept(number: str, token: bytes) -> None:
        """As where the other machine believes that it has."""

    async with Watched(account, SignInTimers(accepted_s=0.1)) as signin:
        view = await signin.by_device_alone(accept)
        assert view.state is SignInState.ENDED
        assert "Telegram has not signed it in" in str(view.error)


async def test_who_takes_it_over_meanwhile_goes_on(telegram: LocalTelegram, account: Account) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def accept(number: str, token: bytes) -> None:
        asked.set()
        await answer.wait()
        await not_accepted(number, token)

    async with Watched(account) as signin:
        alone = asyncio.create_task(signin.by_device_alone(accept))
        await asked.wait()
        code = asyncio.create_task(signin.send_code())
        await asyncio.sleep(0)  # it waits for its turn
        answer.set()
        await alone
        await code
        assert signin.state is SignInState.CODE_SENT
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


async def test_by_code(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        assert signin.view.state is SignInState.IDLE
        view = await signin.send_code()
        assert (view.state, view.sent_by, view.code_length) == (SignInState.CODE_SENT, "app", 5)
        code = telegram.login_code(LINE)
        view = await signin.code(f" {code[:3]}-{code[3:]} ")
        assert (view.state, view.error) == (SignInState.SIGNED_IN, None)
        assert view.user_id == telegram.user(LINE).id
        assert await signin.over() is SignInState.SIGNED_IN
    await adopt(account)
    assert await whoever_holds(account) == LINE
    assert not signin_session(account).exists()


async def test_by_code_and_password(telegram: LocalTelegram, account: Account) -> None:
    with_password(telegram, hint="a horse")
    async with SignIn(account) as signin:
        await signin.send_code()
        view = await signin.code(telegram.login_code(LINE))
        assert (view.state, view.password_hint) == (SignInState.PASSWORD_NEEDED, "a horse")
        wrong = await signin.password("wrong")
        assert (wrong.state, wrong.refusal) == (SignInState.PASSWORD_NEEDED, "PASSWORD_HASH_INVALID")
        assert LINE in str(wrong.error)
        assert wrong.password_hint == "a horse"
        assert (await signin.password("")).refusal == "PASSWORD_EMPTY"
        assert (await signin.password(PASSWORD)).state is SignInState.SIGNED_IN
    await adopt(account)
    assert await whoever_holds(account) == LINE


@pytest.mark.parametrize("migrates", [False, True])
async def test_by_qr(
    telegram: LocalTelegram, account: Account, migrates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TelegramClient, "_config", None)  # Telethon keeps one server's addresses for the whole process
    telegram.qr_migrates = migrates
    async with Watched(account) as signin:
        view = await signin.show_qr()
        assert view.state is SignInState.QR_SHOWN
        assert view.qr_url is not None and view.qr_url.startswith("tg://login?token=")
        assert view.qr_expires is not None and view.qr_expires > view.since
        telegram.accept_qr(view.qr_url, LINE)
        assert (await signin.becomes(SignInState.SIGNED_IN)).user_id == telegram.user(LINE).id
    await adopt(account)
    assert await whoever_holds(account) == LINE


async def test_by_qr_and_password(telegram: LocalTelegram, account: Account) -> None:
    with_password(telegram, hint="a horse")
    async with Watched(account) as signin:
        telegram.accept_qr((await signin.show_qr()).qr_url or "", LINE)
        assert (await signin.becomes(SignInState.PASSWORD_NEEDED)).password_hint == "a horse"
        assert (await signin.password(PASSWORD)).state is SignInState.SIGNED_IN
    await adopt(account)
    assert await whoever_holds(account) == LINE


async def test_a_qr_code_is_renewed_and_the_new_one_counts(telegram: LocalTelegram, account: Account) -> None:
    telegram.timers.qr_s = 1
    async with Watched(account, SignInTimers(qr_least_s=0.1)) as signin:
        first = await signin.show_qr()
        telegram.timers.qr_s = 30
        second = await signin.becomes(SignInState.QR_SHOWN, unlike=first)
        assert second.qr_url != first.qr_url
        telegram.accept_qr(second.qr_url or "", LINE)
        await signin.becomes(SignInState.SIGNED_IN)


async def test_a_qr_code_that_nobody_scans_ends(telegram: LocalTelegram, account: Account) -> None:
    telegram.timers.qr_s = 0
    async with Watched(account, SignInTimers(qr_least_s=0.01, qr_renewals=2)) as signin:
        await signin.show_qr()
        view = await signin.becomes(SignInState.IDLE)
        assert view.refusal == "QR_NOT_SCANNED" and view.error is not None
        assert view.qr_url is None
        telegram.timers.qr_s = 30
        telegram.accept_qr((await signin.show_qr()).qr_url or "", LINE)  # and it can be begun again
        await signin.becomes(SignInState.SIGNED_IN)


@pytest.mark.parametrize("password", [False, True])
async def test_another_account_scans_the_qr_code(telegram: LocalTelegram, account: Account, password: bool) -> None:
    if password:
        telegram.add_user(OTHER, "Борис", password=PASSWORD)
    async with Watched(account) as signin:
        telegram.accept_qr((await signin.show_qr()).qr_url or "", OTHER)
        if password:
            await signin.becomes(SignInState.PASSWORD_NEEDED)
            await signin.password(PASSWORD)
        view = await signin.becomes(SignInState.IDLE)
        assert view.refusal == "WRONG_ACCOUNT"
        assert OTHER in str(view.error) and LINE in str(view.error)
        assert telegram.devices(OTHER) == []
        assert not signin_session(account).exists()
        await signin.send_code()
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN
    await adopt(account)
    assert await whoever_holds(account) == LINE


async def test_from_qr_to_code_and_back(telegram: LocalTelegram, account: Account) -> None:
    async with Watched(account) as signin:
        old = (await signin.show_qr()).qr_url or ""
        assert (await signin.send_code()).state is SignInState.CODE_SENT
        telegram.accept_qr(old, LINE)  # a phone that scans too late signs nobody in
        assert (await signin.show_qr()).state is SignInState.QR_SHOWN
        assert telegram.devices(LINE) == []
        telegram.accept_qr(signin.view.qr_url or "", LINE)
        await signin.becomes(SignInState.SIGNED_IN)


async def test_an_account_in_another_data_centre(
    telegram: LocalTelegram, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TelegramClient, "_config", None)
    telegram.refuse("auth.sendCode", f"PHONE_MIGRATE_{telegram.dc_id}")
    async with SignIn(account) as signin:
        assert (await signin.send_code()).state is SignInState.CODE_SENT
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


async def test_telegram_wants_it_begun_again(telegram: LocalTelegram, account: Account) -> None:
    telegram.refuse("auth.sendCode", "AUTH_RESTART")
    async with SignIn(account) as signin:
        assert (await signin.send_code()).state is SignInState.CODE_SENT


# Refusals


async def test_wrong_code_then_the_right_one(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        sent = await signin.send_code()
        view = await signin.code("0" * 4)
        assert (view.state, view.refusal) == (SignInState.CODE_SENT, "PHONE_CODE_INVALID")
        assert (view.sent_by, view.code_length, view.since) == (sent.sent_by, sent.code_length, sent.since)
        assert (await signin.code(" - ")).refusal == "PHONE_CODE_EMPTY"
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


async def test_too_many_wrong_codes(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        await signin.send_code()
        for _ in range(5):
            assert (await signin.code("0")).refusal == "PHONE_CODE_INVALID"
        assert (await signin.code(telegram.login_code(LINE))).refusal == "PHONE_CODE_EXPIRED"


async def test_expired_code_and_a_new_one(telegram: LocalTelegram, account: Account) -> None:
    telegram.timers.code_s = 0
    async with SignIn(account) as signin:
        await signin.send_code()
        view = await signin.code(telegram.login_code(LINE))
        assert (view.state, view.refusal) == (SignInState.CODE_SENT, "PHONE_CODE_EXPIRED")
        assert "ask for a new one" in str(view.error)
        assert (await signin.resend()).refusal == "PHONE_CODE_EXPIRED"
        telegram.timers.code_s = 300
        assert (await signin.send_code()).error is None
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


async def test_resending(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        view = await signin.send_code()
        assert (view.sent_by, view.resend_by) == ("app", "sms")
        assert 0 < view.resend_in_s <= 60
        first = telegram.login_code(LINE)
        view = await signin.resend()
        assert (view.state, view.sent_by, view.resend_by) == (SignInState.CODE_SENT, "sms", "call")
        if first != telegram.login_code(LINE):
            assert (await signin.code(first)).refusal == "PHONE_CODE_INVALID"
        view = await signin.resend()
        assert (view.sent_by, view.resend_by, view.resend_in_s) == ("call", None, 0)
        view = await signin.resend()
        assert (view.state, view.refusal) == (SignInState.CODE_SENT, "SEND_CODE_UNAVAILABLE")
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


@pytest.mark.parametrize(
    ("seconds", "said"), [(30, "30 s"), (600, "10 min"), (5000, "84 min"), (86399, "24 h 0 min"), (7260, "2 h 1 min")]
)
async def test_flood_wait(telegram: LocalTelegram, account: Account, seconds: int, said: str) -> None:
    telegram.refuse("auth.sendCode", f"FLOOD_WAIT_{seconds}")
    async with SignIn(account) as signin:
        view = await signin.send_code()
        assert (view.state, view.refusal) == (SignInState.IDLE, "FLOOD_WAIT")
        assert f"wait {said}" in str(view.error)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("PHONE_NUMBER_FLOOD", "wait a day"),
        ("PHONE_PASSWORD_FLOOD", "wait a day"),
        ("PHONE_NUMBER_INVALID", "is no phone number"),
        ("API_ID_PUBLISHED_FLOOD", f"{API_ID}"),
        ("UPDATE_APP_TO_LOGIN", "update Astergram"),
    ],
)
async def test_no_code_is_sent(telegram: LocalTelegram, account: Account, error: str, said: str) -> None:
    telegram.refuse("auth.sendCode", error)
    async with SignIn(account) as signin:
        view = await signin.send_code()
        assert (view.state, view.refusal) == (SignInState.IDLE, error)
        assert said in str(view.error)
        assert "again in a while" not in str(view.error)
        assert (await signin.send_code()).state is SignInState.CODE_SENT  # it was refused once


async def test_a_refusal_of_a_second_code_leaves_the_first(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        await signin.send_code()
        telegram.refuse("auth.sendCode", "FLOOD_WAIT_60")
        view = await signin.send_code()
        assert (view.state, view.refusal, view.sent_by) == (SignInState.CODE_SENT, "FLOOD_WAIT", "app")
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


async def test_a_number_that_is_none(account: Account) -> None:
    async with SignIn(dataclasses.replace(account, number="+12")) as signin:
        assert (await signin.send_code()).refusal == "PHONE_NUMBER_INVALID"


async def test_a_banned_number(telegram: LocalTelegram, account: Account) -> None:
    async with Watched(account) as signin:
        await signin.send_code()
        telegram.ban(LINE)
        view = await signin.code(telegram.login_code(LINE))
        assert (view.state, view.refusal) == (SignInState.CODE_SENT, "USER_DEACTIVATED_BAN")
        assert (await signin.send_code()).refusal == "PHONE_NUMBER_BANNED"
        assert "banned" in str(signin.view.error)
        telegram.accept_qr((await signin.show_qr()).qr_url or "", LINE)
        assert (await signin.becomes(SignInState.IDLE)).refusal == "USER_DEACTIVATED_BAN"


async def test_a_number_that_nobody_has(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(dataclasses.replace(account, number=NOBODY)) as signin:
        assert (await signin.send_code()).sent_by == "sms"
        view = await signin.code(telegram.login_code(NOBODY))
        assert (view.state, view.refusal) == (SignInState.CODE_SENT, "PHONE_NUMBER_UNOCCUPIED")
        assert "register" in str(view.error)
    with pytest.raises(LookupError):
        telegram.user(NOBODY)


async def test_a_wrong_application(telegram: LocalTelegram, account: Account) -> None:
    telegram.api = (API_ID, "another")
    async with SignIn(account) as signin:
        for view in (await signin.send_code(), await signin.show_qr()):
            assert (view.state, view.refusal) == (SignInState.IDLE, "API_ID_INVALID")
            assert f"{API_ID}" in str(view.error) and API_HASH not in str(view.error)
        telegram.api = (API_ID, API_HASH)
        assert (await signin.send_code()).state is SignInState.CODE_SENT


async def test_telegram_away_and_back(account: Account, tmp_path: Path) -> None:
    timers = SignInTimers(connect_s=4.0, answer_s=4.0)
    async with LocalTelegram(tmp_path / "another.db") as telegram:
        telegram.add_user(LINE, "Линия")
        port, pem = telegram.port, telegram.public_key_pem
    away = dataclasses.replace(account, server=Server(telegram.dc_id, telegram.host, port, pem))
    async with SignIn(away, timers=timers) as signin:
        view = await signin.send_code()
        assert (view.state, view.refusal) == (SignInState.IDLE, "NO_ANSWER")
        assert "does not answer" in str(view.error)
        async with LocalTelegram(tmp_path / "another.db", port=port) as back:
            assert (await signin.send_code()).state is SignInState.CODE_SENT
            code = back.login_code(LINE)
            back.delay("auth.signIn", 20.0)
            view = await signin.code(code)
            assert (view.state, view.refusal) == (SignInState.CODE_SENT, "NO_ANSWER")
            assert (await signin.code(code)).state is SignInState.SIGNED_IN


async def test_the_wrong_operation(account: Account) -> None:
    async with SignIn(account) as signin:
        for view in (await signin.code("12345"), await signin.password("x"), await signin.resend()):
            assert (view.state, view.refusal) == (SignInState.IDLE, "NOT_NOW")
            assert view.error is not None


# How it ends


def left_by(account: Account) -> list[str]:
    """Files of an account that is not signed in."""
    return [each.name for each in account.session.parent.iterdir()]


async def test_cancelling(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        await signin.send_code()
        assert (await signin.cancel()).state is SignInState.ENDED
        assert await signin.over() is SignInState.ENDED
        with pytest.raises(LookupError):
            telegram.login_code(LINE)
        assert (await signin.send_code()).refusal == "NOT_NOW"
    assert left_by(account) == []
    with pytest.raises(NothingToAdopt):
        await adopt(account)


async def test_cancelling_a_qr_code(account: Account) -> None:
    async with SignIn(account) as signin:
        await signin.show_qr()
        view = await signin.cancel()
        assert (view.state, view.qr_url) == (SignInState.ENDED, None)


async def test_cancelling_what_is_signed_in(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        await signin.send_code()
        await signin.code(telegram.login_code(LINE))
        assert len(telegram.devices(LINE)) == 1
        assert (await signin.cancel()).state is SignInState.ENDED
        assert telegram.devices(LINE) == []
    assert not signin_session(account).exists()


async def test_cancelling_while_telegram_is_slow(telegram: LocalTelegram, account: Account) -> None:
    """As the program does when it stops, or when the line is removed."""
    telegram.delay("auth.sendCode", 30.0)
    asked = asyncio.Event()

    async def sign_in() -> None:
        async with SignIn(account) as signin:
            asked.set()
            await signin.send_code()

    task = asyncio.create_task(sign_in())
    await asked.wait()
    while not signin_session(account).exists():  # noqa: ASYNC110 - Telethon makes it
        await asyncio.sleep(0.01)
    task.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([task])
    assert task.cancelled()
    assert left_by(account) == []


async def test_it_ends_by_itself(account: Account) -> None:
    async with SignIn(account, timers=SignInTimers(idle_s=0.2)) as signin:
        await signin.show_qr()
        async with asyncio.timeout(PATIENCE_S):
            assert await signin.over() is SignInState.ENDED
        assert signin.view.refusal == "IDLE" and LINE in str(signin.view.error)
    assert left_by(account) == []


async def test_two_at_once(account: Account) -> None:
    async with SignIn(account) as first:
        with pytest.raises(AlreadySigningIn) as refused:
            async with SignIn(account):
                pass
        assert LINE in str(refused.value.sentence)
        assert (await first.send_code()).state is SignInState.CODE_SENT
    async with SignIn(account):
        pass


async def test_an_exception_of_the_body_comes_out_as_it_is(account: Account) -> None:
    with pytest.raises(ZeroDivisionError):
        async with SignIn(account) as signin:
            await signin.show_qr()
            raise ZeroDivisionError
    assert left_by(account) == []


async def test_changes_are_told(telegram: LocalTelegram, account: Account) -> None:
    seen: list[SignInState] = []
    async with SignIn(account, lambda: seen.append(signin.state)) as signin:
        await signin.send_code()
        await signin.code("0")
        await signin.code(telegram.login_code(LINE))
    assert seen == [SignInState.CODE_SENT, SignInState.CODE_SENT, SignInState.SIGNED_IN]


async def test_nothing_secret_is_told(
    telegram: LocalTelegram, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ari_app.telegram")
    with_password(telegram, hint="a horse")
    secrets = [PASSWORD, "a horse", API_HASH]
    views: list[SignInView] = []
    async with Watched(account) as signin:
        views.append(await signin.show_qr())
        secrets.append((views[-1].qr_url or "").partition("=")[2])
        views.append(await signin.send_code())
        secrets.append(telegram.login_code(LINE))
        views.append(await signin.code("00000"))
        views.append(await signin.code(telegram.login_code(LINE)))
        views.append(await signin.password("not " + PASSWORD))
        views.append(await signin.password(PASSWORD))
        told = caplog.text + repr(signin) + repr(views) + "".join(str(view.error) for view in views)
    assert "line +79990000001: sign-in: signed in" in told
    assert [secret for secret in secrets if secret in told] == []


# The session file


async def signed_in(telegram: LocalTelegram, account: Account) -> None:
    async with SignIn(account) as signin:
        await signin.send_code()
        assert (await signin.code(telegram.login_code(LINE))).state is SignInState.SIGNED_IN


def key_of(session: Path) -> bytes:
    with closing(sqlite3.connect(session)) as db:
        return bytes(db.execute("SELECT auth_key FROM sessions").fetchone()[0])


def people_met(session: Path) -> set[tuple[int, int]]:
    """Ids and access hashes."""
    with closing(sqlite3.connect(session)) as db:
        return set(db.execute("SELECT id, hash FROM entities"))


async def test_signing_in_again_while_the_line_runs(telegram: LocalTelegram, account: Account) -> None:
    await signed_in(telegram, account)
    await adopt(account)
    old = key_of(account.session)
    async with connected(account) as session:
        await signed_in(telegram, account)
        assert (await session.client.get_me()).phone == LINE[1:]
        await session.invoke(functions.contacts.ResolvePhoneRequest(OTHER))
        with pytest.raises(LineHeld):
            await adopt(account)
        assert key_of(account.session) == old
    met = people_met(account.session)
    assert met
    await adopt(account)
    assert key_of(account.session) != old
    assert met <= people_met(account.session)
    assert await whoever_holds(account) == LINE


async def test_the_old_session_is_signed_out_after_the_new_one_is_in_its_place(
    telegram: LocalTelegram, account: Account
) -> None:
    await signed_in(telegram, account)
    await adopt(account)
    await retire(account, replaced_session(account))  # there is none: nothing happens
    await signed_in(telegram, account)
    await adopt(account)
    assert len(telegram.devices(LINE)) == 2
    await retire(account, replaced_session(account))
    assert len(telegram.devices(LINE)) == 1
    assert not replaced_session(account).exists()
    assert await whoever_holds(account) == LINE


@pytest.mark.parametrize("gone", ["revoked", "forgotten", "away"])
async def test_an_old_session_that_can_not_be_signed_out_is_gone_all_the_same(
    telegram: LocalTelegram, account: Account, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signed_in(telegram, account)
    if gone == "revoked":
        telegram.revoke_sessions(LINE)
    elif gone == "forgotten":
        telegram.forget_keys(LINE)
    else:
        monkeypatch.setattr("ari_app.telegram.account.CONNECT_S", 0.1)
        telegram.delay("*", 3600, times=None)
    await retire(account, signin_session(account))
    assert not signin_session(account).exists()


OLD = b"old" * 5000


def crashed(session: Path) -> Path:
    """Leave a session file that was being written when its program crashed: half of it is new; its journal."""
    session.parent.mkdir(parents=True, exist_ok=True)
    written = session.with_name("crashed.session")
    journal = session.with_name(session.name + "-journal")
    with closing(sqlite3.connect(written)) as db:
        db.execute("CREATE TABLE sessions (auth_key BLOB)")
        db.execute("INSERT INTO sessions VALUES (?)", (OLD,))
        db.commit()
        db.execute("PRAGMA cache_size = 1")  # so that the change reaches the file before it is committed
        db.execute("UPDATE sessions SET auth_key = ?", (b"new" * 50000,))
        journal.write_bytes(written.with_name(written.name + "-journal").read_bytes())
        session.write_bytes(written.read_bytes())
    assert journal.stat().st_size > 0
    return journal


@pytest.mark.parametrize("garbage", [False, True])
async def test_adopting_over_what_a_crash_has_left(telegram: LocalTelegram, account: Account, garbage: bool) -> None:
    journal = crashed(account.session)
    if garbage:
        account.session.write_bytes(b"no database" * 100)
    log = account.session.with_name(account.session.name + "-wal")
    log.write_bytes(b"no log")
    await signed_in(telegram, account)
    await adopt(account)
    assert not journal.exists() and not log.exists()
    assert account.session.stat().st_mode & 0o777 == 0o600
    assert await whoever_holds(account) == LINE


async def test_adopting_that_fails_leaves_the_old_session_whole(
    telegram: LocalTelegram, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, target: Path) -> Path:
        raise OSError("disk gone")

    crashed(account.session)
    await signed_in(telegram, account)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="disk gone"):
            await adopt(account)
    assert key_of(account.session) == OLD
    await adopt(account)
    assert await whoever_holds(account) == LINE


async def test_what_an_ended_sign_in_has_left_is_not_taken_up(telegram: LocalTelegram, account: Account) -> None:
    await signed_in(telegram, account)
    old = key_of(signin_session(account))
    async with SignIn(account) as signin:
        await signin.send_code()
        assert key_of(signin_session(account)) != old


async def test_nothing_to_adopt(account: Account) -> None:
    with pytest.raises(NothingToAdopt):
        await adopt(account)
    with session_lock(account.session), pytest.raises(LineHeld):
        await adopt(account)
