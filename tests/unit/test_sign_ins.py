"""A sign-in leads to an answer, whatever becomes of it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from telethon.errors import RPCError

from ari_app.bus import EventBus
from ari_app.lines.sign_ins import SignIns
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.account import Account, LineHeld, Server, session_lock
from ari_app.telegram.errors import NotReady
from ari_app.telegram.session import Session
from ari_app.telegram.signin import AlreadySigningIn, SignIn
from ari_app.telegram.signin_view import SignInState

LINE = "+79990000001"
PATIENCE_S = 10.0


class FakeSignIn(SignIn):
    """Is over as soon as its code is asked for; entering it may take long."""

    opens = True
    failure: BaseException | None = None
    """What waiting for its end fails with, while its code is still to be entered."""

    async def __aenter__(self) -> Self:
        if not self.opens:
            await asyncio.Event().wait()
        return await super().__aenter__()

    async def send_code(self) -> Any:
        self._become(SignInState.CODE_SENT if self.failure else SignInState.SIGNED_IN)
        return self.view

    async def over(self) -> SignInState:
        while self.failure and self.state is not SignInState.CODE_SENT:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        return await super().over()


ERRORS = [
    sqlite3.OperationalError("database or disk is full"),
    OSError(28, "No space left on device"),
    ValueError("no such name"),
    RPCError(None, "RPC_CALL_FAIL", 500),
    asyncio.CancelledError(),  # of a future that is waited for
]


class World:
    """Sign-ins of one line, whose new session may not get into its place."""

    def __init__(self, folder: Path, tasks: Any) -> None:
        self.account = Account(LINE, 1, "hash", folder / "line.session", Server())
        self.error: BaseException | None = None
        self.adopted = 0
        self.retired: list[Path] = []
        self.sign_ins = SignIns(lambda number: self.account, self._adopt, EventBus(), tasks)

    async def _adopt(self, account: Account) -> None:
        if self.error:
            raise self.error
        self.adopted += 1

    async def retire(self, account: Account, session: Path) -> None:
        self.retired.append(session)

    @property
    def signing(self) -> SignIn:
        """The last one."""
        signing = self.sign_ins.of(LINE)
        assert signing
        return signing


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("ari_app.lines.sign_ins.SignIn", FakeSignIn)
    async with guarded_tasks() as tasks:
        made = World(tmp_path, tasks)
        monkeypatch.setattr("ari_app.lines.sign_ins.retire", made.retire)
        yield made


async def test_a_new_session_that_does_not_get_into_its_place(world: World) -> None:
    world.error = LineHeld("another program holds it")
    await world.sign_ins.begin(LINE, "code")
    await world.sign_ins.adopted(LINE)
    async with asyncio.timeout(PATIENCE_S):
        while not world.retired:  # noqa: ASYNC110 - the list has no event
            await asyncio.sleep(0)
    assert world.signing.view.state is SignInState.ENDED
    assert "another program holds it" in str(world.signing.view.error)
    assert [path.name for path in world.retired] == ["line.signin.session"]


async def test_an_unexpected_error_while_it_is_adopted_is_recorded(world: World) -> None:
    world.error = ZeroDivisionError("what?")
    failures = FAILURES.count
    await world.sign_ins.begin(LINE, "code")
    async with asyncio.timeout(PATIENCE_S):
        while FAILURES.count == failures:  # noqa: ASYNC110 - the count has no event
            await asyncio.sleep(0)
    assert "what?" in str(world.signing.view.error)


async def test_one_that_is_ended_before_it_has_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSignIn, "opens", False)
    begun = asyncio.create_task(world.sign_ins.begin(LINE, "code"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.sign_ins.drop(LINE)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(NotReady, match="ended before it had begun"):
            await begun


async def test_whoever_has_begun_it_goes_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = asyncio.Event()

    enter = FakeSignIn.__aenter__

    async def entered(self: FakeSignIn) -> FakeSignIn:
        await opened.wait()
        return await enter(self)

    monkeypatch.setattr(FakeSignIn, "__aenter__", entered)
    failures = FAILURES.count
    begun = asyncio.create_task(world.sign_ins.begin(LINE, "code"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    begun.cancel()
    opened.set()
    await asyncio.wait({begun})
    view = await world.sign_ins.begin(LINE, "code")  # goes on with the one that is open
    assert view.state is SignInState.SIGNED_IN
    assert FAILURES.count == failures


async def signs_in(world: World) -> None:
    """The next one gets its session into its place."""
    before = world.adopted
    async with asyncio.timeout(PATIENCE_S):
        view = await world.sign_ins.begin(LINE, "code")
        assert view.state is SignInState.SIGNED_IN
        await world.sign_ins.adopted(LINE)
    assert world.adopted == before + 1


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_one_that_fails_is_over(world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(FakeSignIn, "failure", error)
        await world.sign_ins.begin(LINE, "code")
        signing = world.signing
        async with asyncio.timeout(PATIENCE_S):
            assert await signing._over.wait()
    assert signing.state is SignInState.ENDED
    assert "begin again" in str(signing.view.error)
    await signs_in(world)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_a_session_that_is_not_adopted_is_said_so_and_the_next_one_is(world: World, error: BaseException) -> None:
    world.error = error
    await world.sign_ins.begin(LINE, "code")
    await world.sign_ins.adopted(LINE)
    assert world.signing.state is SignInState.ENDED
    assert "begin again" in str(world.signing.view.error)
    world.error = None
    await signs_in(world)


async def test_leaving_one_that_fails_to_be_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def disconnect() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    client: Any = SimpleNamespace(disconnect=disconnect, session=None)
    send_code = FakeSignIn.send_code

    async def connected(self: FakeSignIn) -> Any:
        self._session._session = Session(client)
        return await send_code(self)

    monkeypatch.setattr(FakeSignIn, "send_code", connected)
    await signs_in(world)


async def test_two_begin_at_once(world: World) -> None:
    first, second = (asyncio.create_task(world.sign_ins.begin(LINE, "code")) for _ in range(2))
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({first, second})
    assert {type(task.exception()) for task in (first, second)} <= {type(None), AlreadySigningIn}
    await world.sign_ins.adopted(LINE)
    assert world.adopted
    await signs_in(world)


async def test_nobody_is_disturbed_by_a_sign_in_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[Any]()

    async def by_device_alone(self: FakeSignIn, accept: Any) -> Any:
        asked.append(accept)
        self._become(SignInState.SIGNED_IN)
        return self.view

    async def code_sent(self: FakeSignIn) -> Any:
        self._become(SignInState.CODE_SENT)
        return self.view

    monkeypatch.setattr(FakeSignIn, "by_device_alone", by_device_alone)
    monkeypatch.setattr(FakeSignIn, "send_code", code_sent)
    await world.sign_ins.begin(LINE, "code")
    assert world.sign_ins.is_open(LINE)
    assert await world.sign_ins.by_machine_alone(LINE) is None
    assert not asked and world.signing.state is SignInState.CODE_SENT
    await world.sign_ins.cancel(LINE)
    async with asyncio.timeout(PATIENCE_S):
        view = await world.sign_ins.by_machine_alone(LINE)
    assert view and view.state is SignInState.SIGNED_IN
    assert asked and world.adopted == 1


async def test_beginning_again_while_the_last_one_is_cleared_away(world: World) -> None:
    """It waits: the file that the new one needs is still held."""
    cleared = asyncio.Event()

    async def retire(account: Account, session: Path) -> None:
        with session_lock(session):
            await cleared.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ari_app.lines.sign_ins.retire", retire)
        world.error = LineHeld("another program holds it")
        await world.sign_ins.begin(LINE, "code")
        async with asyncio.timeout(PATIENCE_S):
            assert await world.signing._over.wait()
            while world.signing.state is not SignInState.ENDED:  # noqa: ASYNC110 - a state that follows a state
                await asyncio.sleep(0)
        world.error = None
        again = asyncio.create_task(signs_in(world))
        for _ in range(5):
            await asyncio.sleep(0)
        cleared.set()
        await again


async def test_a_qr_code_that_fails_can_be_shown_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails after it was scanned, which would hold the sign-in open."""

    async def watch(self: SignIn, answer: Any) -> None:
        self._accepted = True
        raise ZeroDivisionError

    async def export(self: SignIn) -> Any:
        return None

    monkeypatch.setattr(FakeSignIn, "_watch_qr", watch)
    monkeypatch.setattr(FakeSignIn, "_export", export)
    await world.sign_ins.begin(LINE, "qr")
    async with asyncio.timeout(PATIENCE_S):
        while world.signing.view.refusal != "BROKEN_OFF":  # noqa: ASYNC110 - a state that follows a state
            await asyncio.sleep(0)
    assert world.signing.state is SignInState.IDLE
    world.signing._end_idle()
    assert world.signing.view.state is SignInState.ENDED
    await signs_in(world)


async def test_what_can_not_be_kept_on_the_disk_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def invoke(request: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    async with SignIn(world.account) as signing:
        monkeypatch.setattr(signing._session, "invoke", invoke)
        view = await signing.send_code()
    assert view.refusal == "SESSION_FILE"
    assert "room on the disk" in str(view.error)
