"""No keypad stays in a person's chat, whatever happened to Telegram or to the program meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from telethon.tl import functions

from ari_app.calls.call import Call
from ari_app.calls.keypad import Keypads
from ari_app.calls.outcome import Direction
from ari_app.cluster.shared_keypads import OwnKeypads, SharedKeypads
from ari_app.sandbox.telegram import Device, LocalTelegram, device
from ari_app.store.store import Store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.account import Account
from ari_app.telegram.bot import Bot
from ari_app.telegram.limits import tl_name
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.peers import Person
from ari_app.telegram.session import REQUEST_S, Session

from .line_at_work import ANNA, LINE, PATIENCE_S, Watched, at_work

BOT = "calls_bot"


class World:
    """A line with a bot at work, and Anna's phone."""

    def __init__(self, telegram: LocalTelegram, store: Store, bot: Bot, watched: Watched, anna: Device) -> None:
        self.telegram = telegram
        self.store = store
        self.bot = bot
        self.watched = watched
        self.anna = anna
        self.person = Person(telegram.user(ANNA).id)
        self.calls = 0

    @property
    def line(self) -> Line:
        return self.watched.line

    @asynccontextmanager
    async def program(self, shared: SharedKeypads | None = None) -> AsyncIterator[Keypads]:
        """One life of the program's keypads; leaving it kills them."""
        async with guarded_tasks() as tasks:
            keypads = Keypads(self.bot, self.store, tasks, lambda: None, shared or OwnKeypads())
            tasks.spawn(keypads.clean_up_when_ready(self.line), "clean-up")
            yield keypads

    @asynccontextmanager
    async def call(self, keypads: Keypads) -> AsyncIterator[None]:
        """Anna calls; the call ends when the context does."""
        self.calls += 1
        call = Call(f"call{self.calls}", Direction.IN, LINE, "anna")
        found = await self.line.require_online().session.client(functions.contacts.ResolvePhoneRequest(ANNA))
        peer = await self.line.require_online().session.client.get_input_entity(found.users[0])
        async with keypads.shown_to(call, self.line, self.person, peer):
            yield

    async def chat(self) -> list[Any]:
        """What Anna sees."""
        found = await self.anna(functions.contacts.ResolvePhoneRequest(LINE))
        return [each for each in await self.anna.client.get_messages(found.users[0], limit=20) if each.message]

    async def sees(self, true: Callable[[list[Any]], bool]) -> None:
        messages: list[Any] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true(messages := await self.chat()):  # noqa: ASYNC110 - it is asked of another client
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"Anna's chat: {[each.message for each in messages]}")


def shown(messages: list[Any]) -> bool:
    """A keypad."""
    return any(each.reply_markup for each in messages)


def empty(messages: list[Any]) -> bool:
    """Nothing with keys."""
    return not shown(messages)


@pytest.fixture
async def world(telegram: LocalTelegram, account: Account, store: Store) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        bot = Bot(telegram.add_bot(BOT).token, telegram.bot_api_url)
        tasks = await stack.enter_async_context(guarded_tasks())
        tasks.supervise(bot.run, "bot")
        await bot.first_attempt_done()
        watched = await stack.enter_async_context(at_work(account, store, bot_name=lambda: BOT))
        await watched.becomes(LineState.READY)
        yield World(telegram, store, bot, watched, await stack.enter_async_context(device(telegram, ANNA)))


async def test_telegram_is_away_when_the_call_ends(world: World) -> None:
    async with world.program() as keypads:
        async with world.call(keypads):
            await world.sees(shown)
            away = world.telegram.away()
            await away.__aenter__()
            await world.watched.becomes(LineState.CONNECTING)
        await keypads.wait_hidden()
        await away.__aexit__(None, None, None)
        await world.watched.becomes(LineState.READY)
        await world.sees(empty)


async def test_a_keypad_that_is_live_stays_when_the_line_is_ready_again(world: World) -> None:
    async with world.program() as keypads:
        async with world.call(keypads):
            await world.sees(shown)
            async with world.telegram.away():
                await world.watched.becomes(LineState.CONNECTING)
            await world.watched.becomes(LineState.READY)
            await keypads.clean_up_stale(world.line)
            assert shown(await world.chat())
        await world.sees(empty)


class OtherMachines(OwnKeypads):
    """What they know; one of them dies, and each keypad is left then."""

    def __init__(self) -> None:
        self.known: set[int] = set()

    def shown(self, line: str, message_id: int) -> None:
        self.known.add(message_id)

    def hidden(self, line: str, message_id: int) -> None:
        self.known.discard(message_id)

    async def hide_left(self, line: str, hide: Callable[[int], Awaitable[bool]]) -> None:
        for each in list(self.known):
            assert await hide(each) is (each not in self.known)


async def test_other_machines_know_what_is_shown_and_remove_what_a_dead_one_has_left(world: World) -> None:
    others = OtherMachines()
    async with world.program(others) as keypads, world.call(keypads):
        await world.sees(shown)
        assert len(others.known) == 1
        async with guarded_tasks() as tasks:
            other = Keypads(world.bot, world.store, tasks, lambda: None, others)
            async with world.telegram.away():
                await world.watched.becomes(LineState.CONNECTING)
                await other.clean_up_others(world.line)
                assert len(others.known) == 1
            await world.watched.becomes(LineState.READY)
            await other.clean_up_others(world.line)
        await world.sees(empty)
        assert not others.known


async def test_what_is_hidden_in_order_no_machine_knows_of(world: World) -> None:
    others = OtherMachines()
    async with world.program(others) as keypads:
        async with world.call(keypads):
            await world.sees(shown)
        await keypads.wait_hidden()
        assert not others.known


SEND = "messages.sendInlineBotResult"
LOST: dict[str, Callable[[LocalTelegram], None]] = {
    "not answered": lambda telegram: telegram.delay(SEND, 3600, LINE, carried_out=True),
    "an error": lambda telegram: telegram.refuse(SEND, "RPC_CALL_FAIL", LINE, carried_out=True),
    "sent before": lambda telegram: telegram.refuse(SEND, "RANDOM_ID_DUPLICATE", LINE, carried_out=True),
}


def give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait two seconds for what answers `SEND`; for all else as long as ever."""
    invoke = Session.invoke

    async def sooner(session: Session, request: Any, timeout: float | None = REQUEST_S) -> Any:
        return await invoke(session, request, 2.0 if tl_name(request) == SEND else timeout)

    monkeypatch.setattr(Session, "invoke", sooner)


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
@pytest.mark.parametrize("lost", LOST)
async def test_a_keypad_that_was_sent_although_telegram_did_not_say_so(
    world: World, lost: str, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_soon(monkeypatch)
    LOST[lost](world.telegram)
    async with world.program() as keypads, AsyncExitStack() as calling:
        await calling.enter_async_context(world.call(keypads))
        await world.sees(shown)
        await world.sees(lambda messages: len(messages) == 2)  # the hint, which comes when it is given up
        if not killed:
            await calling.aclose()
            await world.sees(empty)
            assert len(await world.chat()) == 1
            return
        # The program is killed: nothing of it goes on.
        calling.pop_all()
    async with world.program():
        await world.sees(empty)


async def test_no_keypad_of_another_call_is_taken_for_one_that_was_lost(world: World) -> None:
    LOST["an error"](world.telegram)
    async with world.program() as keypads:
        async with world.call(keypads):
            await world.sees(lambda messages: len(messages) == 2)
            async with world.call(keypads):
                await world.sees(lambda messages: len([each for each in messages if each.reply_markup]) == 2)
            await world.sees(lambda messages: len([each for each in messages if each.reply_markup]) == 1)
        await world.sees(empty)


async def test_before_a_line_is_removed_its_keypads_go(world: World) -> None:
    async with world.program() as keypads:
        world.telegram.delay("messages.deleteMessages", 0.5, LINE)
        async with world.call(keypads):
            await world.sees(shown)
        await keypads.clean_up_at_last(world.line)
        assert empty(await world.chat())
