"""A fault in any task costs no more than the call, the message or the request that the task is for.

Every place of the controller that starts a task has its first tasks broken, each at another of its awaits and each
with another error, while people call, dial, press and write. Meanwhile a call on another line goes on talking.
"""

import asyncio
import sqlite3
import sys
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from telethon.errors import RPCError

import ari_app
from ari_app.backoff import Backoff
from ari_app.calls.reasons import EndedOnTelegram
from ari_app.calls.scope import Scope
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.ports import block
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.tasks import FAILURES, GuardedTasks, background_tasks
from ari_app.telegram.errors import NotReady
from ari_app.telegram.phone import DiscardReason
from media.types import MediaError
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.test_lines import sign_in
from tests.guarded_starts import INSIDE
from tests.unit.agi_client import asked

ROOT = Path(ari_app.__file__).parent
OTHER = "+79990000008"
DIALPLAN = """
[echo]
exten => _X.,1,Answer()
 same => n,Echo()
[agents]
exten => 605,1,Dial(PJSIP/101,20)
"""
ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: sqlite3.OperationalError("database or disk is full"),
    lambda: OSError(28, "No space left on device"),
    lambda: ValueError("no such name"),
    lambda: RPCError(None, "RPC_CALL_FAIL", 500),
    lambda: asyncio.CancelledError(),  # of a future that the task waits for
)
ERROR_TYPES = (sqlite3.Error, OSError, ValueError, RPCError, NotReady)
"""What whoever asks for something is told of them."""
TEXTS = {"keypad": "Press", "keypad_dialled": "Pressed", "card": "We called", "card_button": "Call me"}
TRIES = 60
TRY_S = 4.0

Site = tuple[str, int]
"""Where a task is started: a file of the controller, and the line."""

WAITING: ContextVar[bool] = ContextVar("WAITING", default=False)
"""Whether asyncio itself waits, for tasks: such a future of its own fails for nobody."""


OF_THREADS: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
"""Their threads work on, whatever is done to them."""


class Broken(Awaitable[Any]):
    """Work in which one of the futures that it waits for fails: the first from its ``at``-th on that is no task.

    What a thread does fails at its end.
    """

    def __init__(self, work: Any, error: BaseException, at: int) -> None:
        self._work, self._error, self._at = work, error, at

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        resume: Callable[[], Any] = partial(next, steps)
        failed = failing = False
        for passed in count():
            try:
                waited_for = resume()
            except StopIteration as done:
                return done.value
            if not failed and passed >= self._at and _can_fail(waited_for):
                failed = True
                if waited_for in OF_THREADS:
                    failing = True
                elif isinstance(self._error, asyncio.CancelledError):
                    waited_for.cancel()
                else:
                    waited_for.set_exception(self._error)
            try:
                resume = partial(steps.send, (yield waited_for))
                if failing:
                    resume, failing = partial(steps.throw, self._error), False
            except BaseException as error:  # noqa: BLE001 - passed on
                resume = partial(steps.throw, error)


def _can_fail(waited_for: Any) -> bool:
    return type(waited_for) is asyncio.Future and not waited_for.done() and not WAITING.get()


def _marked(waits: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def marked(*arguments: Any, **named: Any) -> Any:
        token = WAITING.set(True)
        try:
            return await waits(*arguments, **named)
        finally:
            WAITING.reset(token)

    return marked


class Faults:
    """Breaks the first tasks of each place, once `armed`."""

    def __init__(self) -> None:
        self.armed = False
        self.started: Counter[Site] = Counter()

    def break_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spawn, supervise, scope_spawn = GuardedTasks.spawn, GuardedTasks.supervise, Scope.spawn
        end_when = Scope.end_when

        def broken_spawn(tasks: GuardedTasks, work: Any, *arguments: Any) -> Any:
            return spawn(tasks, self._coroutine(work), *arguments)

        def broken_supervise(tasks: GuardedTasks, work: Callable[[], Any], *arguments: Any) -> Any:
            site = _site()
            return supervise(tasks, lambda: self._coroutine(work(), site), *arguments)

        def broken_scope_spawn(scope: Scope, work: Any) -> None:
            scope_spawn(scope, self._coroutine(work))

        def broken_end_when(scope: Scope, ending: Any) -> None:
            end_when(scope, self._coroutine(ending))

        run_in_executor = asyncio.BaseEventLoop.run_in_executor

        def noted_run_in_executor(loop: asyncio.BaseEventLoop, *arguments: Any) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = run_in_executor(loop, *arguments)
            OF_THREADS.add(future)
            return future

        monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", noted_run_in_executor)
        for owner, name in ((asyncio.TaskGroup, "__aexit__"), (asyncio, "wait"), (asyncio, "wait_for")):
            monkeypatch.setattr(owner, name, _marked(getattr(owner, name)))
        monkeypatch.setattr(GuardedTasks, "spawn", broken_spawn)
        monkeypatch.setattr(GuardedTasks, "supervise", broken_supervise)
        monkeypatch.setattr(Scope, "spawn", broken_scope_spawn)
        monkeypatch.setattr(Scope, "end_when", broken_end_when)

    def _coroutine(self, work: Coroutine[Any, Any, Any], site: Site | None = None) -> Coroutine[Any, Any, Any]:
        site = site or _site()
        turn = self.started[site]
        if not self.armed or site[0] in INSIDE or turn >= len(ERRORS):
            return work
        self.started[site] += 1

        async def broken() -> Any:
            return await Broken(work, ERRORS[turn](), turn)

        instead = broken()
        weakref.finalize(instead, work.close)  # also where it is cancelled before it begins
        return instead


def _site() -> Site:
    """Who starts a task now: the caller of whoever calls this."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename == __file__ and frame.f_back:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    return (path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)), frame.f_lineno


async def answered_call(person: Person, line: str) -> PersonCall | None:
    """Call a line; None where the call ends before both sides talk."""
    call = await person.call(line)
    if await before_it_ends(call, call.confirm(None, None)):
        return call
    with suppress(RPCError):
        await call.hang_up(DiscardReason.MISSED)
    await call.close_audio()
    return None


async def before_it_ends(call: PersonCall, step: Coroutine[Any, Any, None]) -> bool:
    """Whether a step of a call succeeds, before the call ends and in time."""
    async with background_tasks() as tasks:
        stepping = tasks.create_task(_succeeds(step))
        ending = tasks.create_task(_succeeds(call.ended(TRY_S)))
        await asyncio.wait({stepping, ending}, return_when=asyncio.FIRST_COMPLETED)
        return stepping.done() and stepping.result()


async def _succeeds(step: Awaitable[Any]) -> bool:
    try:
        await step
    except (SandboxError, MediaError, RPCError):
        return False
    return True


def buttons(text: str) -> Callable[[list[Any]], Any]:
    """The latest message with buttons that begins so."""
    return lambda messages: next((each for each in messages if each.buttons and each.message.startswith(text)), None)


async def until_well(step: Callable[[], Awaitable[bool]]) -> None:
    """Do something again and again, until it works."""
    for _ in range(TRIES):
        if await step():
            return
    raise AssertionError(f"{step} does not work, after {TRIES} tries")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    monkeypatch.setattr("ari_app.tasks.RESTART", Backoff(0.01, 0.02))
    monkeypatch.setattr("ari_app.calls.rate_limiter.AGAIN_S", 0.0)
    made = Faults()
    made.break_into(monkeypatch)
    return made


async def anna_dials(stage: Play, anna: Person, phone: SipPhone) -> bool:
    """Anna calls, presses a key of her keypad, and writes digits."""
    call = await answered_call(anna, LINE)
    if call is None:
        return False
    try:
        keypad = await anna.sees(LINE, buttons("Press"), timeout_s=TRY_S)
        await keypad.click(text="1")
        found = await anna.client.get_input_entity(call.peer_id)
        await anna.client.send_message(found, "12")
        await anna.client.send_message(found, "hello")
    except (SandboxError, RPCError):
        return False
    finally:
        with suppress(RPCError):
            await call.hang_up()
        await call.close_audio()
    return True


async def anna_is_called(stage: Play, anna: Person, phone: SipPhone) -> bool:
    """A phone calls Anna, who declines and gets the card."""
    await phone.dial(ANNA)
    try:
        call = await anna.incoming(TRY_S)
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
    except (TimeoutError, RPCError):
        return False
    finally:
        with suppress(Exception):
            await phone.hangup()
        await phone.closed()
    try:
        await anna.sees(LINE, buttons("We called"), timeout_s=TRY_S)
    except SandboxError:
        return False
    return True


async def anna_is_called_back(stage: Play, anna: Person, phone: SipPhone) -> bool:
    """Anna presses the card's button: a phone rings, then she."""
    try:
        card = await anna.sees(LINE, buttons("We called"), timeout_s=TRY_S)
        with suppress(RPCError):
            await card.click(0)
        await phone.incoming(TRY_S)
        await phone.answer()
        call = await anna.incoming(TRY_S)
        await call.ring()
        talked = await before_it_ends(call, call.accept(None, None))
        with suppress(RPCError):
            await call.hang_up()
        await call.close_audio()
    except (SandboxError, TimeoutError, RPCError):
        return False
    finally:
        with suppress(Exception):
            await phone.hangup()
        with suppress(Exception):
            await phone.closed()
    return talked


async def line_signs_in_again(stage: Play, anna: Person, phone: SipPhone) -> bool:
    """The line loses its session, and is signed in."""
    try:
        await stage.app.lines.reset(LINE)
        await signed_in(stage)
    except (*ERROR_TYPES, AssertionError, TimeoutError):
        return False
    return True


async def line_is_replaced(stage: Play, anna: Person, phone: SipPhone) -> bool:
    """The line works, and is signed in again all the same."""
    line = stage.app.lines.line(LINE)
    try:
        before = line.require_online().session.client.session.auth_key.key
        await signed_in(stage)
        after = line.require_online().session.client.session.auth_key.key
    except (*ERROR_TYPES, AssertionError, TimeoutError):
        return False
    return bool(after != before)


async def signed_in(stage: Play) -> None:
    """Sign the line in, and wait until it works."""
    await sign_in(stage, LINE)
    async with asyncio.timeout(TRY_S):
        await stage.app.lines.line(LINE).until_ready()


async def a_dialplan_asks(stage: Play, anna: Person, phone: SipPhone) -> bool:
    """Who Anna is, and for a text and a card to be sent to her."""
    assert stage.settings.agi
    port, known = stage.settings.agi.port, dict[str, str]()
    try:
        for request in (("lookup", ANNA), ("send", ANNA, "Hello"), ("card", ANNA)):
            known |= await asked(port, *request)
    except (ConnectionError, TimeoutError):
        return False
    return [known.get(f"TELEGRAM_{each}") for each in ("EXISTS", "SENT", "CARD")] == ["yes"] * 3


STEPS = (anna_dials, anna_is_called, anna_is_called_back, line_signs_in_again, line_is_replaced, a_dialplan_asks)
LINES = [
    {
        "number": LINE,
        "context": "echo",
        "max_calls": 2,
        "lookups_per_minute": 0,
        "texts": {"en": TEXTS, "ru": TEXTS},
        "card": {"callback": "605@agents", "card_every_s": 0},
    },
    {"number": OTHER, "context": "echo", "max_calls": 2},
]


@asynccontextmanager
async def boris_talks(stage: Play, boris: Person) -> AsyncIterator[None]:
    """A call on the other line, which nothing may end but its caller."""
    talking: list[PersonCall | None] = []

    async def call() -> bool:
        talking.append(await answered_call(boris, OTHER))
        return talking[-1] is not None

    await until_well(call)
    await stage.talking()
    victim = talking[-1]
    assert victim is not None
    call_here = next(each for each in stage.app.registry.calls.values() if each.line == OTHER)
    yield
    assert call_here.ending is None, "a fault has ended the call on the other line"
    await victim.hang_up()
    await stage.call_over()
    assert call_here.ending is not None
    assert call_here.ending.reason == EndedOnTelegram("hangup")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_a_fault_costs_what_its_task_is_for(
    play: PlayMaker, faults: Faults, step: Callable[[Play, Person, SipPhone], Awaitable[bool]]
) -> None:
    with block(1) as ports:
        async with (
            play(bot=True, dialplan=DIALPLAN, lines=LINES, people={OTHER: "Other"}, agi={"port": ports[0]}) as stage,
            stage.person(BORIS) as boris,
            stage.person(ANNA) as anna,
            stage.phone("101") as phone,
        ):
            async with boris_talks(stage, boris):
                if step is anna_is_called_back:
                    assert await anna_is_called(stage, anna, phone)
                faults.armed = True
                await until_well(lambda: step(stage, anna, phone))
            assert faults.started
            assert FAILURES.count > 0
            if step is a_dialplan_asks:
                assert {"asterisk/agi.py", "pbx/services.py"} <= {file for file, _ in faults.started}


@pytest.mark.timeout(240)
async def test_the_program_begins_though_each_of_its_tasks_fails_at_first(play: PlayMaker, faults: Faults) -> None:
    faults.armed = True
    async with play(bot=True, dialplan=DIALPLAN, lines=LINES, people={OTHER: "Other"}) as stage:
        async with stage.person(BORIS) as boris:

            async def calls() -> bool:
                call = await answered_call(boris, OTHER)
                if call is None:
                    return False
                with suppress(RPCError):
                    await call.hang_up()
                await call.close_audio()
                return True

            await until_well(calls)
        assert faults.started
        assert FAILURES.count > 0
