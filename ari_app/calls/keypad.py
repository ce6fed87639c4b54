"""The keypad of a live call: shown in the caller's chat, hidden when the call ends, its presses dialled."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from ari_app.calls.call import Call
from ari_app.calls.dtmf import DigitsRefused
from ari_app.calls.events import KeypadHidden, KeypadHintSent, KeypadShown
from ari_app.calls.parts import KeypadPart
from ari_app.cluster.shared_keypads import SharedKeypads
from ari_app.logs import call_log, line_log
from ari_app.store.keypads import KeypadRepository, SendingKeypad
from ari_app.store.store import Store, StoreUnavailable
from ari_app.tasks import FAILURES, GuardedTasks
from ari_app.telegram.buttons import (
    REFUSAL,
    BotUnavailable,
    ButtonBot,
    ButtonMessage,
    MaybeSent,
    Press,
    new_random_id,
)
from ari_app.telegram.edited_message import EditedMessage
from ari_app.telegram.errors import NotFound, TelegramError
from ari_app.telegram.keypad_message import PREFIX, keyboard, new_secret, of_call, pressed, signer
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Peer, Person
from ari_app.telegram.signed_buttons import ForgedButton

log = logging.getLogger(__name__)

EDIT_EVERY_S = 1.0  # Telegram limits edits; what was pressed meanwhile is shown by the next one
SHOWN_KEYS = 40
CLEAN_UP_EVERY_S = 600.0  # for what could not be removed at a call's end, although the line was ready
MAY_COME_S = 300.0  # a keypad that Telegram has not answered for may still come: it is looked for again until then


class Keypad:
    """One call's keypad. ``part``: what is known of one that an earlier run has shown."""

    def __init__(self, call: Call, line: Line, person: Person, part: KeypadPart | None = None) -> None:
        its = part or KeypadPart(new_secret().hex(), new_random_id(), time.time())
        self.call = call
        self.line = line
        self.person = person
        self.signer = signer(call.id, person.id, bytes.fromhex(its.secret))
        self.keyboard = keyboard(self.signer)
        self.pressed = ""
        self.message_id = its.message_id  # as the bot knows it, which is from the first press on
        self.sending = SendingKeypad(its.random_id, person.id, call.id, its.sent_at)
        self.sent_id = its.sent_id  # as the line's account knows it
        self.unsure = part is not None and part.sent_id is None  # whether it was sent
        self.edited: EditedMessage | None = None  # from the first press on
        self.was_pressed = asyncio.Event()

    @property
    def part(self) -> KeypadPart:
        """What the next run has to know of it."""
        its = self.sending
        return KeypadPart(self.signer.secret.hex(), its.random_id, its.sent_at, self.sent_id, self.message_id)

    def text(self) -> str:
        """What it says above its keys."""
        if self.pressed:
            return self.line.templates.text("keypad_dialled", self.person, digits=self.pressed[-SHOWN_KEYS:])
        return self.line.templates.text("keypad", self.person)

    def refusal(self) -> str:
        """What somebody is told whose press does not count."""
        return self.line.templates.text("key_refused", self.person)


class Keypads:
    """Every keypad that is shown.

    ``tasks`` outlives the calls, so that a call's end does not wait for a message to go. While the bot can't be used,
    callers are asked to write the extension. ``shared``: what other machines know of them.
    """

    def __init__(
        self, bot: ButtonBot, store: Store, tasks: GuardedTasks, refused: Callable[[], None], shared: SharedKeypads
    ) -> None:
        self._bot = bot
        self._store = store
        self._shared = shared
        self._tasks = tasks
        self._refused = refused
        self._live: dict[str, Keypad] = {}
        self._ending: dict[asyncio.Task[None], Keypad] = {}
        bot.on_press(PREFIX, self._press)

    @asynccontextmanager
    async def shown_to(self, call: Call, line: Line, person: Person, peer: Peer | None) -> AsyncIterator[None]:
        """Show the keypad to the caller while inside; a call never waits for it, and does without where it fails."""
        keypad = Keypad(call, line, person)
        if peer is None:
            call_log(log, call.id).warning("no keypad: Telegram did not tell who calls")
            yield
            return
        call.opened(keypad=keypad.part)
        showing = self._tasks.spawn(self._show(keypad, peer), f"keypad of call {call.id}")
        with self._in_use(keypad, showing):
            yield

    @asynccontextmanager
    async def adopted(self, call: Call, line: Line, person: Person, part: KeypadPart) -> AsyncIterator[None]:
        """As `shown_to`, for the keypad of a call that an earlier run has left."""
        with self._in_use(Keypad(call, line, person, part)):
            yield

    @contextmanager
    def _in_use(self, keypad: Keypad, showing: asyncio.Task[None] | None = None) -> Iterator[None]:
        name = f"keypad of call {keypad.call.id}"
        self._live[keypad.call.id] = keypad
        following = self._tasks.spawn(self._follow(keypad), name)
        try:
            yield
        finally:
            del self._live[keypad.call.id]
            following.cancel()
            hiding = self._tasks.spawn(self._hide(keypad, showing), name)
            self._ending[hiding] = keypad
            hiding.add_done_callback(lambda _: self._ending.pop(hiding))

    async def wait_hidden(self, line: Line | None = None) -> None:
        """Wait until no message of a call that is over is left to be removed, of this line or of any."""
        while hiding := [task for task, keypad in self._ending.items() if line in (None, keypad.line)]:
            await asyncio.wait(hiding)

    async def clean_up_when_ready(self, line: Line) -> None:
        """Remove what calls that are over have left in a line's chats whenever it is ready (again); until cancelled."""
        ready = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLEAN_UP_EVERY_S if ready else None):
                    ready = await line.until_ready(ready)
            await self.clean_up_stale(line)

    async def clean_up_others(self, line: Line) -> None:
        """Remove what machines that are gone have left in a line's chats, until cancelled."""
        shown = KeypadRepository(self._store, line.number)

        async def hide(message_id: int) -> bool:
            if not line.online or not await self._remove(line, shown, message_id):
                return False
            line_log(log, line.number).info("a keypad was removed that a machine has left which is gone")
            return True

        await self._shared.hide_left(line.number, hide)

    async def clean_up_at_last(self, line: Line) -> None:
        """The last that is done in a line's chats: its calls are over, and what they have shown is to go."""
        await self.wait_hidden(line)
        await self.clean_up_stale(line)

    async def clean_up_stale(self, line: Line) -> None:
        """Remove what calls that are over, also those of a program that was killed, have left in a line's chats."""
        shown = KeypadRepository(self._store, line.number)
        try:
            all_sent, all_unsure = await shown.all(), await shown.unsure()
        except StoreUnavailable as error:
            line_log(log, line.number).warning("what was left in chats is not known, it is looked at later: %s", error)
            return
        not_left = [*self._live.values(), *self._ending.values()]  # by now: a call may have begun meanwhile
        sent = set(all_sent) - {keypad.sent_id for keypad in not_left}
        unsure = [each for each in all_unsure if each not in [keypad.sending for keypad in not_left]]
        if not line.online:
            if sent or unsure:
                line_log(log, line.number).warning("keypads stay in chats: it is %s", line.state.value)
            return
        for message_id in sent:
            await _tried(line, self._remove(line, shown, message_id))
        for sending in unsure:
            await _tried(line, self._look_for(line, shown, sending))

    async def _show(self, keypad: Keypad, peer: Peer) -> None:
        if not await self._send(keypad, peer):
            await self._send_hint(keypad, peer)

    async def _send(self, keypad: Keypad, peer: Peer) -> bool:
        """Whether it is shown. What may be in the chat is remembered before anything can go wrong with it."""
        line, call, sending = keypad.line, keypad.call, keypad.sending
        shown = KeypadRepository(self._store, line.number)
        shown.sending(sending)
        message = ButtonMessage(keypad.text(), keypad.keyboard)
        try:
            keypad.sent_id = await line.send_buttons(self._bot, peer, message, sending.random_id)
        except MaybeSent as error:
            keypad.unsure = True
            call_log(log, call.id).warning("perhaps no keypad: %s", error)
            return False
        except (BotUnavailable, TelegramError) as error:
            # Of its own troubles the bot itself has warned, once.
            level = logging.INFO if isinstance(error, BotUnavailable) else logging.WARNING
            call_log(log, call.id).log(level, "no keypad: %s", error)
            shown.sent(sending.random_id, None)
            call.opened(keypad=None)
            return False
        shown.sent(sending.random_id, keypad.sent_id)
        self._shared.shown(line.number, keypad.sent_id)
        call.opened(keypad=keypad.part)
        call.add_event(KeypadShown())
        return True

    async def _send_hint(self, keypad: Keypad, peer: Peer) -> None:
        hint = keypad.line.templates.text("keypad_hint", keypad.person)
        if not hint:
            return
        try:
            await keypad.line.send(peer, hint)
        except TelegramError as error:
            call_log(log, keypad.call.id).warning("no hint either: %s", error)
        else:
            keypad.call.add_event(KeypadHintSent())

    async def _hide(self, keypad: Keypad, showing: asyncio.Task[None] | None) -> None:
        if showing:
            await asyncio.wait({showing})
        shown = KeypadRepository(self._store, keypad.line.number)
        if keypad.sent_id is not None:
            if await self._remove(keypad.line, shown, keypad.sent_id):
                keypad.call.add_event(KeypadHidden())
        elif keypad.unsure:
            await self._look_for(keypad.line, shown, keypad.sending)

    async def _remove(self, line: Line, shown: KeypadRepository, message_id: int) -> bool:
        try:
            await line.delete_messages([message_id])
        except TelegramError as error:
            line_log(log, line.number).warning("a keypad was not removed; tried again later: %s", error)
            return False
        shown.remove(message_id)
        self._shared.hidden(line.number, message_id)
        return True

    async def _look_for(self, line: Line, shown: KeypadRepository, sending: SendingKeypad) -> None:
        """Remove a keypad of which it is not known whether it was sent."""
        try:
            found = await line.find_buttons(sending.person_id, of_call(sending.call))
            if found:
                await line.delete_messages(found)
        except NotFound as error:
            line_log(log, line.number).warning("a keypad is not looked for: %s", error)
        except TelegramError as error:
            line_log(log, line.number).warning("a keypad was not looked for; tried again later: %s", error)
            return
        else:
            if not found and time.time() < sending.sent_at + MAY_COME_S:
                return
        shown.sent(sending.random_id, None)

    async def _follow(self, keypad: Keypad) -> None:
        """Show in the message what was pressed so far."""
        await keypad.was_pressed.wait()
        assert keypad.edited
        await keypad.edited.run()

    def _press(self, press: Press) -> str | None:
        """A press counts only from the person it was made for, and while that very call lives."""
        keypad = None
        try:
            data, key = pressed(press.data)
            keypad = self._live.get(data.subject)
            if keypad is None:
                raise ForgedButton("its call is over, or never was")
            keypad.signer.check(data, press.person_id)
            if keypad.message_id not in ("", press.message_id):
                raise ForgedButton("it is a copy of the keypad")
            keypad.call.dtmf.press(key)
        except (DigitsRefused, ValueError) as error:
            self._refused()
            log.warning("keypad: a press of %s was refused: %s", press.person_id, error)
            return keypad.refusal() if keypad else REFUSAL
        keypad.pressed += key
        keypad.message_id = press.message_id
        if keypad.edited is None:
            keypad.call.opened(keypad=keypad.part)
            keypad.edited = EditedMessage(self._bot, press.message_id, EDIT_EVERY_S, tries=math.inf)
            keypad.was_pressed.set()
        keypad.edited.show(keypad.text(), keypad.keyboard)
        return None


async def _tried(line: Line, removal: Awaitable[object]) -> None:
    """Whatever becomes of one keypad, the others are removed."""
    try:
        await removal
    except Exception as error:  # noqa: BLE001 - recorded
        FAILURES.add(f"line {line.number}: a keypad was not removed", error)
