"""Signing one account in: by code, by QR code, and with the two-step password where there is one.

core.telegram.org/api/auth, core.telegram.org/api/qr-login and core.telegram.org/api/srp
"""

import asyncio
import base64
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from telethon.password import compute_check
from telethon.tl import functions, types

from ari_app.i18n import Message, message
from ari_app.logs import line_log
from ari_app.tasks import guarded_tasks
from ari_app.telegram.account import Account, LineHeld, remove_session_lock, session_lock
from ari_app.telegram.errors import PasswordNeeded
from ari_app.telegram.refusals import Refusal, refusal, refusal_of
from ari_app.telegram.session_file import remove_session, signin_session
from ari_app.telegram.signin_session import FAILURES, SignInSession
from ari_app.telegram.signin_view import OPEN, OVER, WAYS, SignInState, SignInTimers, SignInView, broken_off, not_now

log = logging.getLogger(__name__)


class AlreadySigningIn(LineHeld):
    """Somebody else is signing this account in at the moment."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class NotAccepted(Exception):
    """No other device of the account has accepted a login token; ``sentence`` says why, and what to do."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


AcceptLogin = Callable[[str, bytes], Awaitable[None]]
"""Has another device of a line's account accept a login token (auth.acceptLoginToken). Raises NotAccepted."""


class SignIn:
    """One sign-in of one account, on a session file of its own, so that a line can go on while it is signed in again.

    An async context manager, to be left by the task that has entered it; it raises `AlreadySigningIn`. Its operations
    give the view that they lead to. What is refused is said in the view's ``error``, and the state stays as it was. It
    ends by itself when nobody has used it for ``timers.idle_s``. A session that is signed in stays for `adopt`, any
    other file is removed.
    """

    def __init__(
        self,
        account: Account,
        changed: Callable[[], None] = lambda: None,
        timers: SignInTimers = SignInTimers(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.number = account.number
        self._phone = _digits(account.number)
        self._account = replace(account, session=signin_session(account))
        self._changed = changed
        self._timers = timers
        self._clock = clock
        self._view = SignInView(SignInState.IDLE, clock())
        self._resend_at = 0.0
        self._code_hash = ""
        self._lock = asyncio.Lock()
        self._scanned = asyncio.Event()
        self._session = SignInSession(self._account, timers, self._scanned.set)
        self._accepted = False  # somebody has scanned, and what follows of that is not finished
        self._qr: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._exit = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<SignIn {self.number}: {self._view.state.value}>"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            try:
                stack.enter_context(session_lock(self._account.session))
            except LineHeld:
                said = message(
                    "{number} is being signed in already: finish that, or cancel it, first.", number=self.number
                )
                raise AlreadySigningIn(said) from None
            remove_session(self._account.session)  # of a sign-in that a crash has ended
            stack.push_async_callback(self._close)
            self._tasks = await stack.enter_async_context(guarded_tasks())
            self._used()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._idle:
            self._idle.cancel()
        await self._exit.aclose()

    async def _close(self) -> None:
        try:
            await self._session.end()
        finally:
            if self.state not in OVER:  # what it was left by has ended it
                self._become(SignInState.ENDED, error=broken_off(self.number), refusal="BROKEN_OFF")
            if self.state is not SignInState.SIGNED_IN:
                remove_session(self._account.session)
                remove_session_lock(self._account.session)

    @property
    def state(self) -> SignInState:
        """How far it is."""
        return self._view.state

    @property
    def view(self) -> SignInView:
        """What a page shows now."""
        return replace(self._view, resend_in_s=max(0, math.ceil(self._resend_at - self._clock())))

    async def over(self) -> SignInState:
        """Wait until it is SIGNED_IN or ENDED."""
        await self._over.wait()
        return self.state

    def spoil(self, why: Message) -> None:
        """It had come to an end that is good, but nothing came of it."""
        self._become(SignInState.ENDED, error=why, refusal="NOT_ADOPTED")

    # Operations

    async def send_code(self) -> SignInView:
        """Have Telegram send a code (auth.sendCode)."""
        return await self._run(self._send_code)

    async def resend(self) -> SignInView:
        """Have it sent again, in the way that the view names as the next (auth.resendCode)."""
        return await self._run(self._resend, SignInState.CODE_SENT)

    async def code(self, text: str) -> SignInView:
        """Enter the code (auth.signIn); spaces and dashes in it do not count."""
        return await self._run(partial(self._enter_code, text), SignInState.CODE_SENT)

    async def password(self, text: str) -> SignInView:
        """Enter the two-step password (auth.checkPassword)."""
        return await self._run(partial(self._check_password, text), SignInState.PASSWORD_NEEDED)

    async def show_qr(self) -> SignInView:
        """Show a QR code, for Settings > Devices > Link Desktop Device in the account's Telegram app.

        It is renewed while nobody scans it; who has scanned it shows as a change of the view.
        """
        return await self._run(self._show_qr)

    async def by_device(self, accept: AcceptLogin) -> SignInView:
        """Have another device of the account accept; where none does, the QR code stays, for who can scan it."""
        return await self._run(partial(self._show_qr, accept))

    async def by_device_alone(self, accept: AcceptLogin) -> SignInView:
        """The same where nobody is at hand: it ends, unless it has led to a session, or only the password is missing.

        Somebody may go on with it meanwhile: then it is theirs.
        """
        await self.by_device(accept)
        watching = self._qr
        if watching and not self._view.error:
            await asyncio.wait({watching}, timeout=self._timers.accepted_s)
        async with self._lock:
            if self._qr is watching and self.state in (SignInState.IDLE, SignInState.QR_SHOWN):
                await self._stop_qr()
                said = self._view.error or message(
                    "Another device has accepted this one, and Telegram has not signed it in."
                )
                self._become(SignInState.ENDED, error=said, refusal=self._view.refusal)
            return self.view

    async def cancel(self) -> SignInView:
        """End it; nothing of it is kept, here or at Telegram."""
        async with self._lock:
            await self._stop_qr()
            if self.state is SignInState.SIGNED_IN:
                await self._session.renounce()
            elif self.state is SignInState.CODE_SENT:
                try:
                    await self._session.invoke(functions.auth.CancelCodeRequest(self._phone, self._code_hash))
                except FAILURES as error:
                    line_log(log, self.number).info("sign-in: the code stays valid: %s", type(error).__name__)
            self._become(SignInState.ENDED)
            return self.view

    async def _run(self, work: Callable[[], Awaitable[None]], *states: SignInState) -> SignInView:
        async with self._lock:
            if self.state not in (states or OPEN):
                self._refuse(Refusal("NOT_NOW", not_now(self.state)))
                return self.view
            self._used()
            try:
                await work()
            except FAILURES as error:
                self._refuse(refusal_of(error, self._account))
            finally:
                self._used()
            return self.view

    # By code

    async def _send_code(self) -> None:
        await self._begin()
        account = self._account
        request = functions.auth.SendCodeRequest(self._phone, account.api_id, account.api_hash, types.CodeSettings())
        await self._sent(await self._session.invoke(request))

    async def _resend(self) -> None:
        await self._sent(await self._session.invoke(functions.auth.ResendCodeRequest(self._phone, self._code_hash)))

    async def _sent(self, sent: Any) -> None:
        if isinstance(sent, types.auth.SentCodeSuccess):
            await self._signed_in(sent.authorization.user)
        elif isinstance(sent, types.auth.SentCodePaymentRequired):
            self._refuse(refusal("PAYMENT_REQUIRED", self._account))
        elif isinstance(sent.type, types.auth.SentCodeTypeSetUpEmailRequired):
            self._refuse(refusal("EMAIL_SETUP_REQUIRED", self._account))
        else:
            self._code_hash = sent.phone_code_hash
            self._resend_at = self._clock() + (sent.timeout or 0) if sent.next_type else 0.0
            self._become(
                SignInState.CODE_SENT,
                sent_by=WAYS.get(type(sent.type)),
                code_length=getattr(sent.type, "length", 0),
                resend_by=WAYS.get(type(sent.next_type)),
            )

    async def _enter_code(self, text: str) -> None:
        code = "".join(c for c in text if c not in " -\t\n\u00a0")
        if not code:
            self._refuse(refusal("PHONE_CODE_EMPTY", self._account))
            return
        try:
            answer = await self._session.invoke(functions.auth.SignInRequest(self._phone, self._code_hash, code))
        except PasswordNeeded:
            await self._need_password()
            return
        if isinstance(answer, types.auth.AuthorizationSignUpRequired):
            self._refuse(refusal("PHONE_NUMBER_UNOCCUPIED", self._account))
        else:
            await self._signed_in(answer.user)

    # The password

    async def _need_password(self) -> None:
        hint = None
        try:
            hint = (await self._session.invoke(functions.account.GetPasswordRequest())).hint
        except FAILURES as error:
            line_log(log, self.number).info("sign-in: no password hint: %s", type(error).__name__)
        self._become(SignInState.PASSWORD_NEEDED, password_hint=hint)

    async def _check_password(self, text: str) -> None:
        if not text:
            self._refuse(refusal("PASSWORD_EMPTY", self._account))
            return
        asked = await self._session.invoke(functions.account.GetPasswordRequest())
        try:
            # 100 000 rounds of PBKDF2: a tenth of a second that Telethon would take from every call.
            proof = await asyncio.to_thread(compute_check, asked, text)
        except ValueError:
            self._refuse(refusal("PASSWORD_ALGORITHM", self._account))
            return
        await self._signed_in((await self._session.invoke(functions.auth.CheckPasswordRequest(proof))).user)

    # By QR code

    async def _show_qr(self, accept: AcceptLogin | None = None) -> None:
        await self._begin()
        self._scanned.clear()
        answer = await self._export()
        if isinstance(answer, types.auth.LoginToken):
            self._show(answer)
        self._qr = self._tasks.spawn(self._watch_qr(answer), f"sign-in of {self.number}: QR code", self._qr_failed)
        if accept and isinstance(answer, types.auth.LoginToken):
            try:
                await accept(self.number, answer.token)
            except NotAccepted as error:
                if self.state is SignInState.QR_SHOWN:  # else one had, whose answer was lost
                    self._refuse(Refusal("NOT_ACCEPTED", error.sentence))

    async def _export(self) -> Any:
        """The next token; or, once somebody has scanned the last one, what it leads to."""
        account = self._account
        answer = await self._session.invoke(
            functions.auth.ExportLoginTokenRequest(account.api_id, account.api_hash, except_ids=[])
        )
        self._accepted = not isinstance(answer, types.auth.LoginToken)
        return answer

    def _show(self, token: Any) -> None:
        text = base64.urlsafe_b64encode(token.token).decode().rstrip("=")
        expires = token.expires.timestamp()
        self._become(SignInState.QR_SHOWN, qr_url=f"tg://login?token={text}", qr_expires=expires)

    async def _watch_qr(self, answer: Any) -> None:
        """Renew the code until somebody has scanned it, and finish what they began.

        Telethon's `QRLogin` loses a scan that comes while it asks for the next token, so this asks by itself.
        """
        renewals = 0
        try:
            while isinstance(answer, types.auth.LoginToken):
                await self._scan_or_expiry(answer.expires.timestamp())
                answer = await self._export()
                if isinstance(answer, types.auth.LoginToken):
                    if renewals == self._timers.qr_renewals:
                        said = message(
                            "Nobody has scanned the QR code: show a new one when the account's phone is at hand."
                        )
                        self._become(SignInState.IDLE, error=said, refusal="QR_NOT_SCANNED")
                        return
                    renewals += 1
                    self._show(answer)
            if isinstance(answer, types.auth.LoginTokenMigrateTo):
                await self._session.move(answer.dc_id)
                answer = await self._session.invoke(functions.auth.ImportLoginTokenRequest(answer.token))
            await self._signed_in(answer.authorization.user)
        except PasswordNeeded:
            await self._need_password()
        except FAILURES as error:
            self._refuse(refusal_of(error, self._account), SignInState.IDLE)
        self._accepted = False
        self._used()

    def _qr_failed(self, error: BaseException) -> None:
        self._become(SignInState.IDLE, error=broken_off(self.number), refusal="BROKEN_OFF")

    async def _scan_or_expiry(self, expires: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(expires - self._clock(), self._timers.qr_least_s)):
                await self._scanned.wait()
        self._scanned.clear()

    async def _stop_qr(self) -> None:
        task, self._qr = self._qr, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self._accepted:  # it was cancelled in between: this session may be somebody's now
            self._accepted = False
            await self._session.renounce()

    # Both ways

    async def _signed_in(self, user: Any) -> None:
        if _digits(user.phone) == _digits(self.number):
            self._become(SignInState.SIGNED_IN, user_id=user.id)
            return
        await self._session.renounce()
        said = message(
            "The QR code was scanned with +{other}, and this line is {number}: scan it with the line's own Telegram. "
            "Nothing of the other account was kept.",
            other=_digits(user.phone),
            number=self.number,
        )
        self._become(SignInState.IDLE, error=said, refusal="WRONG_ACCOUNT")

    async def _begin(self) -> None:
        """Leave what went before; a session that somebody may be halfway into is good for nothing else."""
        await self._stop_qr()
        if self.state in (SignInState.QR_SHOWN, SignInState.PASSWORD_NEEDED):
            await self._session.forget()
            self._become(SignInState.IDLE)

    def _used(self) -> None:
        if self._idle:
            self._idle.cancel()
        if self.state not in OVER:
            self._idle = asyncio.get_running_loop().call_later(self._timers.idle_s, self._end_idle)

    def _end_idle(self) -> None:
        if self.state in OVER:
            return
        if self._lock.locked() or (self._accepted and self._qr and not self._qr.done()):
            self._used()
            return
        if self._qr:
            self._qr.cancel()
        said = message("Nobody has gone on with signing {number} in, so it was ended: begin again.", number=self.number)
        self._become(SignInState.ENDED, error=said, refusal="IDLE")

    def _become(self, state: SignInState, **shown: Any) -> None:
        """Enter a state; what is not ``shown`` of it is forgotten. One that has ended stays so."""
        if self.state is SignInState.ENDED:
            return
        if state is not self.state:
            line_log(log, self.number).info("sign-in: %s", state.value)
        self._view = SignInView(state, self._clock() if state is not self.state else self._view.since, **shown)
        if state is not SignInState.CODE_SENT:
            self._resend_at = 0.0
        if state in OVER:
            self._over.set()
        self._changed()

    def _refuse(self, refused: Refusal, state: SignInState | None = None) -> None:
        """Say why something was not done, and stay, or go back to a state."""
        line_log(log, self.number).info("sign-in: refused: %s", refused.word)
        if state is not None and state is not self.state:
            self._become(state, error=refused.sentence, refusal=refused.word)
            return
        self._view = replace(self._view, error=refused.sentence, refusal=refused.word)
        self._changed()


def _digits(phone: str | None) -> str:
    return "".join(c for c in phone or "" if c.isdigit())
