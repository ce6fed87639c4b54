"""A sign-in leads to an answer, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest

from ari_app.lines.sign_ins import SignIns
from ari_app.news import News
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.account import Account, LineHeld, Server
from ari_app.telegram.errors import NotReady
from ari_app.telegram.signin import SignIn
from ari_app.telegram.signin_view import SignInState

LINE = "+79990000001"
PATIENCE_S = 10.0


class FakeSignIn(SignIn):
    """Is over as soon as its code is asked for; entering it may take long."""

    opens = True

    async def __aenter__(self) -> Self:
        if not self.opens:
            await asyncio.Event().wait()
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def send_code(self) -> Any:
        self._become(SignInState.SIGNED_IN)
        return self.view


class World:
    """Sign-ins of one line, whose new session may not get into its place."""

    def __init__(self, folder: Path, tasks: Any) -> None:
        self.account = Account(LINE, 1, "hash", folder / "line.session", Server())
        self.error: Exception | None = None
        self.retired: list[Path] = []
        self.sign_ins = SignIns(lambda number: self.account, self._adopt, News(), tasks)

    async def _adopt(self, account: Account) -> None:
        if self.error:
            raise self.error

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

    async def entered(self: FakeSignIn) -> FakeSignIn:
        await opened.wait()
        return self

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
