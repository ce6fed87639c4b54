"""The keypad of a live call: shown in the caller's chat, hidden when the call ends, its presses dialled."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from telethon.tl import types

from ari_app.calls.call import Call
from ari_app.calls.dialling import KeysRefused
from ari_app.store.keypads import ShownKeypads
from ari_app.store.store import Store
from ari_app.tasks import GuardedTasks
from ari_app.telegram.buttons import REFUSAL, BotUnavailable, ButtonBot, ButtonMessage, EditRefused, Press
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.keypad import PREFIX, ForgedKey, KeyData, Signer, keyboard
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Person

log = logging.getLogger(__name__)

EDIT_EVERY_S = 1.0  # Telegram limits edits; what was pressed meanwhile is shown by the next one
SHOWN_KEYS = 40


class Keypad:
    """One call's keypad."""

    def __init__(self, call: Call, line: Line, person: Person) -> None:
        self.call = call
        self.line = line
        self.person = person
        self.signer = Signer(call.id, person.id)
        self.keyboard = keyboard(self.signer)
        self.pressed = ""
        self.message_id = ""  # as the bot knows it, which is from the first press on
        self.changed = asyncio.Event()

    def text(self) -> str:
        """What it says above its keys."""
        if self.pressed:
            return self.line.wording.say("keypad_dialled", self.person, digits=self.pressed[-SHOWN_KEYS:])
        return self.line.wording.say("keypad", self.person)

    def refusal(self) -> str:
        """What somebody is told whose press does not count."""
        return self.line.wording.say("key_refused", self.person)


class Keypads:
    """Every keypad that is shown.

    ``tasks`` outlives the calls, so that a call's end does not wait for a message to go. While the bot can't be used,
    callers are asked to write the extension.
    """

    def __init__(self, bot: ButtonBot, store: Store, tasks: GuardedTasks, refused: Callable[[], None]) -> None:
        self._bot = bot
        self._store = store
        self._tasks = tasks
        self._refused = refused
        self._live: dict[str, Keypad] = {}
        self._hiding: set[asyncio.Task[None]] = set()
        bot.on_press(PREFIX, self._press)

    @asynccontextmanager
    async def shown_to(
        self, call: Call, line: Line, person: Person, peer: types.TypeInputPeer | None
    ) -> AsyncIterator[None]:
        """Show the keypad to the caller while inside; a call never waits for it, and does without where it fails."""
        keypad = Keypad(call, line, person)
        if peer is None:
            log.warning("call %s: no keypad: Telegram did not tell who calls", call.id)
            yield
            return
        self._live[call.id] = keypad
        showing = self._tasks.spawn(self._show(keypad, peer), f"keypad of call {call.id}")
        following = self._tasks.spawn(self._follow(keypad), f"keypad of call {call.id}")
        try:
            yield
        finally:
            del self._live[call.id]
            following.cancel()
            hiding = self._tasks.spawn(self._hide(keypad, showing), f"keypad of call {call.id}")
            self._hiding.add(hiding)
            hiding.add_done_callback(self._hiding.discard)

    async def hidden(self) -> None:
        """Wait until no message of a call that is over is left to be removed."""
        while self._hiding:
            await asyncio.wait(self._hiding)

    async def sweep(self, line: Line) -> None:
        """Remove what a killed program left in a line's chats."""
        shown = ShownKeypads(self._store, line.number)
        for message_id in await shown.all():
            await self._remove(line, shown, message_id)

    async def _show(self, keypad: Keypad, peer: types.TypeInputPeer) -> int | None:
        """The message's id; None where there is no keypad but at most a hint."""
        message_id = await self._send(keypad, peer)
        if message_id is None:
            await self._send_hint(keypad, peer)
        return message_id

    async def _send(self, keypad: Keypad, peer: types.TypeInputPeer) -> int | None:
        line, call = keypad.line, keypad.call
        try:
            message_id = await line.send_buttons(self._bot, peer, ButtonMessage(keypad.text(), keypad.keyboard))
        except BotUnavailable as error:
            log.info("call %s: no keypad: %s", call.id, error)  # the bot itself has warned of it, once
            return None
        except TelegramError as error:
            log.warning("call %s: no keypad: %s", call.id, error)
            return None
        await ShownKeypads(self._store, line.number).add(message_id)
        call.step("keypad", "shown")
        return message_id

    async def _send_hint(self, keypad: Keypad, peer: types.TypeInputPeer) -> None:
        hint = keypad.line.wording.say("keypad_hint", keypad.person)
        if not hint:
            return
        try:
            await keypad.line.chat.send(peer, hint)
        except TelegramError as error:
            log.warning("call %s: no hint either: %s", keypad.call.id, error)
        else:
            keypad.call.step("keypad", "not shown; a hint was sent")

    async def _hide(self, keypad: Keypad, showing: asyncio.Task[int | None]) -> None:
        message_id = await showing
        if message_id is not None:
            await self._remove(keypad.line, ShownKeypads(self._store, keypad.line.number), message_id)
            keypad.call.step("keypad", "hidden")

    async def _remove(self, line: Line, shown: ShownKeypads, message_id: int) -> None:
        try:
            await line.delete_messages([message_id])
        except TelegramError as error:
            log.warning("line %s: a keypad was not removed, the next start will: %s", line.number, error)
        else:
            await shown.remove(message_id)

    async def _follow(self, keypad: Keypad) -> None:
        """Show in the message what was pressed so far."""
        while True:
            await keypad.changed.wait()
            keypad.changed.clear()
            wait_s = EDIT_EVERY_S
            try:
                await self._bot.edit(keypad.message_id, keypad.text(), keypad.keyboard)
            except EditRefused as refusal:
                log.info("call %s: the keypad's text was not edited: %s", keypad.call.id, refusal)
                if refusal.retry_s is None:
                    return
                wait_s = max(wait_s, refusal.retry_s)
                keypad.changed.set()
            await asyncio.sleep(wait_s)

    def _press(self, press: Press) -> str | None:
        """A press counts only from the person it was made for, and while that very call lives."""
        keypad = None
        try:
            data = KeyData.unpack(press.data)
            keypad = self._live.get(data.call)
            if keypad is None:
                raise ForgedKey("its call is over, or never was")
            key = keypad.signer.key(data, press.person_id)
            if keypad.message_id not in ("", press.message_id):
                raise ForgedKey("it is a copy of the keypad")
            keypad.call.keys.press(key)
        except (KeysRefused, ValueError) as error:
            self._refused()
            log.warning("keypad: a press of %s was refused: %s", press.person_id, error)
            return keypad.refusal() if keypad else REFUSAL
        keypad.pressed += key
        keypad.message_id = press.message_id
        keypad.changed.set()
        return None
