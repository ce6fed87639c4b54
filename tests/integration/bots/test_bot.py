"""The installation's bot against the local Telegram: what it does, and what it says of itself."""

import asyncio
import itertools
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from aiohttp import web

from ari_app.cluster.members import address_of
from ari_app.sandbox.telegram import Device, LocalTelegram
from ari_app.tasks import background_tasks
from ari_app.telegram.bot import FRESH_S, Bot, BotState
from ari_app.telegram.bot_machines import Answer, Machines
from ari_app.telegram.buttons import LATE, BotUnavailable, Button, ButtonMessage, EditRefused, Press, send_buttons
from ari_app.telegram.errors import NotFound, TelegramError
from ari_app.telegram.session import Session

from .bot_program import ANNA, BORIS, KEYPAD_BOT, program, received

PATIENCE_S = 30.0
MESSAGE = ButtonMessage("Press", ((Button("1", "test:1"),),))


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that has to become true."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - the server's counts have no event
            await asyncio.sleep(0.01)


class Watched:
    """A bot at work, and each state that it told."""

    def __init__(
        self,
        token: str,
        api_url: str,
        polled_until: float = 0.0,
        clock: Callable[[], float] = time.time,
        machines: Machines | None = None,
    ) -> None:
        self.changed = asyncio.Event()
        self.states: list[BotState] = []
        self.presses: list[Press] = []
        self.languages: dict[int, str] = {}
        on_language = self.languages.__setitem__
        self.bot = Bot(
            token,
            api_url,
            on_change=self._change,
            on_language=on_language,
            polled_until=polled_until,
            clock=clock,
            machines=machines,
        )
        self.bot.on_press("test", self._press)

    def _change(self) -> None:
        self.states.append(self.bot.state)
        self.changed.set()

    def _press(self, press: Press) -> str:
        self.presses.append(press)
        return f"pressed {press.data}"

    async def becomes(self, state: BotState) -> str:
        """Wait for a state; gives what it says then."""
        async with asyncio.timeout(PATIENCE_S):
            while self.bot.state is not state:
                self.changed.clear()
                await self.changed.wait()
        return str(self.bot.sentence)

    async def shows(self, anna: Device, boris: Device) -> Any:
        """Boris' message with a button, which Anna's account sent."""
        me = (await anna.client.get_me()).id
        await send_buttons(Session(anna.client), me, self.bot, await anna.client.get_input_entity("boris"), MESSAGE)
        return await received(boris)


@asynccontextmanager
async def at_work(
    token: str,
    api_url: str,
    polled_until: float = 0.0,
    clock: Callable[[], float] = time.time,
    machines: Machines | None = None,
) -> AsyncIterator[Watched]:
    watched = Watched(token, api_url, polled_until, clock, machines)
    async with background_tasks() as tasks:
        tasks.create_task(watched.bot.run())
        yield watched


@pytest.fixture
async def watched(telegram: LocalTelegram) -> AsyncIterator[Watched]:
    async with at_work(telegram.bot(KEYPAD_BOT).token, telegram.bot_api_url) as running:
        await running.becomes(BotState.READY)
        yield running


async def test_a_token_is_given_changed_and_taken_while_it_runs(
    telegram: LocalTelegram, anna: Device, boris: Device
) -> None:
    async with at_work("", telegram.bot_api_url) as watched:
        await watched.bot.first_attempt_done()
        assert watched.bot.state is BotState.NO_TOKEN
        with pytest.raises(BotUnavailable, match="make one at @BotFather"):
            await watched.shows(anna, boris)
        with pytest.raises(EditRefused):
            await watched.bot.edit("any", "text", ())

        watched.bot.use(telegram.bot(KEYPAD_BOT).token)
        message = await watched.shows(anna, boris)  # waits until the token has been tried
        assert (await message.click()).message == "pressed test:1"
        assert watched.languages == {telegram.user(BORIS).id: "ru"}

        other = telegram.add_bot("other_bot")
        watched.bot.use(other.token)
        assert (await watched.shows(anna, boris)).via_bot_id == other.id
        assert watched.bot.username == "other_bot"

        watched.bot.use("")
        assert watched.states[-1] is watched.bot.state is BotState.NO_TOKEN
        with pytest.raises(BotUnavailable):
            watched.bot.require()


async def test_a_revoked_token(telegram: LocalTelegram, anna: Device, boris: Device, watched: Watched) -> None:
    message = await watched.shows(anna, boris)
    token = telegram.revoke_bot_token(KEYPAD_BOT)
    said = await watched.becomes(BotState.REFUSED)
    assert "@BotFather" in said
    assert watched.bot.since > 0
    watched.bot.use(token)
    assert (await message.click()).message == "pressed test:1"
    assert watched.bot.state is BotState.READY


@pytest.mark.parametrize("token", ["no token", "1234:wrong"])
async def test_a_wrong_token(telegram: LocalTelegram, token: str) -> None:
    async with at_work(token, telegram.bot_api_url) as watched:
        await watched.becomes(BotState.REFUSED)
        watched.bot.use(telegram.bot(KEYPAD_BOT).token)
        await watched.becomes(BotState.READY)


async def test_inline_mode(telegram: LocalTelegram, anna: Device, boris: Device, watched: Watched) -> None:
    message = await watched.shows(anna, boris)
    telegram.set_inline(KEYPAD_BOT, False)
    with pytest.raises(TelegramError, match="BOT_INLINE_DISABLED"):
        await watched.shows(anna, boris)
    assert "/setinline" in await watched.becomes(BotState.NO_INLINE)
    assert (await message.click()).message == "pressed test:1"  # presses go on
    telegram.set_inline(KEYPAD_BOT, True)
    await watched.becomes(BotState.READY)
    await watched.shows(anna, boris)


async def test_the_bot_api_is_out_of_reach(
    telegram: LocalTelegram, anna: Device, boris: Device, watched: Watched
) -> None:
    message = await watched.shows(anna, boris)
    async with telegram.bot_api_down():
        assert "Waiting for" in await watched.becomes(BotState.CONNECTING)
        with pytest.raises(EditRefused):
            await watched.bot.edit("any", "text", ())
    await watched.becomes(BotState.READY)
    assert (await message.click()).message == "pressed test:1"


@pytest.mark.parametrize("method", ["*", "getUpdates"])
async def test_requests_just_hang(
    telegram: LocalTelegram, anna: Device, boris: Device, watched: Watched, method: str
) -> None:
    """All of them; or only the polls, while getMe is answered as if all were well."""
    message = await watched.shows(anna, boris)
    telegram.delay_bot(method, 3600, times=None)
    assert "not answered" in await watched.becomes(BotState.CONNECTING)
    with pytest.raises(BotUnavailable):
        watched.bot.require()
    telegram.clear_faults()
    await watched.becomes(BotState.READY)
    assert (await message.click()).message == "pressed test:1"


async def test_another_program_polls_the_bot(telegram: LocalTelegram, watched: Watched) -> None:
    async with program(telegram, telegram.bot(KEYPAD_BOT)):
        assert "Another program" in await watched.becomes(BotState.CONFLICT)
        before = len(watched.states)
        telegram.set_inline(KEYPAD_BOT, False)  # which only getMe tells: it is asked, and does not hide the conflict
        telegram.set_inline(KEYPAD_BOT, True)
        watched.bot.recheck()
    await watched.becomes(BotState.READY)
    assert BotState.CONNECTING not in watched.states[before:]


async def test_throttled_requests_change_nothing(telegram: LocalTelegram, watched: Watched) -> None:
    telegram.refuse_bot("getMe", 429, retry_after=1)
    telegram.refuse_bot("getMe", 502)
    watched.bot.recheck()
    await watched.becomes(BotState.CONNECTING)  # the 502, after the second that was asked for
    await watched.becomes(BotState.READY)
    assert watched.states == [BotState.READY, BotState.CONNECTING, BotState.READY]


@pytest.mark.parametrize("error", [429, 502])
async def test_an_answer_that_is_not_taken_is_given_once_more(
    telegram: LocalTelegram, anna: Device, boris: Device, watched: Watched, error: int
) -> None:
    telegram.refuse_bot("answerInlineQuery", error, retry_after=1 if error == 429 else None)
    message = await watched.shows(anna, boris)
    telegram.refuse_bot("answerCallbackQuery", error, retry_after=1 if error == 429 else None)
    assert (await message.click()).message == "pressed test:1"


async def test_a_bot_whose_name_nobody_on_telegram_has(
    telegram: LocalTelegram, anna: Device, boris: Device, watched: Watched
) -> None:
    telegram.refuse("contacts.resolveUsername", "USERNAME_NOT_OCCUPIED", phone=ANNA, peer=f"@{KEYPAD_BOT}")
    with pytest.raises(NotFound, match=KEYPAD_BOT):
        await watched.shows(anna, boris)


async def test_queries_of_others_are_refused(anna: Device, boris: Device, watched: Watched) -> None:
    with watched.bot.offered((await anna.client.get_me()).id, MESSAGE) as query:
        assert not await boris.client.inline_query(KEYPAD_BOT, query, entity="me")
        assert not await anna.client.inline_query(KEYPAD_BOT, query, entity="boris")  # used up
    assert watched.bot.refused == 2
    await watched.shows(anna, boris)


async def test_a_handler_that_fails_ends_nothing(anna: Device, boris: Device, watched: Watched) -> None:
    def broken(press: Press) -> str:
        raise ZeroDivisionError

    message = await watched.shows(anna, boris)
    watched.bot.on_press("test", broken)
    assert not (await message.click()).message
    watched.bot.on_press("test", lambda _: "well")
    assert (await message.click()).message == "well"


async def test_presses_that_have_waited_are_not_done(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    """Telegram keeps them for a day, and a card's button would ring the queue when the program begins."""
    token = telegram.bot(KEYPAD_BOT).token
    async with at_work(token, telegram.bot_api_url) as watched:
        await watched.becomes(BotState.READY)
        message = await watched.shows(anna, boris)
    async with background_tasks() as tasks:
        pressing = [tasks.create_task(message.click()) for _ in range(3)]
        await until(lambda: telegram.waiting(KEYPAD_BOT) == 3)
        async with at_work(token, telegram.bot_api_url) as watched:
            assert [(await each).message for each in pressing] == [LATE] * 3
            assert (await message.click()).message == "pressed test:1"
            assert len(watched.presses) == 1


async def test_presses_between_two_runs_are_done(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    """Who talks presses a key while the program is started again."""
    token = telegram.bot(KEYPAD_BOT).token
    async with at_work(token, telegram.bot_api_url) as watched:
        await watched.becomes(BotState.READY)
        message = await watched.shows(anna, boris)
    async with background_tasks() as tasks:
        pressing = tasks.create_task(message.click())
        await until(lambda: telegram.waiting(KEYPAD_BOT) == 1)
        async with at_work(token, telegram.bot_api_url, time.time() - 1.0):
            assert (await pressing).message == "pressed test:1"


async def test_presses_while_the_next_run_loads_are_done(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    """Whatever the page, and aiogram, take to be loaded on a busy machine."""
    token = telegram.bot(KEYPAD_BOT).token
    async with at_work(token, telegram.bot_api_url) as watched:
        await watched.becomes(BotState.READY)
        message = await watched.shows(anna, boris)
    clock = itertools.count(time.time(), step=2 * FRESH_S)  # so long between any two looks at it
    async with background_tasks() as tasks:
        pressing = tasks.create_task(message.click())
        await until(lambda: telegram.waiting(KEYPAD_BOT) == 1)
        async with at_work(token, telegram.bot_api_url, time.time() - 1.0, clock.__next__):
            assert (await pressing).message == "pressed test:1"


async def test_presses_before_another_token_is_given_are_not_done(
    telegram: LocalTelegram, anna: Device, boris: Device
) -> None:
    """However short a while the program was away before."""
    token = telegram.bot(KEYPAD_BOT).token
    async with at_work(token, telegram.bot_api_url) as watched:
        await watched.becomes(BotState.READY)
        message = await watched.shows(anna, boris)
    async with background_tasks() as tasks:
        pressing = tasks.create_task(message.click())
        await until(lambda: telegram.waiting(KEYPAD_BOT) == 1)
        async with at_work("", telegram.bot_api_url, time.time() - 1.0) as watched:
            await watched.becomes(BotState.NO_TOKEN)
            watched.bot.use(token)
            assert (await pressing).message == LATE


async def test_presses_of_a_short_while_are_done(
    telegram: LocalTelegram, boris: Device, anna: Device, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await watched.shows(anna, boris)
    for fresh_s, answer in ((60.0, "pressed test:1"), (0.0, LATE)):
        monkeypatch.setattr("ari_app.telegram.bot.FRESH_S", fresh_s)
        telegram.refuse_bot("getUpdates", 502, times=None)
        await watched.becomes(BotState.CONNECTING)
        async with background_tasks() as tasks:
            pressing = tasks.create_task(message.click())
            await until(lambda: telegram.waiting(KEYPAD_BOT) == 1)
            telegram.clear_faults()
            assert (await pressing).message == answer
        await watched.becomes(BotState.READY)


class TwoMachines:
    """One of them, whose way to the other one needs no time."""

    def __init__(self, name: str, both: "list[TwoMachines]") -> None:
        self.address = address_of(name)
        self.holds = False
        self._answers: dict[str, Answer] = {}
        self._both = both
        both.append(self)

    def fetches(self) -> bool:
        return self.holds

    def others(self) -> list[str]:
        return [each.address for each in self._both if each is not self]

    async def ask(self, address: str, what: str, question: bytes) -> bytes:
        (other,) = (each for each in self._both if each.address == address)
        return other._answers[what](question)

    def serve(self, what: str, answer: Answer) -> None:
        self._answers[what] = answer


@contextmanager
def fetching(watched: Watched, machine: TwoMachines) -> Iterator[None]:
    """One machine holds the bot's lease."""
    machine.holds = True
    with watched.bot.fetching():
        yield
        machine.holds = False


async def test_two_machines_with_one_bot(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    """Each shows its message and gets its presses, whichever of them fetches, and Telegram never answers 409."""
    token, both = telegram.bot(KEYPAD_BOT).token, list[TwoMachines]()
    machines = [TwoMachines(name, both) for name in "ab"]
    async with (
        at_work(token, telegram.bot_api_url, machines=machines[0]) as a,
        at_work(token, telegram.bot_api_url, machines=machines[1]) as b,
    ):
        for each in (a, b):
            await each.becomes(BotState.READY)
        messages: list[tuple[Watched, Any]] = []
        for fetcher, machine in ((a, machines[0]), (b, machines[1]), (a, machines[0])):
            with fetching(fetcher, machine):
                messages += [(each, await each.shows(anna, boris)) for each in (a, b)]
                for each, message in messages:  # also those that the other one has fetched the query of
                    before = len(each.presses)
                    assert (await message.click()).message == "pressed test:1"
                    assert len(each.presses) == before + 1
        assert {each.bot.state for each in (a, b)} == {BotState.READY}
    assert (a.bot.refused, b.bot.refused) == (0, 0)
    assert telegram.bot_refusals(409) == 0


async def test_telegram_answers_409_to_two_who_fetch(telegram: LocalTelegram, watched: Watched) -> None:
    async with at_work(telegram.bot(KEYPAD_BOT).token, telegram.bot_api_url) as other:
        await other.becomes(BotState.CONFLICT)
    assert telegram.bot_refusals(409) > 0


@asynccontextmanager
async def quoting_server(answer: str) -> AsyncIterator[str]:
    """Something in Telegram's place that quotes the address, in which the token is."""

    async def quoted(request: web.Request) -> web.Response:
        return web.Response(status=502, text=answer.replace("URL", str(request.url)))

    server = web.Application()
    server.router.add_route("*", "/{anything:.*}", quoted)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"ok": false, "error_code": 502, "description": "no way to URL"}', "no way to http://127.0.0.1"),
        ("<html>no way to URL</html>", "not the Bot API"),
    ],
    ids=["words of Telegram's", "page of a proxy"],
)
async def test_the_token_is_shown_nowhere(answer: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with quoting_server(answer) as url, at_work("1234:Very_Secret", url) as watched:
        await watched.bot.first_attempt_done()
        with pytest.raises(BotUnavailable, match=reason) as unavailable:
            watched.bot.require()
        with pytest.raises(EditRefused) as refused:
            await watched.bot.edit("any", "text", ())
    assert refused.value.__cause__ is None
    for text in (str(unavailable.value), repr(watched.bot), str(refused.value), caplog.text):
        assert "Very_Secret" not in text


async def test_aiogram_is_not_loaded_without_a_token() -> None:
    check = "import sys; import ari_app.telegram.bot; sys.exit('aiogram' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", check)
    assert await process.wait() == 0
