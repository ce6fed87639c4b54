"""A line against the local Telegram: what it makes of a session that ends, and of a Telegram that has trouble."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from contextlib import closing
from unittest.mock import Mock

import pytest

from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.telegram import LocalTelegram, device
from ari_app.store.store import Store
from ari_app.telegram.account import Account
from ari_app.telegram.line import Line, LineState
from tests.observers import Unobserved

from .line_at_work import LINE, at_work

BROKEN, BROKEN_S = 4, 3.0

# Connecting


@pytest.mark.parametrize("error", ["RPC_CALL_FAIL", "Timeout", "SOMETHING_NEW"])
@pytest.mark.parametrize("request_name", ["updates.getState", "users.getUsers"])
async def test_an_error_while_connecting_is_waited_out(
    telegram: LocalTelegram, account: Account, store: Store, request_name: str, error: str
) -> None:
    telegram.refuse(request_name, error, phone=LINE)
    async with at_work(account, store) as watched:
        await watched.becomes(LineState.READY)
        assert LineState.SIGNED_OUT not in watched.states


async def test_for_as_long_as_telegram_asks_it_is_left_alone(
    telegram: LocalTelegram, account: Account, store: Store
) -> None:
    telegram.refuse("updates.getState", "FLOOD_WAIT_3", phone=LINE)
    before = telegram.requests("updates.getState", LINE)
    async with at_work(account, store) as watched:
        loop = asyncio.get_running_loop()
        await watched.becomes(LineState.CONNECTING, "Telegram asks to wait 3 s")
        asked_at = loop.time()
        await watched.becomes(LineState.READY)
        assert loop.time() - asked_at >= 3.0
        assert telegram.requests("updates.getState", LINE) == before + 2
        assert LineState.SIGNED_OUT not in watched.states


async def test_connections_that_break_as_soon_as_they_are_made_are_not_made_all_the_time(
    telegram: LocalTelegram, account: Account, store: Store
) -> None:
    async with Proxy(telegram.port) as proxy:
        by_proxy = dataclasses.replace(account, server=dataclasses.replace(account.server, port=proxy.port))
        async with at_work(by_proxy, store) as watched:
            await watched.becomes(LineState.READY)
            async with proxy.away():
                await watched.until(lambda: proxy.refused >= BROKEN)
                await asyncio.sleep(BROKEN_S)
                assert proxy.refused < 4 * BROKEN  # without a pause there are some hundred
            await watched.becomes(LineState.READY)


# Sessions that end

ENDS = {
    "AUTH_KEY_UNREGISTERED": "sign this line in",
    "SESSION_REVOKED": "sign this line in",
    "AUTH_KEY_DUPLICATED": "from two places at once",
    "USER_DEACTIVATED_BAN": "has banned this account",
    "USER_DEACTIVATED": "deleted",
}


@pytest.mark.parametrize("word", ENDS)
async def test_a_session_that_ended_while_the_line_was_away(
    telegram: LocalTelegram, account: Account, store: Store, word: str
) -> None:
    telegram.revoke_sessions(LINE, word)
    async with at_work(account, store) as watched:
        said = await watched.becomes(LineState.SIGNED_OUT)
        assert word in said
        assert ENDS[word] in said


@pytest.mark.parametrize("word", ENDS)
@pytest.mark.parametrize("told", [False, True])
async def test_a_session_that_ends_while_the_line_runs(
    telegram: LocalTelegram, account: Account, store: Store, word: str, told: bool
) -> None:
    async with at_work(account, store) as watched:
        await watched.becomes(LineState.READY)
        telegram.revoke_sessions(LINE, word, told=told)
        said = await watched.becomes(LineState.SIGNED_OUT)
        assert word in said
        assert ENDS[word] in said


@pytest.mark.parametrize("running", [False, True])
async def test_a_key_that_telegram_has_forgotten(
    telegram: LocalTelegram, account: Account, store: Store, running: bool
) -> None:
    if not running:
        telegram.forget_keys(LINE)
    async with at_work(account, store) as watched:
        if running:
            await watched.becomes(LineState.READY)
            telegram.forget_keys(LINE)
        assert "sign this line in" in await watched.becomes(LineState.SIGNED_OUT)


async def test_a_session_file_that_can_not_be_read_just_now(
    telegram: LocalTelegram, account: Account, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full = sqlite3.OperationalError("database or disk is full")
        patch.setattr("ari_app.telegram.account.LineSession._update_session_table", Mock(side_effect=full))
        async with at_work(account, store) as watched:
            said = await watched.becomes(LineState.CONNECTING, "can't be used")
            assert "disk is full" in said
            patch.undo()
            await watched.becomes(LineState.READY)
            assert LineState.SIGNED_OUT not in watched.states


NOT_TELETHONS = {
    "truncated": "",
    "no tables": "DROP TABLE version",
    "no rows": "DELETE FROM version",
    "other tables": "DROP TABLE sessions; CREATE TABLE sessions (number TEXT)",
    "other rows": "UPDATE sessions SET auth_key = 'text'",
}


@pytest.mark.parametrize("damage", ["overwritten", *NOT_TELETHONS])
async def test_a_session_file_that_is_damaged(
    telegram: LocalTelegram, account: Account, store: Store, damage: str
) -> None:
    if change := NOT_TELETHONS.get(damage):
        with closing(sqlite3.connect(account.session)) as db:
            db.executescript(change)
    else:
        content = account.session.read_bytes()
        account.session.write_bytes(content[:9000] if damage == "truncated" else b"no database" * 100)
    async with at_work(account, store) as watched:
        assert "sign this line in" in await watched.becomes(LineState.SIGNED_OUT)


async def test_a_line_without_an_application(telegram: LocalTelegram, account: Account, store: Store) -> None:
    async with at_work(dataclasses.replace(account, api_id=0), store) as watched:
        assert "my.telegram.org" in await watched.becomes(LineState.SIGNED_OUT)


async def test_the_calls_of_a_session_that_ended_are_ended_once_it_is_known(
    telegram: LocalTelegram, account: Account, store: Store
) -> None:
    ended: list[LineState] = []

    class Observer(Unobserved):
        async def on_signed_out(self, line: Line) -> None:
            ended.append(line.state)

    async with at_work(account, store, observer=Observer()) as watched:
        await watched.becomes(LineState.READY)
        telegram.revoke_sessions(LINE, told=False)
        await watched.becomes(LineState.SIGNED_OUT)
    assert set(ended) == {LineState.SIGNED_OUT}


# The bot


class Bots:
    """Which bot the installation has."""

    name = ""


@pytest.fixture
def bots(telegram: LocalTelegram) -> Bots:
    telegram.add_bot("calls_bot")
    made = Bots()
    made.name = "calls_bot"
    return made


async def test_the_dialogue_is_asked_for_once_and_the_session_again_and_again(
    telegram: LocalTelegram, account: Account, store: Store, bots: Bots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.telegram.line.CHECK_EVERY_S", 0.02)
    async with at_work(account, store, bot_name=lambda: bots.name) as watched:
        await watched.until(lambda: watched.line.dialogue is False)
        before = telegram.requests("updates.getState", LINE)
        await watched.until(lambda: telegram.requests("updates.getState", LINE) > before + 20)
        assert telegram.requests("messages.getPeerDialogs", LINE) == 1


async def test_a_revoked_session_is_seen_while_a_pause_holds(
    telegram: LocalTelegram, account: Account, store: Store, bots: Bots
) -> None:
    telegram.refuse("messages.getPeerDialogs", "FLOOD_WAIT_3000", phone=LINE, times=None)
    async with at_work(account, store, bot_name=lambda: bots.name) as watched:
        await watched.until(lambda: "messages.getPeerDialogs" in watched.line.pauses)
        telegram.revoke_sessions(LINE, told=False)
        assert "SESSION_REVOKED" in await watched.becomes(LineState.SIGNED_OUT)


async def test_a_dialogue_that_begins_is_noticed(
    telegram: LocalTelegram, account: Account, store: Store, bots: Bots
) -> None:
    """On another device of the account."""
    async with (
        at_work(account, store, bot_name=lambda: bots.name) as watched,
        device(telegram, LINE) as phone,
    ):
        await watched.until(lambda: watched.line.dialogue is False)
        await phone.client.send_message("calls_bot", "/start")
        await watched.until(lambda: watched.line.dialogue is True)


async def test_a_bot_that_nobody_on_telegram_is_and_the_next_one(
    telegram: LocalTelegram, account: Account, store: Store, bots: Bots
) -> None:
    bots.name = "gone_bot"
    async with at_work(account, store, bot_name=lambda: bots.name) as watched:
        await watched.until(lambda: watched.line.bot_problem is not None)
        assert watched.line.bot_problem
        assert "There is no @gone_bot on Telegram" in str(watched.line.bot_problem.sentence)
        assert not watched.line.bot_problem.passes
        bots.name = "calls_bot"
        watched.line.bot_changed()
        await watched.until(lambda: watched.line.dialogue is False)
        assert watched.line.bot_problem is None
        asked = telegram.requests("messages.getPeerDialogs", LINE)
        watched.line.bot_changed()  # as its state does, all the time
        bots.name = ""
        watched.line.bot_changed()
        await asyncio.sleep(0.1)
        assert telegram.requests("messages.getPeerDialogs", LINE) == asked


async def test_a_bot_that_telegram_does_not_let_a_line_ask_for(
    telegram: LocalTelegram, account: Account, store: Store, bots: Bots
) -> None:
    telegram.refuse("contacts.resolveUsername", "FLOOD_WAIT_600", phone=LINE)
    async with at_work(account, store, bot_name=lambda: bots.name) as watched:
        await watched.until(lambda: watched.line.bot_problem is not None)
        assert watched.line.bot_problem
        assert watched.line.bot_problem.passes
        assert watched.line.dialogue is None
