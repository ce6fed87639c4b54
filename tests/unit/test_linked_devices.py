"""Which devices are confirmed, in whatever order Telegram speaks of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from telethon.tl import functions, types

from ari_app.tasks import FAILURES
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.linked_devices import LinkedDevices
from ari_app.telegram.session import Session

DEVICE, STRANGER = 7, 8
TOKEN = b"token"


class FakeSession:
    """Telegram as the test has it."""

    def __init__(self, *, tells: bool = False) -> None:
        self.tells = tells
        self.refusals: list[Exception] = []
        self.confirmed: list[int] = []
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self._handler: Any = None

    @contextmanager
    def on(self, event: Any, handler: Any) -> Iterator[None]:
        self._handler = handler
        yield
        self._handler = None

    async def invoke(self, request: Any) -> Any:
        if isinstance(request, functions.auth.AcceptLoginTokenRequest):
            self.asked.set()
            await self.answers.wait()
            return types.Authorization(DEVICE, "", "", "", 1, "", "", None, None, "", "", "", unconfirmed=self.tells)
        assert request.confirmed
        if self.refusals:
            raise self.refusals.pop()
        self.confirmed.append(request.hash)
        return True

    async def tells_of(self, device: int, *, unconfirmed: bool) -> None:
        await self._handler(types.UpdateNewAuthorization(device, unconfirmed=unconfirmed))
        await tasks_run()


async def tasks_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def devices(session: FakeSession) -> LinkedDevices:
    return LinkedDevices(cast(Session, session), "+79990000001")


async def test_as_soon_as_it_is_let_in() -> None:
    session = FakeSession(tells=True)
    async with devices(session) as linked:
        await linked.let_in(TOKEN)
        await tasks_run()
        assert session.confirmed == [DEVICE]


async def test_when_it_is_signed_in_later() -> None:
    session = FakeSession()
    async with devices(session) as linked:
        await linked.let_in(TOKEN)
        await session.tells_of(STRANGER, unconfirmed=True)
        assert session.confirmed == []
        await session.tells_of(DEVICE, unconfirmed=True)
        assert session.confirmed == [DEVICE]


async def test_when_it_was_signed_in_before_telegram_answered() -> None:
    session = FakeSession()
    session.answers.clear()
    async with devices(session) as linked:
        letting_in = asyncio.create_task(linked.let_in(TOKEN))
        await session.asked.wait()
        await session.tells_of(DEVICE, unconfirmed=True)
        assert session.confirmed == []
        session.answers.set()
        await letting_in
        await tasks_run()
        assert session.confirmed == [DEVICE]


async def test_not_where_another_device_has_done_so() -> None:
    session = FakeSession()
    session.answers.clear()
    async with devices(session) as linked:
        letting_in = asyncio.create_task(linked.let_in(TOKEN))
        await session.asked.wait()
        await session.tells_of(DEVICE, unconfirmed=True)
        await session.tells_of(DEVICE, unconfirmed=False)
        session.answers.set()
        await letting_in
        await tasks_run()
        assert session.confirmed == []


async def test_again_when_it_is_told_of_again(caplog: pytest.LogCaptureFixture) -> None:
    session = FakeSession(tells=True)
    session.refusals.append(TelegramError("Telegram refused it: HASH_INVALID"))
    failures = FAILURES.count
    with caplog.at_level(logging.WARNING):
        async with devices(session) as linked:
            await linked.let_in(TOKEN)
            await tasks_run()
            assert (session.confirmed, "could not be confirmed" in caplog.text) == ([], True)
            assert "HASH_INVALID" in caplog.text
            await session.tells_of(DEVICE, unconfirmed=True)
            assert session.confirmed == [DEVICE]
    assert FAILURES.count == failures


async def test_what_is_not_accepted_is_not_ours() -> None:
    session = FakeSession()
    session.answers.clear()
    async with devices(session) as linked:
        letting_in = asyncio.create_task(linked.let_in(TOKEN))
        await session.asked.wait()
        letting_in.cancel()
        await asyncio.wait({letting_in})
        await session.tells_of(DEVICE, unconfirmed=True)
        assert session.confirmed == []
