"""Two-factor authentication: time-based one-time passwords (TOTP, RFC 6238), and recovery codes for a lost device."""

import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import pyotp

from ari_app.bus import EventBus
from ari_app.i18n import Message, message
from ari_app.store.users import UserRepository, UserRow
from ari_app.web.access.refusals import AccessRefused
from ari_app.web.access.secrets import digest
from ari_app.web.access.sessions import Sessions
from ari_app.web.access.shared import SharedAccess
from ari_app.web.http.context import ACCESS

log = logging.getLogger(__name__)

ISSUER = "Astergram"
STEP_S = 30
WINDOW = 1  # steps by which a device's clock may be off, either way (RFC 6238, 5.2)
RECOVERY_CODES = 10
CODE_SIGNS, CODE_LENGTH = "abcdefghjkmnpqrstuvwxyz23456789", 12  # none that is taken for another; 59 bits
CHALLENGE_S = 300.0  # between the password and the code
CHALLENGE_TRIES = 5
NONCE_BYTES = 32
MOST_WAITING = 1000  # who have entered their password, and a code is awaited of them


class WrongCode(AccessRefused):
    """It is not the code now, or it was used already; ``user``: whose it should have been, at a sign-in."""

    def __init__(self, sentence: Message | None = None) -> None:
        self.user = ""
        super().__init__(sentence or message("This is not the code. Each code works once; wait for the next one."))


class ChallengeOver(AccessRefused):
    """The first step was too long ago, or too many codes were wrong."""

    def __init__(self) -> None:
        super().__init__(message("Sign in once more: that took too long, or there were too many codes."))


@dataclass
class _Challenge:
    user_id: int
    hash: str | None  # of the password that was right
    until: float
    way: str
    nonce: bytes
    tries: int = 0


class TwoFactor:
    """Codes of all users. ``clock`` gives Unix time, as their devices have it; ``steady`` one that nobody sets.

    What the database has not been told yet counts all the same: no code works twice because it can't be written.
    """

    def __init__(
        self,
        kept: UserRepository,
        sessions: Sessions,
        bus: EventBus,
        clock: Callable[[], float],
        steady: Callable[[], float],
        shared: SharedAccess,
    ) -> None:
        self._kept = kept
        self._sessions = sessions
        self._bus = bus
        self._clock = clock
        self._steady = steady
        self._shared = shared
        # Secrets that nobody has confirmed yet: each browser's own, for somebody else may know the password, too.
        self._offered: OrderedDict[tuple[int, str], str] = OrderedDict()
        self._last: dict[str, int] = {}  # the latest step of which a secret's code was used
        self._spent: set[str] = set()
        self._waiting: OrderedDict[str, _Challenge] = OrderedDict()

    # Turning it on and off

    def offer(self, user: UserRow, session: str) -> str:
        """A secret for a device; the same in a session (its digest) until it is confirmed."""
        secret = self._offered.setdefault((user.id, session), pyotp.random_base32())
        self._offered.move_to_end((user.id, session))
        if len(self._offered) > MOST_WAITING:
            self._offered.popitem(last=False)
        return secret

    def address(self, user: UserRow, session: str) -> str:
        """What an authenticator app reads from a QR code."""
        return str(pyotp.TOTP(self.offer(user, session)).provisioning_uri(name=user.name, issuer_name=ISSUER))

    async def confirm(self, user: UserRow, session: str, code: str) -> list[str]:
        """Turn it on, once the device gives the right code, and end their other sessions; the recovery codes.

        Raises WrongCode.
        """
        secret = self.offer(user, session)
        self._use(secret, code)
        digests, readable = self.made_codes()
        await self._kept.set_two_factor(user.id, secret, digests, self._clock(), session)
        self._offered.pop((user.id, session), None)
        self.turned_on(user, session)
        return readable

    def made_codes(self) -> tuple[list[str], list[str]]:
        """New recovery codes: their digests, and as people read them."""
        codes = ["".join(secrets.choice(CODE_SIGNS) for _ in range(CODE_LENGTH)) for _ in range(RECOVERY_CODES)]
        return [digest(each) for each in codes], [_readable(each) for each in codes]

    def turned_on(self, user: UserRow, session: str) -> None:
        """A user has a second factor since, of which only this session of theirs knows."""
        self._sessions.end_started(user.id, but=session)
        self._bus.publish(ACCESS)
        log.info("user %s has turned two-factor authentication on", user.name)

    async def new_codes(self, user: UserRow) -> list[str]:
        """Other recovery codes, in place of those that there are."""
        digests, readable = self.made_codes()
        await self._kept.set_two_factor(user.id, user.totp, digests, self._clock())
        return readable

    async def codes_left(self, user: UserRow) -> int:
        """How many recovery codes have not been used."""
        return len(set(await self._kept.recovery_codes(user.id)) - self._spent)

    async def turn_off(self, user: UserRow) -> None:
        """Turn it off, for a lost device, too."""
        await self._kept.clear_two_factor(user.id)
        self._bus.publish(ACCESS)
        log.info("two-factor authentication of user %s was turned off", user.name)

    # Signing in

    def challenge(self, user: UserRow, way: str) -> str:
        """The secret of a browser whose user has come by some ``way`` (a session's), and is asked for a code."""
        secret = secrets.token_urlsafe()
        self._waiting[secret] = _Challenge(
            user.id, user.hash, self._steady() + CHALLENGE_S, way, secrets.token_bytes(NONCE_BYTES)
        )
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        return secret

    async def asked(self, secret: str) -> tuple[UserRow | None, bytes]:
        """Who is to come with it, None for nobody (any more), and what their device has to sign."""
        waiting = self._waiting.get(secret)
        return (await self._kept.by_id(waiting.user_id), waiting.nonce) if waiting else (None, b"")

    def nonce(self, secret: str) -> bytes:
        """What a device had to sign, for one answer: the next try needs another one."""
        waiting = self._waiting.get(secret)
        if waiting is None:
            return b""
        nonce, waiting.nonce = waiting.nonce, secrets.token_bytes(NONCE_BYTES)
        return nonce

    def answered(self, secret: str) -> None:
        """It has let somebody in: never again."""
        self._waiting.pop(secret, None)

    async def challenged(self, secret: str) -> tuple[UserRow, str]:
        """Who is to enter a code, which is counted as a try, and the way they came; raises ChallengeOver."""
        waiting = self._waiting.get(secret)
        if waiting is None:
            raise ChallengeOver
        waiting.tries += 1
        user = await self._kept.by_id(waiting.user_id)
        over = waiting.tries > CHALLENGE_TRIES or self._steady() >= waiting.until
        if over or user is None or not user.second_factor or user.hash != waiting.hash:
            self._waiting.pop(secret, None)
            raise ChallengeOver
        return user, waiting.way

    async def check(self, user: UserRow, code: str) -> bool:
        """Use a code of a user's device, or a recovery code (then True); raises WrongCode."""
        plain = "".join(sign for sign in code.lower() if sign.isalnum())
        recovery = digest(plain)
        used = recovery in await self._kept.recovery_codes(user.id) and recovery not in self._spent
        if used:
            self._spent.add(recovery)
            self._kept.spend_recovery_code(user.id, recovery)
            log.warning("user %s has used a recovery code", user.name)
        elif user.totp is None:
            raise WrongCode
        else:
            self._kept.use_code(user.id, self._use(user.totp, plain, user.totp_last))
        self._shared.user(user.name)
        return used

    def _use(self, secret: str, code: str, last: int = 0) -> int:
        """The step that a code is of; raises WrongCode, also for one that was used, or is older than one used."""
        now, totp = int(self._clock() // STEP_S), pyotp.TOTP(secret)
        plain = "".join(code.split())
        last = max(last, self._last.get(secret, 0))
        for step in range(now - WINDOW, now + WINDOW + 1):
            if step > last and hmac.compare_digest(totp.generate_otp(step).encode(), plain.encode()):
                self._last[secret] = step
                return step
        raise WrongCode


def _readable(code: str) -> str:
    return "-".join(code[place : place + 4] for place in range(0, CODE_LENGTH, 4))
