"""A line that two machines have: a text gets one automatic answer, whichever of them it is from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from telethon.tl import functions, types

from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.telegram import Device, LocalTelegram, device, sign_in
from ari_app.store.store import Store, open_store
from ari_app.telegram.account import Account
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.peers import Person
from ari_app.telegram.session import connected
from tests.observers import Unobserved

from .line_at_work import ANNA, LINE, PATIENCE_S, Watched, at_work

NOW = datetime.now(UTC)


class Claim:
    """What one machine finds out of each text, once it does, and which it has dialled."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.texts: list[str] = []
        self.dialled = asyncio.Event()
        self.told = asyncio.Event()

    async def is_ours(self, message_id: int, text: str) -> bool:
        self.texts.append(text)
        self.asked.set()
        return await self.known

    async def was_dialled(self, message_id: int) -> None:
        self.dialled.set()
        await self.told.wait()


@pytest.fixture
async def other(telegram: LocalTelegram, account: Account, tmp_path: Path) -> Account:
    """The same account, signed in on another machine."""
    made = replace(account, session=tmp_path / "other" / f"{LINE}.session")
    async with connected(made) as session:
        await sign_in(Device(session.client), telegram, LINE)
    return made


class Machine:
    """One that has the line; it is told of each text that is its own to answer."""

    def __init__(self) -> None:
        self.claim = Claim()
        self.texts: list[str] = []
        self.observer = Unobserved()
        self.observer.on_message = self._on_message  # type: ignore[method-assign]
        self.observer.on_text = self._on_text  # type: ignore[method-assign]
        self.keys: list[str] = []
        self.dials = ""
        """Which text it dials."""
        self.watched: Watched

    def _on_message(self, line: Line, person: Person, text: str) -> None:
        self.texts.append(text)

    def _on_text(self, line: Line, person_id: int, text: str, sent_at: float) -> bool:
        if text == self.dials:
            self.keys.append(text)
        return text == self.dials

    @property
    def waits(self) -> bool:
        """Whether it does not know yet of some text whose it is, and nobody has answered it."""
        online = self.watched.line.online
        return bool(online and any(online.chat._waiting.values()))


@pytest.fixture
async def machines(account: Account, other: Account, store: Store, tmp_path: Path) -> AsyncIterator[list[Machine]]:
    its = [Machine(), Machine()]
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(open_store(tmp_path / "other.db"))
        for each, its_account, its_store in zip(its, (account, other), (store, second), strict=True):
            ways = {"is_ours": each.claim.is_ours, "was_dialled": each.claim.was_dialled}
            at = at_work(its_account, its_store, observer=each.observer, **ways)
            each.watched = await stack.enter_async_context(at)
            await each.watched.becomes(LineState.READY)
        yield its


async def asks(anna: Device, text: str) -> None:
    found = await anna.client(functions.contacts.ResolvePhoneRequest(LINE))
    await anna.client.send_message(found.users[0], text)


async def answers(anna: Device, most: int) -> int:
    """How many she has got, once she has as many."""
    found = await anna.client(functions.contacts.ResolvePhoneRequest(LINE))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            got = sum(not each.out for each in await anna.client.get_messages(found.users[0], limit=10))
            if got >= most:
                return got
            await asyncio.sleep(0.05)


async def test_a_text_that_another_device_has_answered_meanwhile_is_not_answered_again(
    telegram: LocalTelegram, machines: list[Machine]
) -> None:
    """As a machine does that could not claim it."""
    a, b = machines
    async with device(telegram, ANNA) as anna:
        await asks(anna, "First?")
        await b.claim.asked.wait()
        a.claim.known.set_result(True)
        assert await answers(anna, 1) == 1
        await b.watched.until(lambda: not b.waits)
        b.claim.known.set_result(True)
        await asks(anna, "Second?")  # A has answered a moment ago, and B has not
        assert await answers(anna, 2) == 2
    assert (a.texts, b.texts) == (["First?", "Second?"], ["Second?"])


async def test_an_answer_that_comes_right_behind_its_text_is_seen(machines: list[Machine]) -> None:
    """As to a machine that was cut off from Telegram, and gets both at once."""
    _, b = machines
    online = b.watched.line.online
    assert online
    text, answer = (
        SimpleNamespace(message=types.Message(id, types.PeerUser(1), NOW, message="Hello")) for id in (7, 8)
    )
    await online.chat._on_message(text)
    await online.chat._on_own_message(answer)
    await b.claim.asked.wait()
    assert not b.waits
    b.claim.known.set_result(True)
    await b.watched.until(lambda: not online.chat._waiting)
    assert b.texts == []


async def test_a_text_that_nobody_has_answered(telegram: LocalTelegram, machines: list[Machine]) -> None:
    a, b = machines
    async with device(telegram, ANNA) as anna:
        await asks(anna, "First?")
        await b.claim.asked.wait()
        a.claim.known.set_result(False)
        b.claim.known.set_result(True)
        assert await answers(anna, 1) == 1
    assert (a.texts, b.texts) == ([], ["First?"])


async def test_a_machine_that_was_cut_off_sees_that_what_it_missed_was_answered(
    telegram: LocalTelegram, account: Account, other: Account, store: Store, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(Proxy(telegram.port))
        through = replace(other, server=replace(other.server, port=way.port))
        second = await stack.enter_async_context(open_store(tmp_path / "other.db"))
        its = [Machine(), Machine()]
        for each, its_account, its_store in zip(its, (account, through), (store, second), strict=True):
            at = at_work(its_account, its_store, observer=each.observer, is_ours=each.claim.is_ours)
            each.watched = await stack.enter_async_context(at)
            await each.watched.becomes(LineState.READY)
        a, b = its
        anna = await stack.enter_async_context(device(telegram, ANNA))
        async with way.away():
            await asks(anna, "First?")
            a.claim.known.set_result(True)
            assert await answers(anna, 1) == 1
        await b.claim.asked.wait()
        await b.watched.until(lambda: not b.waits)
        b.claim.known.set_result(True)
        await asks(anna, "Second?")  # A has answered a moment ago, and B has not
        assert await answers(anna, 2) == 2
    assert (a.texts, b.texts) == (["First?", "Second?"], ["Second?"])


async def test_keys_are_dialled_at_once_and_then_claimed(telegram: LocalTelegram, machines: list[Machine]) -> None:
    a, b = machines
    a.dials = "101"
    async with device(telegram, ANNA) as anna:
        await asks(anna, "101")
        await a.claim.dialled.wait()
        assert a.keys == ["101"]
        await asks(anna, "Hello?")  # which does not wait until the others are told
        a.claim.known.set_result(True)
        assert await answers(anna, 1) == 1
        await b.claim.asked.wait()
        b.claim.known.set_result(False)
    assert (a.texts, a.claim.texts, b.texts) == (["Hello?"], ["Hello?"], [])
    assert b.claim.texts[0] == "101"
