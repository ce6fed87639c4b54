"""`--stay`: everything goes on running, for a softphone and for whoever sits at the terminal."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from ari_app.sandbox.delay import write_talk
from ari_app.sandbox.demo.program import Program
from ari_app.sandbox.demo.scenario import CALL_FAILURES, PERSON_HZ, PHONE, PHONE_HZ, VERA, Cast, failure_text
from ari_app.sandbox.demo.show import Show
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.tasks import background_tasks
from ari_app.telegram.phone import DiscardReason

SOFTPHONE = "106"
CONTEXT = "demo"
DIALPLAN = f"""\
; With --stay, a call to the line rings the softphone if there is one, else the demo's own phone, which answers.
[{CONTEXT}]
exten => _X.,1,Set(RUNG=${{IF($["${{PJSIP_DIAL_CONTACTS({SOFTPHONE})}}"=""]?{PHONE}:{SOFTPHONE})}})
 same => n,Dial(PJSIP/${{RUNG}},60)
 same => n,Hangup(${{IF($["${{DIALSTATUS}}"="NOANSWER"]?19:${{HANGUPCAUSE}})}})
"""
CONFIGURATION: dict[str, Any] = {"lines": [{"number": LINE, "context": CONTEXT, "max_calls": 2}]}
CALL_S = 180.0
"""The longest call that the demo's people and its phone speak in: it is held in memory."""
LAST_KEYS = 20
"""Of many presses, a keypad shows only the last ones."""
COMMANDS = "call, press KEYS, hangup, code NUMBER, quit"


class Reception:
    """The people on Telegram, while somebody tries the product: what each does when called, and what can be typed."""

    def __init__(self, cast: Cast, show: Show, tasks: asyncio.TaskGroup) -> None:
        self._cast = cast
        self._show = show
        self._tasks = tasks
        self._talk = cast.stage.folder / "talks" / "anna-stays.wav"
        self._calls: dict[PersonCall, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """From now on Anna answers, Boris declines and Vera lets it ring."""
        await asyncio.to_thread(write_talk, self._talk, PERSON_HZ, CALL_S)
        for person, answer in (
            (self._cast.anna, self._answer),
            (self._cast.boris, self._decline),
            (self._cast.vera, self._let_ring),
        ):

            async def receive(person: Any = person, answer: Any = answer) -> None:
                while True:
                    call = await person.incoming(timeout_s=math.inf)
                    self._start(answer(call))

            self._tasks.create_task(receive(), name=f"calls to {person.phone}")

    def command(self, line: str) -> bool:
        """Do what was typed; False to stop."""
        match line.split():
            case ["call"]:
                self._start(self._call())
            case ["hangup"]:
                if not self._calls:
                    self._show.say("Anna has no call")
                for call, talking in self._calls.items():
                    self._start(_hang_up(call, talking))
            case ["press", *keys] if keys:
                self._start(self._press("".join(keys).upper()))
            case ["code", number]:
                try:
                    self._show.say(
                        f"the login code last sent to {number}: {self._cast.stage.telegram.login_code(number)}"
                    )
                except LookupError:
                    self._show.say(f"no login code has been sent to {number}")
            case ["quit"]:
                return False
            case []:
                pass
            case _:
                self._show.say(f"commands: {COMMANDS}")
        return True

    async def _call(self) -> None:
        call = await self._cast.anna.call(LINE)
        self._show.say(f"Anna calls the line {LINE}; type hangup to end it")
        await self._conversation(call, call.confirm(self._talk, None))

    async def _press(self, keys: str) -> None:
        """Anna presses keys on the keypad that her chat shows, and sees what it says then."""
        anna = self._cast.anna
        keypad = await self._keypad()
        if keypad is None:
            self._show.say("Anna's chat shows no keypad: type call first")
            return
        known = [button.text for row in keypad.buttons for button in row]
        if unknown := [key for key in keys if key not in known]:
            self._show.say(f"the keypad has no key {' '.join(unknown)}: {' '.join(known)}")
            return
        for key in keys:
            await keypad.click(text=key)

        def all_of_it(messages: list[Any]) -> str | None:
            now = next((each.message for each in messages if each.id == keypad.id), keypad.message)
            return now if now != keypad.message and now.endswith(keys[-LAST_KEYS:]) else None

        said = await anna.sees(LINE, all_of_it)
        self._show.say(f"Anna has pressed {' '.join(keys)}; her chat says {said!r}")

    async def _keypad(self) -> Any | None:
        """The keypad in her chat; while she has a call, once it is there: the bot connects after the start."""
        anna = self._cast.anna
        if self._calls:
            return await anna.sees(LINE, _shown_keypad)
        return _shown_keypad(await anna.chat_with(LINE))

    async def _answer(self, call: PersonCall) -> None:
        await call.ring()
        await self._conversation(call, call.accept(self._talk, None))

    async def _conversation(self, call: PersonCall, begin: Coroutine[Any, Any, None]) -> None:
        """One of Anna's calls, until the other side ends it, or `_hang_up` does."""
        talking = self._calls[call] = self._tasks.create_task(self._talk_in(call, begin))
        await asyncio.wait([talking])
        del self._calls[call]
        await call.close_audio()
        if not talking.cancelled():
            talking.result()
        self._show.say("Anna's call is over")

    async def _talk_in(self, call: PersonCall, begin: Coroutine[Any, Any, None]) -> None:
        await begin
        self._show.say("Anna talks; type hangup to end it")
        await call.ended(timeout_s=math.inf)

    async def _decline(self, call: PersonCall) -> None:
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
        self._show.say("Boris has declined a call")

    async def _let_ring(self, call: PersonCall) -> None:
        await call.ring()
        self._show.say("Vera lets it ring")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except CALL_FAILURES as error:
                self._show.say(f"that call failed: {failure_text(error)}")

        self._tasks.create_task(guarded(), name="a call of the demo")


def _shown_keypad(messages: list[Any]) -> Any | None:
    return next((each for each in messages if each.buttons and len(each.buttons) > 1), None)  # a card has one button


async def _hang_up(call: PersonCall, talking: asyncio.Task[None]) -> None:
    await call.hang_up()
    talking.cancel()  # Telegram tells only the other side


async def stay(cast: Cast, program: Program, show: Show) -> None:
    """Say how to call, and do what is typed, until "quit", Ctrl-C or SIGTERM. Raises ProgramEnded."""
    stage = cast.stage
    talk = stage.folder / "talks" / "phone-stays.wav"
    await asyncio.to_thread(write_talk, talk, PHONE_HZ, CALL_S)
    phone = SipPhone(
        stage.asterisk, PHONE, play=talk, auto_answer=True, call_s=CALL_S, run_dir=stage.folder / "phones" / "stays"
    )
    async with phone, background_tasks() as tasks:
        reception = Reception(cast, show, tasks)
        await reception.open()
        tasks.create_task(_tell_keys(phone, show), name=f"keys that phone {PHONE} hears")
        link = await program.first_link()
        show.heading("Stay")
        for line in instructions(cast, program, link):
            show.say(line)
        await program.during(_commands(reception))


async def _tell_keys(phone: SipPhone, show: Show) -> None:
    try:
        while True:
            key = await phone.wait_for("CALL_DTMF_START", timeout=math.inf)
            show.say(f"phone {PHONE} hears the key {key.parameter}")
    except SandboxError as error:
        show.say(str(error))


async def _commands(reception: Reception) -> None:
    with _typed_lines() as lines:
        while reception.command(await lines.get()):
            pass


@contextmanager
def _typed_lines() -> Iterator[asyncio.Queue[str]]:
    """What is typed, line by line; "quit" for Ctrl-C and SIGTERM; nothing else, where nobody can type."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lines.put_nowait, "quit")  # until the end: what follows stops everything
    descriptor = sys.stdin.fileno()

    def read() -> None:
        # Not through a pipe transport: it would make the terminal, which the output shares, non-blocking.
        typed = os.read(descriptor, 4096)
        if not typed:
            loop.remove_reader(descriptor)
        for line in typed.decode(errors="replace").splitlines():
            lines.put_nowait(line)

    try:
        loop.add_reader(descriptor, read)
    except PermissionError:  # a plain file, such as a redirection from one: there is nothing to wait for
        yield lines
        return
    try:
        yield lines
    finally:
        loop.remove_reader(descriptor)


def instructions(cast: Cast, program: Program, link: str) -> list[str]:
    """How to call, where everything is, and how to stop it."""
    stage = cast.stage
    asterisk, telegram = stage.asterisk, stage.telegram
    return [
        "Everything goes on running; all of it listens on 127.0.0.1, so use programs of this machine.",
        "",
        "  A softphone",
        f"    server    {asterisk.sip_host}:{asterisk.sip_port} (UDP)",
        f"    user      {SOFTPHONE}",
        f"    password  {asterisk.phone_passwords[SOFTPHONE]}",
        f"    dial      {ANNA}  Anna answers and says a tone",
        f"              {BORIS}  Boris declines",
        f"              {VERA}  Vera lets it ring",
        f"              {PHONE} the demo's phone, 600 an echo, 604 a spoken text",
        "",
        "  The admin page",
        f"    {link}  opens once, to set a password",
        "",
        "  From Telegram",
        f"    type call and Enter: Anna calls the line {LINE}. It rings your softphone {SOFTPHONE} once that is",
        f"    registered, else phone {PHONE}, which answers and says a tone.",
        "    type press 102 and Enter: Anna presses 1, 0 and 2 on the keypad that her chat shows during the call; whom",
        "    she talks to hears them, as keys of a phone.",
        "",
        "  The local Telegram, for a Telethon client of your own",
        f"    session.set_dc({telegram.dc_id}, {telegram.host!r}, {telegram.port})",
        f"    telethon.crypto.rsa.add_key(open({str(stage.folder / 'telegram.pem')!r}).read(), old=False)",
        f"    sign in as {ANNA} with any api_id and api_hash; type code {ANNA} for its login code",
        "",
        "  Logs",
        *(f"    {path}" for path in (program.log, asterisk.log, stage.folder / "phones" / "stays" / "baresip.log")),
        "",
        f"Commands: {COMMANDS}",
        "Ctrl-C stops everything.",
    ]
