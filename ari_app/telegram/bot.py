"""The installation's bot: it makes the messages with buttons that a line sends into its own chats, and takes presses.

A line asks the bot, as an inline query (core.telegram.org/bots/inline), for a message that this program has just put
out for it: the query is a secret that is good once, and only for that line's account. What a press means is up to
whoever registered its prefix; Telegram does not check who presses, or when.
"""

import asyncio
import importlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, suppress
from functools import partial

from ari_app.i18n import Message
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram import quick_aiogram
from ari_app.telegram.bot_api import (
    AT_ONCE,
    BotApi,
    BotApiError,
    BotProxyFailed,
    BotRequestRefused,
    Introduction,
    OpenBotApi,
    PolledElsewhere,
    Pressed,
    Question,
    Throttled,
    TokenRefused,
)
from ari_app.telegram.bot_condition import (
    CONNECTING,
    NO_BOT_BY_MTPROXY,
    NO_TOKEN,
    REFUSED,
    BotState,
    Condition,
    conflict,
    introduced_as,
    unreachable,
)
from ari_app.telegram.bot_inbox import BotInbox
from ari_app.telegram.bot_machines import BotAlone, Machines
from ari_app.telegram.buttons import LATE, BotUnavailable, ButtonMessage, EditRefused, Keyboard, OnPress
from ari_app.telegram.proxy import Proxy, ProxyKind

__all__ = ["FRESH_S", "Bot", "BotState", "introduced"]

log = logging.getLogger(__name__)

# What has gone wrong is known within 4.5 s (7 s where only polls hang), and that it is over within 3.5 s.
CHECK_EVERY_S = 2.0
ANSWER_S = 2.5  # longer, and the Bot API counts as out of reach
RECHECK_S = 1.0  # while something is wrong
POLL_S = 2
POLL_ANSWER_S = 5.0
"""So much longer than asked for, and polls count as hanging; one that is merely late costs no call its keypad."""
RETRY_S = 1.0
ANSWER_AGAIN_S = 5.0  # the longest wait before an answer is given again: Telegram lets a question go after 10 s
FRESH_S = 30.0  # what waited for us longer is not done any more: whoever pressed has given up
CONFLICT_QUIET_S = 10.0
"""A poll of ours ends the other program's, which then waits before it ends ours (aiogram: for up to 5 s)."""


class Bot:
    """The bot at work for as long as its `run` goes on; without a token it says that there is none.

    ``on_change`` is called when `state` or `sentence` has changed; ``on_language`` gets the Telegram id and language
    (IETF tag) of whoever pressed a button. ``polled_until``: until when an earlier run of the program has fetched what
    was pressed, 0 where nobody knows. It and ``clock`` are Unix time. ``machines``: the others that the bot works for.
    """

    def __init__(
        self,
        token: str = "",
        api_url: str = "",
        *,
        proxy: Proxy | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_language: Callable[[int, str], None] = lambda *_: None,
        polled_until: float = 0.0,
        clock: Callable[[], float] = time.time,
        machines: Machines | None = None,
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._proxy = proxy
        self._on_change = on_change
        # Now, and not at the first poll: on a busy machine it takes long to load what that needs.
        self._away_s = max(0.0, clock() - polled_until)
        self._clock = clock
        self.username = ""
        self.since = clock()
        self._introduction = self._condition = CONNECTING if token else NO_TOKEN
        self._polling: Condition | None = None  # what is wrong with the polls, other than with everything
        self._api: BotApi | None = None
        self._offset: int | None = None
        self._bot_id = ""  # as its token names it
        self._emptied_at = -math.inf  # on the loop's clock: when nothing was left to be fetched
        self._renewed = asyncio.Event()
        self._doubted = asyncio.Event()
        self._settled = asyncio.Event()
        self._polls: asyncio.Task[None] | None = None
        self._machines = machines or BotAlone()
        self._inbox = BotInbox(self._machines, on_language)

    def __repr__(self) -> str:
        return f"<Bot @{self.username} {self.state.value}>"

    @property
    def state(self) -> BotState:
        """Whether it can be used; ``since`` says when that has changed, as Unix time."""
        return self._condition.state

    @property
    def sentence(self) -> Message:
        """What has happened, and what to do."""
        return self._condition.sentence

    def use(self, token: str, proxy: Proxy | None = None) -> None:
        """Go on with another token or proxy, at once; an empty token is none. Handlers and offers stay."""
        if (token, proxy) != (self._token, self._proxy):
            self._token, self._proxy = token, proxy
            self._away_s = math.inf
            self._settled.clear()
            self._renewed.set()
            self._judge(CONNECTING if token else NO_TOKEN, None)

    def usable_name(self) -> str:
        """Its username; empty where it can't be used."""
        return self.username if self.state is BotState.READY else ""

    async def first_attempt_done(self) -> None:
        """Wait until the token has been tried once; at once where there is none."""
        if self.state is not BotState.NO_TOKEN:
            await self._settled.wait()

    def require(self) -> str:
        """Its username; raises BotUnavailable."""
        if self.state is not BotState.READY:
            raise BotUnavailable(f"the bot is {self.state.value}: {self.sentence}")
        return self.username

    def recheck(self) -> None:
        """Something has failed that should not, were `state` true: look at once."""
        self._doubted.set()

    @property
    def refused(self) -> int:
        """How many queries and presses were refused."""
        return self._inbox.refused

    def offered(self, account_id: int, message: ButtonMessage) -> AbstractContextManager[str]:
        """Put a message out for one account; the query that gets it, once, while the context lasts."""
        return self._inbox.offered(account_id, message)

    def on_press(self, prefix: str, handler: OnPress, *, shared: bool = False) -> None:
        """See `ButtonBot.on_press`."""
        self._inbox.on_press(prefix, handler, shared=shared)

    @property
    def can_fetch(self) -> bool:
        """Whether this machine could fetch what is meant for it."""
        return self._introduction.usable and self.state is not BotState.CONNECTING

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Among several machines, this is the one that fetches while inside: it begins soon, and ends at once."""
        self._offset = None  # others have fetched meanwhile; Telegram begins with another number after a quiet week
        self._doubted.set()
        try:
            yield
        finally:
            self._stop_polls()
            if self._polling:
                self._judge(self._introduction, None)

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        """Edit an inline message; without a keyboard its buttons go. Raises EditRefused."""
        if self._api is None:
            raise EditRefused(f"the bot is {self.state.value}: {self.sentence}", RETRY_S)
        try:
            await self._api.edit(message_id, text, self._inbox.addressed(keyboard))
        except Throttled as error:
            raise EditRefused(str(error), error.retry_s) from None
        except BotRequestRefused as error:
            if "not modified" not in str(error):
                raise EditRefused(str(error), None) from None
        except BotApiError as error:
            raise EditRefused(str(error), RETRY_S) from None

    async def write(self, person_id: int, text: str) -> None:
        """Send a text to somebody who has started the bot. Raises BotApiError; BotRequestRefused if they have not."""
        if self._api is None:
            raise BotApiError(f"the bot is {self.state.value}: {self.sentence}")
        await self._api.write(person_id, text)

    async def run(self) -> None:
        """Take queries and presses until cancelled, with the token that there is; what fails is tried again."""
        while True:
            self._renewed.clear()
            async with guarded_tasks() as work:
                if self._token:
                    work.supervise(partial(self._work, self._token), "bot")
                await self._renewed.wait()

    async def _work(self, token: str) -> None:
        self._offset = None
        bot_id = token.partition(":")[0]
        try:
            opening = await asyncio.to_thread(_open, token, self._api_url, self._proxy)
        except TokenRefused:
            return self._judge(REFUSED, None)
        except BotProxyFailed as error:
            return self._judge(unreachable(error), None)
        if bot_id != self._bot_id:
            self._bot_id, self._emptied_at = bot_id, asyncio.get_running_loop().time() - self._away_s
        async with opening as api, guarded_tasks() as tasks:
            self._api = api
            try:
                await self._watch(api, tasks)
            finally:
                self._api = None

    async def _watch(self, api: BotApi, tasks: GuardedTasks) -> None:
        """Ask the Bot API again and again, and poll it while it answers, if that is for this machine to do.

        A poll that began before it went away may hang for long; so each time it is back there is a new one.
        """
        try:
            while True:
                self._doubted.clear()
                wait_s = await self._introduce(api)
                if not (self._introduction.usable and self._machines.fetches()):
                    self._stop_polls()
                elif self._polls is None or self._polls.done():
                    self._polls = tasks.supervise(lambda: self._poll(api, tasks), "bot: updates")
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._doubted.wait()
        finally:
            self._stop_polls()

    def _stop_polls(self) -> None:
        """At once: whoever fetches next would end a poll of ours, or ours theirs (409)."""
        if self._polls:
            self._polls.cancel()
            self._polls = None

    async def _introduce(self, api: BotApi) -> float:
        """Ask who it is; returns after how many seconds to ask again."""
        try:
            me = await api.introduce(ANSWER_S)
        except Throttled as error:
            return error.retry_s  # which says that it is there, and the token good
        except TokenRefused:
            self._judge(REFUSED, None)
        except BotApiError as error:
            self._judge(unreachable(error), None)
        else:
            self.username = me.username
            self._judge(introduced_as(me.username, me.inline), self._polling)
        return CHECK_EVERY_S if self.state is BotState.READY else RECHECK_S

    async def _poll(self, api: BotApi, answering: GuardedTasks) -> None:
        loop = asyncio.get_running_loop()
        quiet_from = loop.time()
        while self._machines.fetches():  # not so after this machine was suspended for long
            # Updates have no date: they may have waited since there was nothing to be fetched.
            late = loop.time() > self._emptied_at + FRESH_S
            away = self._polling is not None and self._polling.state is BotState.CONNECTING
            wait_s = 0 if late or away else POLL_S
            try:
                updates = await api.updates(self._offset, wait_s, wait_s + POLL_ANSWER_S)
            except PolledElsewhere as error:
                if not self._machines.fetches():
                    return
                quiet_from = loop.time() + CONFLICT_QUIET_S
                await self._fails_to_poll(conflict(self.username, error))
            except Throttled as error:
                await self._fails_to_poll(unreachable(error), error.retry_s)
            except TokenRefused:
                self.recheck()
                await self._fails_to_poll(REFUSED)
            except BotApiError as error:
                await self._fails_to_poll(unreachable(error))
            else:
                if self._polling and loop.time() >= quiet_from:
                    self._judge(self._introduction, None)
                if len(updates) < AT_ONCE:
                    self._emptied_at = loop.time()
                for update in updates:
                    self._offset = update.id + 1
                    if not late or not self._drop(update.event, api, answering):
                        self._take(update.event, api, answering)

    async def _fails_to_poll(self, why: Condition, retry_s: float = RETRY_S) -> None:
        self._judge(self._introduction, why)
        await asyncio.sleep(retry_s)

    def _judge(self, introduction: Condition, polling: Condition | None) -> None:
        """What getMe and getUpdates say of it; the worse of the two counts."""
        self._introduction, self._polling = introduction, polling
        states = list(BotState)
        new = min((introduction, polling or introduction), key=lambda each: states.index(each.state))
        old, self._condition = self._condition, new
        if new is not CONNECTING:
            self._settled.set()
        if new.state is not old.state:
            self.since = self._clock()
            wanted = new.state is BotState.READY or new in (CONNECTING, NO_TOKEN)
            log.log(logging.INFO if wanted else logging.WARNING, "bot: %s", new.sentence)
        if new != old:
            self._on_change()

    def _drop(self, event: Question | Pressed | None, api: BotApi, answering: GuardedTasks) -> bool:
        """Whether something that may be old is not to be done: all but what a line is asking for right now."""
        if isinstance(event, Pressed):
            log.info("bot: a press of %s came while nobody fetched it: not done", event.press.person_id)
            answering.spawn(_answered(partial(api.answer_press, event.id, LATE)), "bot: answer to a press")
            return True
        return not (isinstance(event, Question) and self._inbox.may_be_asked_for(event))

    def _take(self, event: Question | Pressed | None, api: BotApi, answering: GuardedTasks) -> None:
        """In the order in which they came, as tasks begin in it; only the answering takes time."""
        if isinstance(event, Question):
            answering.spawn(self._answer_question(event, api), "bot: answer to a query")
        elif isinstance(event, Pressed):
            answering.spawn(self._answer_press(event, api), "bot: answer to a press")

    async def _answer_question(self, question: Question, api: BotApi) -> None:
        found = await self._inbox.found(question)
        await _answered(partial(api.answer_question, question.id, self.username, found))

    async def _answer_press(self, pressed: Pressed, api: BotApi) -> None:
        told = await self._inbox.pressed(pressed)
        await _answered(partial(api.answer_press, pressed.id, told))


async def introduced(token: str, proxy: Proxy | None = None, api_url: str = "") -> Introduction:
    """Who a token's bot is, before it is put to work. Raises BotApiError; TokenRefused where it is nobody's."""
    async with await asyncio.to_thread(_open, token, api_url, proxy) as api:
        return await api.introduce(ANSWER_S)


def _open(token: str, api_url: str, proxy: Proxy | None) -> AbstractAsyncContextManager[BotApi]:
    """For a thread: aiogram takes a second to import. Raises TokenRefused, BotProxyFailed."""
    if proxy and proxy.kind is ProxyKind.MTPROXY:
        raise BotProxyFailed(NO_BOT_BY_MTPROXY)
    quick_aiogram.load()
    aiogram_api: OpenBotApi = importlib.import_module("ari_app.telegram.bot_aiogram").aiogram_api
    return aiogram_api(token, api_url, proxy)


async def _answered(answer: Callable[[], Awaitable[None]]) -> None:
    """Give an answer, once more if it is not taken; one that fails leaves no keypad, or a button that waits."""
    try:
        return await answer()
    except (BotRequestRefused, TokenRefused) as error:
        return log.warning("bot: an answer was not taken: %s", error)
    except BotApiError as error:
        wait_s = error.retry_s if isinstance(error, Throttled) else RETRY_S
        log.warning("bot: an answer was not taken: %s", error)
    if wait_s > ANSWER_AGAIN_S:
        return None
    await asyncio.sleep(wait_s)
    try:
        return await answer()
    except BotApiError as error:
        return log.warning("bot: an answer was not taken the second time either: %s", error)
