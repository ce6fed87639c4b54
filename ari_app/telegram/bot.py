"""The installation's bot: it makes the messages with buttons that a line sends into its own chats, and takes presses.

A line asks the bot, as an inline query (core.telegram.org/bots/inline), for a message that this program has just put
out for it: the query is a secret that is good once, and only for that line's account. What a press means is up to
whoever registered its prefix; Telegram does not check who presses, or when.
"""

import asyncio
import importlib
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial

from ari_app.i18n import Message, message
from ari_app.tasks import GuardedTasks, guarded_tasks
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
from ari_app.telegram.buttons import LATE, REFUSAL, BotUnavailable, ButtonMessage, EditRefused, Keyboard, OnPress
from ari_app.telegram.proxy import Proxy, ProxyKind

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
REMEMBERED = 1000


class BotState(Enum):
    """Whether the bot can be used; the worst first."""

    NO_TOKEN = "not set up"  # noqa: S105
    REFUSED = "refused"
    CONNECTING = "connecting"
    CONFLICT = "used by another program"
    NO_INLINE = "without inline mode"
    READY = "ready"


@dataclass(frozen=True)
class Condition:
    """A state, with what has happened and what to do."""

    state: BotState
    sentence: Message

    @property
    def usable(self) -> bool:
        """Whether Telegram takes requests of the bot's."""
        return self.state in (BotState.READY, BotState.NO_INLINE)


NO_TOKEN = Condition(
    BotState.NO_TOKEN,
    message(
        "There is no bot, so callers get no keypad, and cards no button: make one at @BotFather and enter its token."
    ),
)
CONNECTING = Condition(BotState.CONNECTING, message("Connecting to Telegram's Bot API."))
REFUSED = Condition(
    BotState.REFUSED,
    message("Telegram does not accept the bot's token: take the present one from @BotFather (/token) and enter it."),
)


def _unreachable(error: BotApiError) -> Condition:
    if isinstance(error, BotProxyFailed):
        return Condition(BotState.CONNECTING, error.sentence)
    said = message(
        "Waiting for Telegram's Bot API ({error}). If this lasts, see whether the network lets it through.",
        error=str(error),
    )
    return Condition(BotState.CONNECTING, said)


NO_BOT_BY_MTPROXY = message(
    "An MTProxy carries no bot, so callers get no keypad, and cards no button: for them, enter a SOCKS5 or HTTP proxy "
    "in Settings."
)


def _conflict(username: str, error: BotApiError) -> Condition:
    said = message(
        "Another program takes what is meant for @{bot} ({error}): stop it, or give Astergram a bot of its own.",
        bot=username,
        error=str(error),
    )
    return Condition(BotState.CONFLICT, said)


def _introduced(username: str, inline: bool) -> Condition:
    if inline:
        return Condition(BotState.READY, message("@{bot} is connected.", bot=username))
    said = message("Inline mode of @{bot} is off: switch it on at @BotFather (/setinline).", bot=username)
    return Condition(BotState.NO_INLINE, said)


class Bot:
    """The bot at work for as long as its `run` goes on; without a token it says that there is none.

    ``on_change`` is called when `state` or `sentence` has changed; ``on_language`` gets the Telegram id and language
    (IETF tag) of whoever pressed a button. ``polled_until``: until when an earlier run of the program has fetched what
    was pressed, 0 where nobody knows. It and ``clock`` are Unix time.
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
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._proxy = proxy
        self._on_change = on_change
        self._on_language = on_language
        # Now, and not at the first poll: on a busy machine it takes long to load what that needs.
        self._away_s = max(0.0, clock() - polled_until)
        self._clock = clock
        self.username = ""
        self.refused = 0
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
        self._offers: dict[str, tuple[int, ButtonMessage]] = {}
        self._handlers: dict[str, OnPress] = {}
        self._seen: deque[str] = deque(maxlen=REMEMBERED)

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

    @contextmanager
    def offered(self, account_id: int, message: ButtonMessage) -> Iterator[str]:
        """Put a message out for one account; the query that gets it, once, while the context lasts."""
        query = secrets.token_urlsafe(24)
        self._offers[query] = account_id, message
        try:
            yield query
        finally:
            self._offers.pop(query, None)

    def on_press(self, prefix: str, handler: OnPress) -> None:
        """Give the presses whose data begins with ``prefix:`` to a handler."""
        self._handlers[prefix] = handler

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        """Edit an inline message; without a keyboard its buttons go. Raises EditRefused."""
        if self._api is None:
            raise EditRefused(f"the bot is {self.state.value}: {self.sentence}", RETRY_S)
        try:
            await self._api.edit(message_id, text, keyboard)
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
            return self._judge(_unreachable(error), None)
        if bot_id != self._bot_id:
            self._bot_id, self._emptied_at = bot_id, asyncio.get_running_loop().time() - self._away_s
        async with opening as api, guarded_tasks() as tasks:
            self._api = api
            try:
                await self._watch(api, tasks)
            finally:
                self._api = None

    async def _watch(self, api: BotApi, tasks: GuardedTasks) -> None:
        """Ask the Bot API again and again, and poll it while it answers.

        A poll that began before it went away may hang for long; so each time it is back there is a new one.
        """
        poll: asyncio.Task[None] | None = None
        while True:
            self._doubted.clear()
            wait_s = await self._introduce(api)
            if self._introduction.usable and poll is None:
                poll = tasks.supervise(lambda: self._poll(api, tasks), "bot: updates")
            elif poll and not self._introduction.usable:
                poll.cancel()
                poll = None
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._doubted.wait()

    async def _introduce(self, api: BotApi) -> float:
        """Ask who it is; returns after how many seconds to ask again."""
        try:
            me = await api.introduce(ANSWER_S)
        except Throttled as error:
            return error.retry_s  # which says that it is there, and the token good
        except TokenRefused:
            self._judge(REFUSED, None)
        except BotApiError as error:
            self._judge(_unreachable(error), None)
        else:
            self.username = me.username
            self._judge(_introduced(me.username, me.inline), self._polling)
        return CHECK_EVERY_S if self.state is BotState.READY else RECHECK_S

    async def _poll(self, api: BotApi, answering: GuardedTasks) -> None:
        loop = asyncio.get_running_loop()
        quiet_from = loop.time()
        while True:
            # Updates have no date: they may have waited since there was nothing to be fetched.
            late = loop.time() > self._emptied_at + FRESH_S
            away = self._polling is not None and self._polling.state is BotState.CONNECTING
            wait_s = 0 if late or away else POLL_S
            try:
                updates = await api.updates(self._offset, wait_s, wait_s + POLL_ANSWER_S)
            except PolledElsewhere as error:
                quiet_from = loop.time() + CONFLICT_QUIET_S
                await self._fails_to_poll(_conflict(self.username, error))
            except Throttled as error:
                await self._fails_to_poll(_unreachable(error), error.retry_s)
            except TokenRefused:
                self.recheck()
                await self._fails_to_poll(REFUSED)
            except BotApiError as error:
                await self._fails_to_poll(_unreachable(error))
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
        return not (isinstance(event, Question) and event.query in self._offers)

    def _take(self, event: Question | Pressed | None, api: BotApi, answering: GuardedTasks) -> None:
        """In the order in which they came; only the answering takes time."""
        if isinstance(event, Question):
            found = self._found(event)
            answer = partial(api.answer_question, event.id, self.username, found)
            answering.spawn(_answered(answer), "bot: answer to a query")
        elif isinstance(event, Pressed):
            answer = partial(api.answer_press, event.id, self._pressed(event))
            answering.spawn(_answered(answer), "bot: answer to a press")

    def _found(self, question: Question) -> list[ButtonMessage]:
        account_id, message = self._offers.pop(question.query, (None, None))
        if message is None or account_id != question.person_id:
            self.refused += 1
            log.warning("bot: an inline query of %s was refused: it is for our own lines only", question.person_id)
            return []
        return [message]

    def _pressed(self, pressed: Pressed) -> str | None:
        press = pressed.press
        if pressed.language:
            self._on_language(press.person_id, pressed.language)
        prefix, _, _ = press.data.partition(":")
        handler = self._handlers.get(prefix)
        if handler is None or pressed.id in self._seen or not press.message_id:
            self.refused += 1
            log.warning("bot: a press of %s was refused: none of our buttons, or pressed before", press.person_id)
            return REFUSAL
        self._seen.append(pressed.id)
        try:
            return handler(press)
        except Exception:
            # One press must not end the bot, and with it the program.
            log.exception("bot: unexpected error, at a press of %s", press.person_id)
            return None


async def introduced(token: str, proxy: Proxy | None = None, api_url: str = "") -> Introduction:
    """Who a token's bot is, before it is put to work. Raises BotApiError; TokenRefused where it is nobody's."""
    async with await asyncio.to_thread(_open, token, api_url, proxy) as api:
        return await api.introduce(ANSWER_S)


def _open(token: str, api_url: str, proxy: Proxy | None) -> AbstractAsyncContextManager[BotApi]:
    """For a thread: aiogram takes seconds to import. Raises TokenRefused, BotProxyFailed."""
    if proxy and proxy.kind is ProxyKind.MTPROXY:
        raise BotProxyFailed(NO_BOT_BY_MTPROXY)
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
