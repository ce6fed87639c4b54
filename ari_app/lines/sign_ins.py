"""The sign-ins of lines: one at a time for each, beside the line, which goes on until its new session is there."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Literal

from ari_app.bus import EventBus
from ari_app.i18n import message
from ari_app.logs import line_log
from ari_app.tasks import GuardedTasks, was_cancelled
from ari_app.telegram.account import Account
from ari_app.telegram.errors import NotReady, TelegramError
from ari_app.telegram.session_file import retire, signin_session
from ari_app.telegram.signin import AcceptLogin, NotAccepted, SignIn
from ari_app.telegram.signin_view import OVER, SignInState, SignInView, broken_off

SignInWay = Literal["code", "qr", "machine"]

log = logging.getLogger(__name__)


async def no_machine(line: str, token: bytes) -> None:
    """Where this is the only machine."""
    raise NotAccepted(message("There is no other machine that could sign {line} in.", line=line))


class SignIns:
    """By the line's number.

    ``account_of`` gives the account to sign in, and raises what stands in the way; ``adopt`` lets the line go on with
    the session that has been signed in. ``accept`` has another machine of the cluster sign a line in here.
    """

    def __init__(
        self,
        account_of: Callable[[str], Account],
        adopt: Callable[[Account], Awaitable[None]],
        bus: EventBus,
        tasks: GuardedTasks,
        clock: Callable[[], float] = time.time,
        accept: AcceptLogin = no_machine,
    ) -> None:
        self._accept = accept
        self._account_of = account_of
        self._adopt = adopt
        self._bus = bus
        self._tasks = tasks
        self._clock = clock
        self._sign_ins: dict[str, SignIn] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._begun: dict[str, asyncio.Future[SignIn]] = {}
        self._beginning: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def of(self, number: str) -> SignIn | None:
        """The one that goes on, or the last that was over."""
        return self._sign_ins.get(number)

    async def begin(self, number: str, way: SignInWay) -> SignInView:
        """Send a code, show a QR code, or have another machine accept, whatever state the line is in.

        Raises NoSuchLine, SettingRefused, AlreadySigningIn (by another program).
        """
        account = self._account_of(number)
        async with self._beginning[number]:
            signing = await self._open(account)
        match way:
            case "code":
                return await signing.send_code()
            case "qr":
                return await signing.show_qr()
            case "machine":
                return await signing.by_device(self._accept)

    async def by_machine_alone(self, number: str) -> SignInView | None:
        """Have another machine accept where nobody is at hand, see `SignIn.by_device_alone`.

        None where somebody signs the line in. Raises as `begin`.
        """
        account = self._account_of(number)
        async with self._beginning[number]:
            if self.is_open(number):
                return None
            signing = await self._open(account)
        await signing.by_device_alone(self._accept)
        if self._sign_ins.get(number) is signing:
            await self.adopted(number)
        return signing.view

    def is_open(self, number: str) -> bool:
        """Whether one goes on."""
        signing = self._sign_ins.get(number)
        return signing is not None and signing.state not in OVER

    async def adopted(self, number: str) -> None:
        """Wait until a line that has been signed in goes on with its new session; at once where none has."""
        signing, run = self._sign_ins.get(number), self._runs.get(number)
        if signing and run and signing.state is SignInState.SIGNED_IN:
            await asyncio.wait({run})

    async def cancel(self, number: str) -> None:
        """Forget about it; a line that was not signed in yet stays as it is."""
        signing = self._sign_ins.get(number)
        if signing and signing.state not in OVER:
            await signing.cancel()  # Telegram is told that its code is not wanted any more
        await self.adopted(number)
        await self.drop(number)
        self._bus.publish("signin", number)

    async def drop(self, number: str) -> None:
        """End it at once, however far it is."""
        self._sign_ins.pop(number, None)
        self._begun.pop(number, None)
        if run := self._runs.pop(number, None):
            run.cancel()
            await asyncio.wait({run})

    async def _open(self, account: Account) -> SignIn:
        """The one that goes on, or a new one."""
        number = account.number
        if begun := self._begun.get(number):
            await asyncio.wait({begun})  # whoever has asked for it may have gone away
        if (signing := self._sign_ins.get(number)) and self.is_open(number):
            return signing
        if run := self._runs.get(number):
            await asyncio.wait({run})  # it needs the same file
        begun = self._begun[number] = asyncio.get_running_loop().create_future()
        self._runs[number] = self._tasks.spawn(self._run(account, begun), f"sign-in of {number}")
        await asyncio.wait({begun})
        return begun.result()

    async def _run(self, account: Account, begun: asyncio.Future[SignIn]) -> None:
        """From the first request until the line goes on with its new session."""
        number = account.number
        signing: SignIn | None = None
        whole = False
        try:
            async with SignIn(account, lambda: self._bus.publish("signin", number), clock=self._clock) as signing:
                self._sign_ins[number] = signing
                begun.set_result(signing)
                state = await signing.over()
            if state is SignInState.SIGNED_IN:
                await self._take_over(account, signing)
            whole = True
        except Exception as error:
            if begun.done():
                raise
            begun.set_exception(error)
        finally:
            if not begun.done():
                begun.set_exception(NotReady(f"signing {number} in was ended before it had begun"))
            if signing and not whole and signing.state is not SignInState.ENDED:
                signing.spoil(broken_off(number))

    async def _take_over(self, account: Account, signing: SignIn) -> None:
        number = account.number
        try:
            await self._adopt(account)
        except (Exception, asyncio.CancelledError) as error:
            if was_cancelled():
                raise
            said = message(
                "{number} was signed in, but the line can't go on with its new session: begin again. ({error})",
                number=number,
                error=error if str(error) else type(error).__name__,
            )
            log.error("%s", said)  # noqa: TRY400 - the administrator needs the sentence
            signing.spoil(said)
            await retire(account, signin_session(account))
            if not isinstance(error, TelegramError | OSError):
                raise
        else:
            line_log(log, number).info("signed in")
            self._bus.publish("signin", number)
