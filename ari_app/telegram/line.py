"""One Telegram account that takes and places calls."""

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from telethon import TelegramClient
from telethon.tl import functions, types

from ari_app.sentence import Sentence, say
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.account import CONNECT_S, Account, connected
from ari_app.telegram.buttons import ButtonBot, ButtonMessage, delete, send_buttons
from ari_app.telegram.card import Contact, Picture, send_contact, send_picture
from ari_app.telegram.chat import Chat, OnText, Recently
from ari_app.telegram.errors import NotReady, SignedOut, TelegramError, Unreachable, translated
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.lists import Denied, Lists
from ari_app.telegram.peers import Callee, Destination, Directory, Person, known_peer
from ari_app.telegram.phone import Offer, Phone
from ari_app.telegram.setup import has_dialogue
from ari_app.telegram.texts import Wording
from media.types import EngineProtocol

log = logging.getLogger(__name__)

RETRY_FIRST_S = 1.0
RETRY_MOST_S = 4.0
CHECK_EVERY_S = 2.0
"""Telegram is asked this often whether it is there, by turns with a ping and with what only a signed-in session may."""
CHECK_S = 2.0


class LineState(Enum):
    """Whether a line can take and place calls."""

    CONNECTING = "connecting"
    SIGNED_OUT = "signed out"
    READY = "ready"


@dataclass(frozen=True)
class Callers:
    """Whose outgoing calls a line is for: phones by their caller id number; ``default``: those of nobody's line."""

    numbers: frozenset[str] = frozenset()
    default: bool = False


@dataclass(frozen=True)
class Profile:
    """What an administrator may change of a line while it works.

    ``max_calls`` bounds the calls at a time, both ways together. ``bare_number_prefix`` makes phone numbers of dialled
    digits, see `Destination.parse`. ``found_s`` and ``not_found_s``: how long Telegram's answers to who somebody is
    stay good.
    """

    name: str
    context: str
    wording: Wording
    max_calls: int = 1
    lists: Lists = Lists()  # noqa: RUF009 - frozen
    callers: Callers = Callers()
    bare_number_prefix: str = ""
    found_s: float = 86400.0
    not_found_s: float = 3600.0
    limits: LimitSettings = LimitSettings()  # noqa: RUF009 - frozen


class Line:
    """One account, connected and signed in for as long as its `run` goes on.

    ``on_offer`` is called for each incoming call, ``on_text`` for each text that a person writes, ``on_change`` when
    something about it has changed; ``own`` tells the accounts that are lines, ``bot_name`` the bot, if it can be used.
    """

    def __init__(
        self,
        account: Account,
        engine: EngineProtocol,
        on_offer: Callable[["Line", Offer], None],
        *,
        profile: Profile,
        limits: Limits,
        directory: Directory,
        on_text: Callable[["Line", int, str], bool] = lambda *_: False,
        on_change: Callable[[], None] = lambda: None,
        bot_name: Callable[[], str] = lambda: "",
        own: Callable[[Person], bool] = lambda _: False,
    ) -> None:
        self.number = account.number
        self.limits = limits
        self.user_id: int | None = None  # once it has been signed in
        self.state = LineState.CONNECTING
        self.condition = CONNECTING
        self._on_text: OnText = lambda person_id, text: on_text(self, person_id, text)
        self._on_change = limits.on_change = on_change
        self._bot_name = bot_name
        self.dialogue: bool | None = None  # with the bot; None: it is not known
        self._own = own
        self._answered = Recently()
        self.account = account
        self._engine = engine
        self._on_offer = on_offer
        self._directory = directory
        self._client: TelegramClient | None = None
        self._phone: Phone | None = None
        self._chat: Chat | None = None
        self._settled = asyncio.Event()
        self._ready = asyncio.Event()
        self.use(profile)

    def use(self, profile: Profile) -> None:
        """Go on with another profile; calls that are live are not touched."""
        self.name = profile.name
        self.context = profile.context
        self.max_calls = profile.max_calls
        self.lists = profile.lists
        self.callers = profile.callers
        self.wording = profile.wording
        self.limits.settings = profile.limits
        self._bare_number_prefix = profile.bare_number_prefix
        self._directory.found_s, self._directory.not_found_s = profile.found_s, profile.not_found_s

    @property
    def phone(self) -> Phone:
        """Its calls; raises NotReady."""
        if self.state is LineState.READY and self._phone:
            return self._phone
        raise NotReady(f"line {self.number} is {self.state.value}: {self.condition}")

    @property
    def chat(self) -> Chat:
        """Its private messages; raises NotReady."""
        if self.state is LineState.READY and self._chat:
            return self._chat
        raise NotReady(f"line {self.number} is {self.state.value}: {self.condition}")

    @property
    def client(self) -> TelegramClient:
        """Its account itself, for what is neither a call nor a chat; raises NotReady."""
        self.phone  # noqa: B018 - says why, when the line is not ready
        return self._client

    @property
    def pauses(self) -> dict[str, tuple[float, str]]:
        """The requests that this line leaves out now: each one's seconds left, and Telegram's word for why."""
        return self.limits.pauses

    def destination(self, dialled: str) -> Destination:
        """Read what somebody dialled; raises MalformedDestination."""
        return Destination.parse(dialled, self._bare_number_prefix)

    async def find(self, destination: Destination, *, fresh: bool = False) -> Callee:
        """Who a destination is, if the line's lists let it be called; ``fresh``: Telegram is asked, whatever is cached.

        Raises TelegramError; Denied for the lists.
        """
        self.phone  # noqa: B018 - says why, when the line is not ready
        self._require(self.lists.denies(destination))
        callee = await self._directory.find(self._client, destination, fresh=fresh)
        if callee.cached and self.lists.only_contacts and not callee.person.contact:
            callee = await self._directory.find(self._client, destination, fresh=True)  # he may be one by now
        self._require(self.lists.refuses(callee.person, destination))
        return callee

    def _require(self, refusal: str) -> None:
        if refusal:
            raise Denied(f"line {self.number} may not call: {refusal}")

    async def send_buttons(self, bot: ButtonBot, peer: types.TypeInputPeer, message: ButtonMessage) -> int:
        """Send a message of the bot's to a person; its id in this account. Raises BotUnavailable, TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        assert self.user_id is not None
        return await send_buttons(self._client, self.user_id, bot, peer, message)

    async def send_card_part(self, peer: types.TypeInputPeer, part: Contact | Picture) -> None:
        """Send a contact, or a picture. Raises TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        if isinstance(part, Contact):
            await send_contact(self._client, peer, part)
        else:
            await send_picture(self._client, peer, part)

    async def peer(self, person_id: int) -> types.InputPeerUser:
        """Somebody whom this line has met, by Telegram id. Raises TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        return await known_peer(self._client, person_id)

    async def delete_messages(self, message_ids: list[int]) -> None:
        """Delete messages of this account's chats for both sides. Raises TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        await delete(self._client, message_ids)

    async def until_ready(self) -> None:
        """Wait until it can take and place calls."""
        await self._ready.wait()

    async def settled(self) -> LineState:
        """Wait until the first try to connect is over."""
        await self._settled.wait()
        return self.state

    def about_to_run(self) -> None:
        """What was found out about its session before does not count any more."""
        self.dialogue = None
        self._become(LineState.CONNECTING, CONNECTING)

    async def run(self) -> None:
        """Hold the line until cancelled; connects, and connects again with backoff, and says so in the log."""
        async with self.limits:
            await self._keep_connected()

    def fail(self, error: BaseException) -> None:
        """An unexpected error has ended its `run`, which is begun again."""
        self._become(
            LineState.CONNECTING, say("Unexpected error: connecting again; see the log. ({error})", error=repr(error))
        )

    async def _keep_connected(self) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                await self._hold()
                wait_s = RETRY_FIRST_S
            except SignedOut as error:
                return self._become(LineState.SIGNED_OUT, signed_out(error))
            except (sqlite3.Error, OSError) as error:
                return self._become(
                    LineState.SIGNED_OUT,
                    say("The session can't be used: sign this line in again. ({error})", error=error),
                )
            except TelegramError as error:
                self._become(LineState.CONNECTING, say("Waiting for Telegram. {error}", error=error))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MOST_S)

    async def _hold(self) -> None:
        async with connected(self.account, self.limits) as client:
            with translated("users.getUsers"):
                async with asyncio.timeout(CONNECT_S):
                    if not self.account.api_id:
                        raise SignedOut("neither the line nor the installation has an api_id")
                    if not await client.is_user_authorized():
                        raise SignedOut("not signed in")
                    self.user_id = (await client.get_me(input_peer=True)).user_id
            async with (
                Chat(client, lambda: self.wording, self._on_text, self._own, self._answered) as chat,
                Phone(client, self._engine, lambda offer: self._on_offer(self, offer)) as phone,
                guarded_tasks() as checks,
            ):
                self._client, self._phone, self._chat = client, phone, chat
                self._become(LineState.READY, READY)
                try:
                    await self._watch(client, checks)
                finally:
                    self._client = self._phone = self._chat = None
            self._become(LineState.CONNECTING, say("Telegram closed the connection; connecting again."))

    async def _watch(self, client: TelegramClient, tasks: GuardedTasks) -> None:
        """Until the client gives up: see whether Telegram answers. Telethon itself connects again without a word.

        One question at a time: what could not be sent is sent once Telethon is connected again. Raises SignedOut.
        """
        question: asyncio.Task[SignedOut | None] | None = None
        gone = client.disconnected
        turn = 0
        while True:
            if question is None:
                turn += 1
                question = tasks.spawn(self._ask(client, turn), f"check of {self.number}")
            await asyncio.wait({question, gone}, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return
            if not question.done():
                if self.state is LineState.READY:
                    self._become(LineState.CONNECTING, say("Telegram does not answer; connecting again."))
                continue
            if refused := question.result():
                raise refused
            question = None
            if self.state is not LineState.READY:
                self._become(LineState.READY, READY)
                await client.catch_up()  # what became of calls meanwhile
            await asyncio.wait({gone}, timeout=CHECK_EVERY_S)
            if gone.done():
                return

    async def _ask(self, client: TelegramClient, turn: int) -> SignedOut | None:
        """Return when Telegram has answered: SignedOut if that is what it said."""
        try:
            if turn % 2:
                with translated("ping"):
                    await client(functions.PingRequest(secrets.randbits(63)))
            elif name := self._bot_name():
                self._learn_dialogue(await has_dialogue(client, name))
            else:
                self._learn_dialogue(None)
                with translated("updates.getState"):
                    await client(functions.updates.GetStateRequest())
        except SignedOut as refused:
            return refused
        except Unreachable:
            await client.disconnected
        except TelegramError as error:
            log.debug("line %s: %s", self.number, error)
        return None

    def _learn_dialogue(self, dialogue: bool | None) -> None:
        if dialogue is not self.dialogue:
            self.dialogue = dialogue
            self._on_change()

    def _become(self, state: LineState, condition: Sentence) -> None:
        if (state, condition) not in ((self.state, self.condition), (LineState.CONNECTING, CONNECTING)):
            level = logging.INFO if state is LineState.READY else logging.WARNING
            log.log(level, "line %s: %s: %s", self.number, state.value, condition)
        self.state, self.condition = state, condition
        if condition is not CONNECTING:
            self._settled.set()
        if state is LineState.READY:
            self._ready.set()
        else:
            self._ready.clear()
        self._on_change()


CONNECTING = say("Connecting to Telegram.")
READY = say("Connected to Telegram.")


def signed_out(error: SignedOut) -> Sentence:
    """Why a line has to be signed in, and that it has to."""
    if "DEACTIVATED" in str(error):
        return say("Telegram has banned or deleted this account ({error}): use another one for this line.", error=error)
    return say("Not signed in: sign this line in. ({error})", error=error)
