"""What is meant for the bot, and who takes it: queries of our lines, and presses, on this machine or another one."""

import json
import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ari_app.telegram.bot_api import Pressed, Question
from ari_app.telegram.bot_machines import MachineAway, Machines
from ari_app.telegram.buttons import NOT_NOW, REFUSAL, Button, ButtonMessage, Keyboard, OnPress, Press

REMEMBERED = 1000
ADDRESSED_QUERY = re.compile(r"(?P<address>[\w-]{8})\.(?P<rest>.+)", re.ASCII)
ADDRESSED_DATA = re.compile(r"(?P<rest>.+)@(?P<address>[\w-]{8})", re.ASCII)
UNDONE = (REFUSAL, NOT_NOW)
"""What somebody is told whose press nobody has taken: another machine may."""
QUESTION, PRESS = "bot-question", "bot-press"
"""What machines ask each other."""

log = logging.getLogger(__name__)


class BotInbox:
    """``on_language`` gets the Telegram id and language (IETF tag) of whoever pressed a button of this machine's."""

    def __init__(self, machines: Machines, on_language: Callable[[int, str], None]) -> None:
        self.refused = 0
        self._machines = machines
        self._on_language = on_language
        self._offers: dict[str, tuple[int, ButtonMessage]] = {}
        self._handlers: dict[str, OnPress] = {}
        self._shared: set[str] = set()  # prefixes
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        machines.serve(QUESTION, self._serve_question)
        machines.serve(PRESS, self._serve_press)

    def addressed(self, keyboard: Keyboard) -> Keyboard:
        """The buttons of a message of this machine's, as Telegram gets them: a press says whom it is for."""
        address = self._machines.address
        if not address:
            return keyboard
        return tuple(tuple(replace(each, data=f"{each.data}@{address}") for each in row) for row in keyboard)

    @contextmanager
    def offered(self, account_id: int, message: ButtonMessage) -> Iterator[str]:
        """See `Bot.offered`."""
        query, address = secrets.token_urlsafe(24), self._machines.address
        self._offers[query] = account_id, replace(message, keyboard=self.addressed(message.keyboard))
        try:
            yield f"{address}.{query}" if address else query
        finally:
            self._offers.pop(query, None)

    def on_press(self, prefix: str, handler: OnPress, *, shared: bool = False) -> None:
        """See `ButtonBot.on_press`."""
        self._handlers[prefix] = handler
        if shared:
            self._shared.add(prefix)

    def may_be_asked_for(self, question: Question) -> bool:
        """Whether a line may be waiting for an answer: one of another machine's is for that to say."""
        address, query = self._split(ADDRESSED_QUERY, question.query)
        return bool(address) or query in self._offers

    async def found(self, question: Question) -> list[ButtonMessage]:
        """What a query gets. It is taken before anything is waited for."""
        address, query = self._split(ADDRESSED_QUERY, question.query)
        question = replace(question, query=query)
        if not address:
            return self._found(question)
        try:
            return _read_messages(await self._machines.ask(address, QUESTION, _write_question(question)))
        except (MachineAway, ValueError, KeyError, TypeError) as error:
            log.warning("bot: no message for a line of another machine: %s", error)
            return []

    async def pressed(self, pressed: Pressed) -> str | None:
        """What somebody is told who has pressed a button. It is taken before anything is waited for."""
        address, data = self._split(ADDRESSED_DATA, pressed.press.data)
        own = replace(pressed, press=replace(pressed.press, data=data))
        told = await self._ask(address, own) if address else self._pressed(own)
        if told not in UNDONE:
            return told
        is_shared, has_address = data.partition(":")[0] in self._shared, data != pressed.press.data
        if is_shared and address:
            first, told = told, self._pressed(own)
            if told not in UNDONE:
                return told
            told = NOT_NOW if NOT_NOW in (first, told) else REFUSAL
        if is_shared or not has_address:  # which may be of a time when its machine was the only one
            for other in self._machines.others():
                if other != address and (theirs := await self._ask(other, own)) not in UNDONE:
                    return theirs
        return told

    def _split(self, form: re.Pattern[str], text: str) -> tuple[str, str]:
        """The address of another machine, or an empty one, and what is left."""
        addressed = form.fullmatch(text) if self._machines.address else None
        if addressed is None:
            return "", text
        address = addressed["address"]
        return "" if address == self._machines.address else address, addressed["rest"]

    async def _ask(self, address: str, pressed: Pressed) -> str | None:
        try:
            told = json.loads(await self._machines.ask(address, PRESS, _write_press(pressed)))["told"]
        except (MachineAway, ValueError, KeyError, TypeError) as error:
            log.warning("bot: a press of %s was not done by its machine: %s", pressed.press.person_id, error)
            return NOT_NOW
        return None if told is None else str(told)

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
        if pressed.id in self._seen:
            self.refused += 1
            log.warning("bot: a press of %s was fetched before", press.person_id)
            return None
        if handler is None or not press.message_id:
            self.refused += 1
            log.warning("bot: a press of %s was refused: none of our buttons", press.person_id)
            return REFUSAL
        self._seen.append(pressed.id)
        try:
            return handler(press)
        except Exception:
            # One press must not end the bot, and with it the program.
            log.exception("bot: unexpected error, at a press of %s", press.person_id)
            return None

    # --- what another machine has fetched

    def _serve_question(self, question: bytes) -> bytes:
        its = json.loads(question)
        found = self._found(Question("", int(its["person"]), str(its["query"])))
        return json.dumps({"messages": [_as_json(each) for each in found]}).encode()

    def _serve_press(self, pressed: bytes) -> bytes:
        its = json.loads(pressed)
        press = Press(str(its["data"]), int(its["person"]), str(its["message"]))
        return json.dumps({"told": self._pressed(Pressed(str(its["id"]), press, str(its["language"])))}).encode()


def _write_question(question: Question) -> bytes:
    return json.dumps({"person": question.person_id, "query": question.query}).encode()


def _write_press(pressed: Pressed) -> bytes:
    its = pressed.press
    return json.dumps(
        {
            "id": pressed.id,
            "data": its.data,
            "person": its.person_id,
            "message": its.message_id,
            "language": pressed.language,
        }
    ).encode()


def _as_json(message: ButtonMessage) -> dict[str, Any]:
    return {"text": message.text, "keyboard": [[[each.text, each.data] for each in row] for row in message.keyboard]}


def _read_messages(answer: bytes) -> list[ButtonMessage]:
    """Raises ValueError, KeyError, TypeError."""
    return [
        ButtonMessage(
            str(each["text"]),
            tuple(tuple(Button(str(text), str(data)) for text, data in row) for row in each["keyboard"]),
        )
        for each in json.loads(answer)["messages"]
    ]
