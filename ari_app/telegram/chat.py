"""A line's private messages: what people write to it, and what it writes back."""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from telethon import events, utils
from telethon.tl import functions, types

from ari_app.cooldown import Cooldown
from ari_app.logs import line_log
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.peers import Person
from ari_app.telegram.session import Session
from ari_app.telegram.texts import MessageTemplates

log = logging.getLogger(__name__)

AUTO_ANSWER_S = 30.0  # the same text to the same person at most once in this time
TELEGRAM_ITSELF = {777000, 42777}  # its service accounts: login codes and notices

OnMessage = Callable[[Person, str], None]
"""Told each text that was not dialled, of people (not of bots, Telegram itself and the lines); must not wait."""
OnText = Callable[[int, str, float], bool]
"""Told each text of a person, by Telegram id, in their order, and when Telegram took it (a Unix time); must not wait.
True where it was dialled."""

OnClaim = Callable[[int, str], Awaitable[bool]]
"""Says whether a text, by its id and what it says, is this machine's to answer; it may take a while."""
OnDialled = Callable[[int], Coroutine[Any, Any, None]]
"""Told each text that was dialled, by its id, so that no other machine answers it; it may take a while."""


async def claimed(message_id: int, text: str) -> bool:
    """Where there is only one machine."""
    return True


async def told_nobody(message_id: int) -> None:
    """Where there is only one machine."""


class Chat:
    """The private chats of one account; used as a context manager, it listens to the session's updates while open.

    A text that ``on_text`` does not dial gets the line's automatic answer: never to bots, Telegram itself and whoever
    is ``own`` (this account, the other lines), and the same not twice in a short time (``recently``).
    ``is_ours``: whether that is for us to give; not so where the account has written to them meanwhile.
    ``was_dialled`` is told once a text is dialled, which does not wait for it.
    """

    def __init__(
        self,
        session: Session,
        templates: Callable[[], MessageTemplates],
        on_text: OnText,
        on_message: OnMessage,
        own: Callable[[Person], bool],
        recently: Cooldown,
        is_ours: OnClaim = claimed,
        was_dialled: OnDialled = told_nobody,
    ) -> None:
        self._session = session
        self._templates = templates
        self._on_text = on_text
        self._on_message_of = on_message
        self._own = own
        self._recently = recently
        self._is_ours = is_ours
        self._was_dialled = was_dialled
        self._waiting: dict[int, set[int]] = {}  # texts that may be ours, by who has written them
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> "Chat":
        self._answering: GuardedTasks = await self._exit.enter_async_context(guarded_tasks())
        self._exit.enter_context(
            self._session.on(events.NewMessage(incoming=True, func=is_text_of_a_person), self._on_message)
        )
        self._exit.enter_context(
            self._session.on(events.NewMessage(outgoing=True, func=is_text_of_ours), self._on_own_message)
        )
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._exit.aclose()

    async def send(self, peer: types.TypeInputPeer, text: str) -> None:
        """messages.sendMessage, as plain text without markup or a link's preview. Raises TelegramError."""
        await self._session.invoke(functions.messages.SendMessageRequest(peer, text, no_webpage=True))

    async def _on_message(self, event: Any) -> None:
        # A call's updates wait behind this one: whatever takes time has a task of its own.
        message = event.message
        person_id, line = message.peer_id.user_id, self._templates().number
        if self._on_text(person_id, message.message, message.date.timestamp()):
            self._answering.spawn(self._was_dialled(message.id), f"line {line}: keys of {person_id}")
        else:
            # Here, as its answer may come right behind it, where both were missed.
            self._waiting.setdefault(person_id, set()).add(message.id)
            self._answering.spawn(self._answer(event), f"line {line}: answer to {person_id}")

    async def _on_own_message(self, event: Any) -> None:
        """Another device has written: it may be the answer of a machine that could not claim the text."""
        for message_id in self._waiting.get(event.message.peer_id.user_id, set()).copy():
            if message_id < event.message.id:
                self._waiting[event.message.peer_id.user_id].discard(message_id)

    async def _claim(self, message: Any) -> bool:
        """Whether a text is ours to answer, and nobody else has answered it while that was not known."""
        person_id, message_id = message.peer_id.user_id, message.id
        waiting = self._waiting.get(person_id, set())  # none, where its answer was seen before this began
        try:
            return await self._is_ours(message_id, message.message) and message_id in waiting
        finally:
            waiting.discard(message_id)
            if not waiting and self._waiting.get(person_id) is waiting:
                del self._waiting[person_id]

    async def _answer(self, event: Any) -> None:
        person_id = event.message.peer_id.user_id
        if not await self._claim(event.message):
            return
        try:
            sender = await self._session.sender(event)
            if not isinstance(sender, types.User) or not may_be_answered(sender, self._own):
                return
            person = Person.of(sender.id, sender)
            self._on_message_of(person, event.message.message)
            text = self._templates().text("auto_answer", person)
            if text and self._recently.admit(sender.id):
                await self.send(utils.get_input_peer(sender), text)
        except TelegramError as error:
            line_log(log, self._templates().number).warning("no automatic answer to %s: %s", person_id, error)


def is_text_of_a_person(event: Any) -> bool:
    """Whether a new message has a text, and came in a private chat from the other side."""
    message = event.message
    return bool(isinstance(message.peer_id, types.PeerUser) and not message.out and message.message)


def is_text_of_ours(event: Any) -> bool:
    """Whether a new message has a text that this account has written in a private chat, by itself and not by a bot."""
    message = event.message
    return bool(
        isinstance(message.peer_id, types.PeerUser) and message.out and message.message and not message.via_bot_id
    )


def may_be_answered(sender: types.User, own: Callable[[Person], bool]) -> bool:
    """Whether an automatic answer to somebody makes sense: not to bots, Telegram itself, and our own accounts."""
    nobody = sender.bot or sender.is_self or sender.support or sender.deleted or sender.id in TELEGRAM_ITSELF
    return not nobody and not own(Person.of(sender.id, sender))
