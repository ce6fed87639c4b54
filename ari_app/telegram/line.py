"""One Telegram account that takes and places calls."""

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

from telethon.tl import functions, types

from ari_app.backoff import Backoff
from ari_app.cooldown import Cooldown
from ari_app.i18n import Message, message
from ari_app.logs import line_log
from ari_app.tasks import GuardedTasks, guarded_tasks, was_cancelled
from ari_app.telegram.account import CONNECT_S, Account, is_damaged
from ari_app.telegram.buttons import ButtonBot, ButtonMessage, delete, find, send_buttons
from ari_app.telegram.card_message import Contact, Picture, send_contact, send_picture
from ari_app.telegram.chat import AUTO_ANSWER_S, Chat, OnClaim, OnDialled, OnMessage, OnText, claimed, told_nobody
from ari_app.telegram.dialogue import BotDialogue, BotProblem
from ari_app.telegram.errors import (
    KEY_FORGOTTEN,
    KeyForgotten,
    Limited,
    NotReady,
    SignedOut,
    TelegramError,
    Unreachable,
)
from ari_app.telegram.limits import Limits
from ari_app.telegram.linked_devices import LinkedDevices
from ari_app.telegram.lists import Denied, ListRefusal
from ari_app.telegram.peers import Callee, Destination, Directory, Person
from ari_app.telegram.phone import Offer, OutgoingCall, Phone, PhoneCall
from ari_app.telegram.phone_call import KeyExchange
from ari_app.telegram.profile import Profile
from ari_app.telegram.proxy_route import ProxyFailed
from ari_app.telegram.refusals import wait
from ari_app.telegram.session import Session, connected
from media.types import EngineProtocol

log = logging.getLogger(__name__)

RETRY = Backoff(first_s=1.0, last_s=4.0)
KEY_FORGOTTEN_S = 300.0
"""A key that Telegram has forgotten has been known to come back; asking for it costs one packet."""
CHECK_EVERY_S = 2.0
"""Telegram is asked this often whether it is there, by turns with a ping and with what only a signed-in session may."""
CHECK_S = 2.0
END_S = 5.0  # for the calls of a line whose session has ended; as long as closing a call may take


class LineState(Enum):
    """Whether a line can take and place calls."""

    CONNECTING = "connecting"
    SIGNED_OUT = "signed out"
    READY = "ready"


@dataclass(frozen=True)
class Online:
    """What a line has while it is connected and signed in: ``account_id`` is its own Telegram id."""

    session: Session
    phone: Phone
    chat: Chat
    devices: LinkedDevices
    account_id: int


class LineObserver(Protocol):
    """Who is told what happens on a line; only `on_signed_out` is waited for."""

    def on_offer(self, line: "Line", offer: Offer) -> None:
        """Somebody calls."""

    def on_text(self, line: "Line", person_id: int, text: str, sent_at: float) -> bool:
        """A person writes; whether that was meant for a call, and needs no other answer."""

    def on_message(self, line: "Line", person: Person, text: str) -> None:
        """A person has written what was not meant for a call."""

    async def on_signed_out(self, line: "Line") -> None:
        """Telegram has ended its session, and with it its calls."""


class Line:
    """One account, connected and signed in for as long as its `run` goes on.

    ``on_change`` is called when something about it has changed. ``own`` tells the accounts that are lines,
    ``bot_name`` the bot, if it can be used. ``is_ours``: whether it answers a text; ``was_dialled``: told of those that
    are not to be answered.
    """

    def __init__(
        self,
        account: Account,
        engine: EngineProtocol,
        observer: LineObserver,
        *,
        profile: Profile,
        limits: Limits,
        directory: Directory,
        on_change: Callable[[], None] = lambda: None,
        bot_name: Callable[[], str] = lambda: "",
        own: Callable[[Person], bool] = lambda _: False,
        is_ours: OnClaim = claimed,
        was_dialled: OnDialled = told_nobody,
    ) -> None:
        self.number = account.number
        self.limits = limits
        self.user_id: int | None = None  # once it has been signed in
        self.state = LineState.CONNECTING
        self.condition = CONNECTING
        self._on_text: OnText = partial(observer.on_text, self)
        self._on_message: OnMessage = partial(observer.on_message, self)
        self._on_change = on_change
        self._observer = observer
        self._bot = BotDialogue(bot_name, on_change)
        self._offset_s: float | None = None
        self._own = own
        self._is_ours = is_ours
        self._was_dialled = was_dialled
        self._answered = Cooldown(AUTO_ANSWER_S)
        self.account = account
        self._directory = directory
        self._phone = Phone(engine, partial(observer.on_offer, self))
        self._online: Online | None = None
        self._attempt: asyncio.Timeout | None = None  # of holding the line
        self._told_to_reconnect = asyncio.Event()
        self._first_attempt = asyncio.Event()
        self._session_asked_from = 0.0  # on the loop's clock: Telegram may want to be asked later
        self.times_ready = 0
        """How often it has become ready."""
        self._became_ready = asyncio.Event()
        self.use(profile)

    def use(self, profile: Profile) -> None:
        """Go on with another profile; calls that are live are not touched."""
        self.name = profile.name
        self.context = profile.context
        self.max_calls = profile.max_calls
        self.lists = profile.lists
        self.callers = profile.callers
        self.account_code = profile.account_code
        self.templates = profile.templates
        self.card = profile.card
        self.limits.settings = profile.limits
        self._bare_number_prefix = profile.bare_number_prefix
        self._directory.found_s, self._directory.not_found_s = profile.found_s, profile.not_found_s

    @property
    def online(self) -> Online | None:
        """What it has while it can take and place calls."""
        return self._online if self.state is LineState.READY else None

    def require_online(self) -> Online:
        """The same; raises NotReady where there is none."""
        if online := self.online:
            return online
        raise NotReady(f"line {self.number} is {self.state.value}: {self.condition}")

    @property
    def telegram_offset_s(self) -> float | None:
        """How much Telegram's clock is ahead of this machine's, to a second or so; None while it is not connected."""
        return self._offset_s if self.state is LineState.READY else None

    @property
    def pauses(self) -> dict[str, tuple[float, str]]:
        """The requests that this line backs off from now: each one's seconds left, and Telegram's word for why."""
        return self.limits.pauses

    @property
    def frozen(self) -> str:
        """Telegram's word for the account being frozen, which can neither call nor write then; or empty."""
        return self.limits.frozen

    @property
    def dialogue(self) -> bool | None:
        """Whether the account has a chat with the bot; None: it is not known."""
        return self._bot.open

    @property
    def bot_problem(self) -> BotProblem | None:
        """Why the bot can't be used in this line's chats; None where nothing is known against it."""
        return self._bot.problem

    def bot_changed(self) -> None:
        """The bot may be another one now."""
        self._bot.look()

    def recheck_bot(self) -> None:
        """The account's chat with the bot may have begun."""
        self._bot.recheck()

    def destination(self, dialled: str) -> Destination:
        """Read what somebody dialled; raises MalformedDestination."""
        return Destination.parse(dialled, self._bare_number_prefix)

    async def find(self, destination: Destination, *, fresh: bool = False) -> Callee:
        """Who a destination is, if the line's lists let it be called; ``fresh``: Telegram is asked, whatever is cached.

        Raises TelegramError; Denied for the lists.
        """
        return await self._find(destination, fresh, lambda: None)

    async def look_up(self, destination: Destination, *, fresh: bool = False) -> Callee:
        """As `find`, where nobody calls them: Limited where Telegram would be asked more often than is set."""
        return await self._find(destination, fresh, self.limits.admit_lookup)

    async def _find(self, destination: Destination, fresh: bool, admit: Callable[[], None]) -> Callee:
        session = self.require_online().session
        self._require(self.lists.denies(destination))
        callee = await self._directory.find(session, destination, fresh=fresh, admit=admit)
        if callee.cached and self.lists.only_contacts and not callee.person.contact:
            # They may be one by now.
            callee = await self._directory.find(session, destination, fresh=True, admit=admit)
        self._require(self.lists.refuses(callee.person, destination))
        return callee

    def _require(self, refusal: ListRefusal | None) -> None:
        if refusal:
            raise Denied(f"line {self.number} may not call: {refusal}", refusal)

    def call(self, peer: types.TypeInputPeer, keys: KeyExchange) -> AbstractAsyncContextManager[OutgoingCall]:
        """Call somebody, see `Phone.call`. Raises TelegramError."""
        return self.require_online().phone.call(peer, keys)

    def adopted(
        self, peer_id: int, call_id: int, access_hash: int, date: float
    ) -> AbstractAsyncContextManager[PhoneCall]:
        """Take over a call that an earlier run has confirmed, see `Phone.adopted`; the line need not be online yet."""
        began = datetime.fromtimestamp(date, UTC) if date else None
        return self._phone.adopted(peer_id, call_id, access_hash, began)

    def was_asked_for(self, peer_id: int) -> None:
        """See `Phone.was_asked_for`."""
        self._phone.was_asked_for(peer_id)

    async def send(self, peer: types.TypeInputPeer, text: str) -> None:
        """Send a text to a person. Raises TelegramError."""
        await self.require_online().chat.send(peer, text)

    async def send_buttons(
        self, bot: ButtonBot, peer: types.TypeInputPeer, message: ButtonMessage, random_id: int | None = None
    ) -> int:
        """Send a message of the bot's to a person; its id in this account.

        Raises BotUnavailable, TelegramError; MaybeSent, see `find_buttons`.
        """
        online = self.require_online()
        try:
            message_id = await send_buttons(online.session, online.account_id, bot, peer, message, random_id)
        except TelegramError:
            self._bot.doubt()
            raise
        self._bot.works()
        return message_id

    async def find_buttons(self, person_id: int, data: str) -> list[int]:
        """The messages to a person that have buttons whose data begins so. Raises TelegramError."""
        session = self.require_online().session
        return await find(session, await session.user_peer(person_id), data)

    async def send_card_part(self, peer: types.TypeInputPeer, part: Contact | Picture) -> None:
        """Send a contact, or a picture. Raises TelegramError."""
        session = self.require_online().session
        if isinstance(part, Contact):
            await send_contact(session, peer, part)
        else:
            await send_picture(session, peer, part)

    async def peer(self, person_id: int) -> types.InputPeerUser:
        """Somebody whom this line has met, by Telegram id. Raises TelegramError."""
        return await self.require_online().session.user_peer(person_id)

    def forget(self, person_id: int | None, destinations: Collection[str]) -> None:
        """Know nothing more of somebody, who was called by these; what is kept of them is not touched."""
        self._directory.forget(person_id, destinations)
        if self._online and person_id is not None:
            self._online.session.forget(person_id)

    async def delete_messages(self, message_ids: list[int]) -> None:
        """Delete messages of this account's chats for both sides. Raises TelegramError."""
        await delete(self.require_online().session, message_ids)

    async def until_ready(self, after: int = 0) -> int:
        """Wait until it can take and place calls, for the next time ``after`` that one; gives which time it is."""
        while self.state is not LineState.READY or self.times_ready <= after:
            await self._became_ready.wait()
        return self.times_ready

    async def first_attempt_done(self) -> LineState:
        """Wait until the first try to connect is over."""
        await self._first_attempt.wait()
        return self.state

    def about_to_run(self) -> None:
        """What was found out about its session before does not count any more."""
        self._bot.forget()
        self._become(LineState.CONNECTING, CONNECTING)

    def reconnect(self, account: Account) -> None:
        """Go on by another way to Telegram, at once; its calls go on, as they do whenever the connection is lost."""
        self.account = account
        self._told_to_reconnect.set()
        if self._attempt:
            self._attempt.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Hold the line until cancelled; connects, and connects again with backoff, and says so in the log."""
        await self._directory.load()
        async with self.limits, self._phone:
            await self._keep_connected()

    def fail(self, error: BaseException) -> None:
        """An unexpected error has ended its `run`, which is begun again."""
        self._become(
            LineState.CONNECTING,
            message("Unexpected error: connecting again; see the log. ({error})", error=repr(error)),
        )

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            failures += 1
            wait_s = RETRY.pause_s(failures)
            try:
                await self._hold_until_told()
                failures, wait_s = 0, RETRY.first_s
            except SignedOut as error:
                await self._sign_out(error)
                if not isinstance(error, KeyForgotten):
                    return
                wait_s = KEY_FORGOTTEN_S
            except Limited as error:
                wait_s = max(wait_s, error.seconds or 0.0)
                said = wait(error.seconds) if error.seconds else message("Waiting for Telegram. {error}", error=error)
                self._become(LineState.CONNECTING, said)
            except ProxyFailed as error:
                self._become(LineState.CONNECTING, error.sentence)
            except TelegramError as error:
                self._become(LineState.CONNECTING, message("Waiting for Telegram. {error}", error=error))
            except (sqlite3.Error, OSError) as error:
                if is_damaged(error):
                    said = message("The session can't be used: sign this line in again. ({error})", error=error)
                    return self._become(LineState.SIGNED_OUT, said)
                self._become(LineState.CONNECTING, unusable(self.account.session, error))
            if was_cancelled():  # that was an error of letting go
                raise asyncio.CancelledError
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._told_to_reconnect.wait()

    async def _hold_until_told(self) -> None:
        """As `_hold`, but no longer than until it is told to `reconnect`."""
        self._told_to_reconnect.clear()
        try:
            async with asyncio.timeout(None) as self._attempt:
                await self._hold()
        except TimeoutError:
            if not self._told_to_reconnect.is_set():
                raise
            self._become(LineState.CONNECTING, CONNECTING)
        finally:
            self._attempt = None

    async def _hold(self) -> None:
        """Be connected until Telethon gives up. Raises TelegramError, sqlite3.Error, OSError."""
        if not (self.account.api_id and self.account.api_hash):
            raise SignedOut("neither the line nor the installation has an api_id and api_hash", NO_APPLICATION)
        # Attached before anything is asked: Telethon hands a call that comes meanwhile to nobody else.
        async with connected(self.account, self.limits) as session, self._phone.attached(session):
            self.user_id = account_id = await self._identify(session)
            async with (
                Chat(
                    session,
                    lambda: self.templates,
                    self._on_text,
                    self._on_message,
                    self._own,
                    self._answered,
                    self._is_ours,
                    self._was_dialled,
                ) as chat,
                LinkedDevices(session, self.number) as devices,
                guarded_tasks() as checks,
            ):
                self._online = Online(session, self._phone, chat, devices, account_id)
                checks.supervise(partial(self._bot.watch, session), f"line {self.number}: bot")
                self._become(LineState.READY, READY)
                try:
                    if ended := await self._watch(session, checks):
                        await self._sign_out(ended)  # while Telegram may still take the ends of its calls
                finally:
                    self._online = None
            if ended:
                raise ended
            self._become(LineState.CONNECTING, message("Telegram closed the connection; connecting again."))

    async def _identify(self, session: Session) -> int:
        """The account's id. Raises TelegramError; SignedOut for what Telegram says of the session itself, only.

        Telethon's `is_user_authorized` takes any error for being signed out.
        """
        for user in await session.invoke(functions.users.GetUsersRequest([types.InputUserSelf()]), CONNECT_S):
            return int(user.id)
        raise TelegramError("Telegram does not say whose session this is (users.getUsers)")

    async def _sign_out(self, error: SignedOut) -> None:
        """Telegram has ended the session, and with it the calls."""
        self._become(LineState.SIGNED_OUT, signed_out(error))
        try:
            async with asyncio.timeout(END_S):
                await self._observer.on_signed_out(self)
        except TimeoutError:
            line_log(log, self.number).warning("calls did not end within %g s after its session", END_S)

    async def _watch(self, session: Session, tasks: GuardedTasks) -> SignedOut | None:
        """Until Telethon gives up, or Telegram says that the session has ended, which is returned.

        See whether Telegram answers: Telethon itself connects again without a word. One question at a time: what could
        not be sent is sent once Telethon is connected again.
        """
        question: asyncio.Task[SignedOut | bool | None] | None = None
        gone = session.closed
        turn = 0
        while True:
            if question is None:
                turn += 1
                question = tasks.spawn(self._ask(session, turn), f"check of {self.number}")
            await asyncio.wait({question, gone}, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return None
            if not question.done():
                said = failure.sentence if (failure := session.proxy_failure) else SILENT
                if (self.state, self.condition) != (LineState.CONNECTING, said):
                    self._become(LineState.CONNECTING, said)
                continue
            answered = question.result()
            question = None
            if isinstance(answered, SignedOut):
                return answered
            if answered and self.state is not LineState.READY:
                self._become(LineState.READY, READY)
                await session.catch_up()  # what became of calls meanwhile
                self._phone.resync()
            await asyncio.wait({gone}, timeout=CHECK_EVERY_S)
            if gone.done():
                return None

    async def _ask(self, session: Session, turn: int) -> SignedOut | bool:
        """Whether Telegram has answered; SignedOut if that is what it said."""
        now = asyncio.get_running_loop().time()
        try:
            if turn % 2 or now < self._session_asked_from:
                await session.invoke(functions.PingRequest(secrets.randbits(63)), timeout=None)
            else:  # what needs a session, costs little, and is held back by no pause
                sent, state = time.time(), await session.invoke(functions.updates.GetStateRequest(), timeout=None)
                self._learn_clock(state.date.timestamp(), sent, time.time())
        except SignedOut as ended:
            return ended
        except Limited as error:
            self._session_asked_from = now + (error.seconds or 0.0)
            line_log(log, self.number).info("%s", error)
        except Unreachable:
            await asyncio.wait({session.closed})
            return False
        except TelegramError as error:
            line_log(log, self.number).debug("%s", error)
        return True

    def _learn_clock(self, date: float, sent: float, received: float) -> None:
        """``date``: what Telegram has answered, in whole seconds; an answer that was late tells nothing."""
        if 0 <= received - sent <= CHECK_S:
            self._offset_s = date + 0.5 - (sent + received) / 2

    def _become(self, state: LineState, condition: Message) -> None:
        if (state, condition) not in ((self.state, self.condition), (LineState.CONNECTING, CONNECTING)):
            level = logging.INFO if state is LineState.READY else logging.WARNING
            line_log(log, self.number).log(level, "%s: %s", state.value, condition)
        if state is LineState.READY is not self.state:
            self.times_ready += 1
            self._became_ready.set()
            self._became_ready = asyncio.Event()
        self.state, self.condition = state, condition
        if condition is not CONNECTING:
            self._first_attempt.set()
        self._on_change()


CONNECTING = message("Connecting to Telegram.")
READY = message("Connected to Telegram.")
SILENT = message("Telegram does not answer; connecting again.")


NO_APPLICATION = "NO_APPLICATION"
ENDED = {
    NO_APPLICATION: message(
        "This line belongs to no application: set the api_id and api_hash of my.telegram.org for it, or for the "
        "installation, and sign it in."
    ),
    "USER_DEACTIVATED_BAN": message(
        "Telegram has banned this account: appeal in one of Telegram's own apps, or use another one for this line. "
        "({error})"
    ),
    "USER_DEACTIVATED": message("This Telegram account was deleted: use another one for this line. ({error})"),
    "AUTH_KEY_DUPLICATED": message(
        "Telegram has ended this session, because it was used from two places at once: see that no copy of this "
        "installation runs elsewhere, and sign this line in again. ({error})"
    ),
    "SESSION_REVOKED": message("This session was ended from another device: sign this line in again. ({error})"),
    "SESSION_EXPIRED": message(
        "Telegram has ended this session, as it does where nobody uses one for months: sign this line in again. "
        "({error})"
    ),
    KEY_FORGOTTEN: message("Telegram does not know this session any more: sign this line in again. ({error})"),
}


def signed_out(error: SignedOut) -> Message:
    """Why a line has to be signed in, and that it has to."""
    said = ENDED.get(error.word, message("Not signed in: sign this line in. ({error})"))
    return replace(said, values={"error": error})


def unusable(session: Path, error: Exception) -> Message:
    """A session file that is there, and may be whole."""
    return message(
        "The session file can't be used; it is tried again. See that there is room on the disk, and that Astergram may "
        "write {path}. ({error})",
        path=session,
        error=error,
    )
