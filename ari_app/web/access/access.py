"""Who may use the admin page and the API: signing in, and the parts that know of users, sessions and tokens."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from ari_app.bus import EventBus
from ari_app.i18n import message
from ari_app.store.access import AccessRepository
from ari_app.store.passkeys import PasskeyRepository
from ari_app.store.store import Store
from ari_app.store.users import UserRepository, UserRow
from ari_app.web.access.passkeys import PasskeyRefused, Passkeys, RelyingParty
from ari_app.web.access.passwords import Passwords
from ari_app.web.access.refusals import TooManyTries, WrongPassword, acceptable
from ari_app.web.access.sessions import Sessions
from ari_app.web.access.shared import SharedAccess
from ari_app.web.access.throttle import ADDRESSES, CODES, USERS, Throttle
from ari_app.web.access.tokens import Tokens
from ari_app.web.access.two_factor import TwoFactor, WrongCode
from ari_app.web.access.users import LONGEST_NAME, Users
from ari_app.web.oidc.settings import OidcSettings

log = logging.getLogger(__name__)

SIGN_IN = message("The user name or the password is wrong.")
OWN = message("This is not the password.")


@dataclass(frozen=True)
class SignedIn:
    """Who, by which way (a session's), and whether with a recovery code."""

    user: UserRow
    way: str
    recovery: bool


class Access:
    """Lets people and programs in. ``clock`` gives Unix time, ``steady`` a clock that nobody sets.

    ``oidc``: how the OpenID Connect provider does; None where there is none. ``shared``: what other machines know, too.
    """

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        session_s: float,
        idle_s: float,
        clock: Callable[[], float],
        steady: Callable[[], float],
        oidc: OidcSettings | None = None,
        *,
        shared: SharedAccess,
    ) -> None:
        self.shared = shared
        kept = AccessRepository(store, self.shared, self.shared.tells)
        self._users = UserRepository(store, self.shared)
        self._passwords = Passwords()
        self._clock = clock
        self.oidc = oidc
        self._addresses = Throttle(steady, ADDRESSES)
        self._names = Throttle(steady, USERS)
        self._codes = Throttle(steady, CODES)
        self.sessions = Sessions(kept, self._users, bus, session_s, idle_s, clock, self.admits, self.shared)
        self.users = Users(self._users, self.sessions, self._passwords, bus, clock)
        self.tokens = Tokens(kept, bus, clock)
        self.passkeys = Passkeys(PasskeyRepository(store, self.shared), clock, self.shared)
        self.two_factor = TwoFactor(self._users, self.sessions, bus, clock, steady, self.shared)

    def admits(self, user: UserRow, way: str = "password") -> bool:
        """Whether a user may sign in, and stay in, by a password, or by the OpenID Connect provider ("oidc")."""
        if self.oidc is None:
            return way == "password"
        return way == "oidc" or self.oidc.emergency_user in ("", user.name)

    def asks_second_factor(self, way: str) -> bool:
        """Whether whoever comes by that way is asked for a second factor here."""
        return way != "oidc" or self.oidc is None or self.oidc.second_factor == "astergram"

    async def has_second_factor(self, user: UserRow, party: RelyingParty | None) -> bool:
        """Whether a user has one that works where they are; `second_factor` of a user is asked for all the same."""
        return user.totp is not None or await self.passkeys.any_for(user, party)

    async def first(self) -> UserRow:
        """The administrator who can always sign in with a password; raises UnknownUser."""
        if self.oidc and self.oidc.emergency_user:
            return await self.users.one(self.oidc.emergency_user)
        return await self.users.first()

    async def sign_in(self, name: str, password: str, address: str) -> UserRow:
        """Whose name and password it is; with two-factor authentication a code is still to come.

        Raises WrongPassword, TooManyTries.
        """
        found = await self.users.find(name)
        if found and not self.admits(found):
            found = None
        user = await self._check(found, name.lower()[:LONGEST_NAME], password, address, WrongPassword(SIGN_IN))
        if not user.second_factor:
            self.signed_in(user, address)
        return user

    async def sign_in_with_code(
        self, challenge: str, code: str, address: str, party: RelyingParty | None = None, credential: str = ""
    ) -> SignedIn:
        """Who signs in, with a code, or with what their passkey's device has signed (``credential``).

        Raises WrongCode, ChallengeOver, TooManyTries.
        """
        user, way = await self.two_factor.challenged(challenge)
        self._check_wait(user.name, address)
        self._check_wait_for_code(user.name, address)
        self._addresses.wrong(address)
        self._names.wrong(user.name)
        self._codes.wrong(user.name)
        try:
            recovery = False
            if credential:
                await self.passkeys.check(user, party, self.two_factor.nonce(challenge), credential)
            else:
                recovery = await self.two_factor.check(user, code)
        except (WrongCode, PasskeyRefused) as refused:
            log.warning("authentication failure: wrong password from %s", address)
            wrong = WrongCode(refused.sentence)
            wrong.user = user.name
            raise wrong from None
        self.two_factor.answered(challenge)
        self._codes.right(user.name)
        self.signed_in(user, address)
        return SignedIn(user, way, recovery)

    def signed_in(self, user: UserRow, address: str) -> None:
        """They are who they say."""
        self._addresses.right(address)
        self._names.right(user.name)
        self._users.sign_in(user.id, self._clock())
        self.shared.user(user.name)

    async def check_own_code(self, user: UserRow, code: str, address: str) -> None:
        """The same for who has no password, with a code, or a recovery code; raises WrongCode, TooManyTries."""
        self._check_wait_for_code(user.name, address)
        self._codes.wrong(user.name)
        await self.two_factor.check(user, code)
        self._codes.right(user.name)

    async def check_own_passkey(
        self, user: UserRow, session: str, party: RelyingParty | None, credential: str, address: str
    ) -> None:
        """The same with a passkey, by what its device has answered in a session (its digest).

        Raises PasskeyRefused, TooManyTries.
        """
        self._check_wait_for_code(user.name, address)
        self._codes.wrong(user.name)
        await self.passkeys.confirm(user, session, party, credential)
        self._codes.right(user.name)

    async def check_own(self, user: UserRow, password: str, address: str) -> None:
        """Have somebody who is signed in say their password again; raises WrongPassword, TooManyTries."""
        await self._check(user, user.name, password, address, WrongPassword(OWN))
        self._addresses.right(address)
        self._names.right(user.name)

    async def change_password(
        self, user: UserRow, old: str, new: str, address: str, *, revoke_tokens: bool = False
    ) -> None:
        """Change a user's own password, and end their sessions; raises WrongPassword, TooManyTries, PasswordRefused."""
        acceptable(new)
        await self.check_own(user, old, address)
        await self.users.set_password(user, new, revoke_tokens=revoke_tokens)

    async def _check(
        self, user: UserRow | None, name: str, password: str, address: str, wrong: WrongPassword
    ) -> UserRow:
        """The user as they are now; raises ``wrong``, or TooManyTries for an address, or of a name, that has to wait.

        Each failure is one line in the log; docs/users.md promises its form to fail2ban. It takes as long where there
        is no such user.
        """
        self._check_wait(name, address)
        self._addresses.wrong(address)
        self._names.wrong(name)
        hashed = user.hash if user else None
        right = await self._passwords.matches(hashed, password)
        user = await self.users.find(name)  # meanwhile another password may have been set, or the user removed
        if not right or user is None or hashed is None or user.hash != hashed:
            log.warning("authentication failure: wrong password from %s", address)
            raise wrong
        if self._passwords.outdated(hashed):
            self._users.rehash_password(user.id, hashed, await self._passwords.hashed(password))
        return user

    def _check_wait_for_code(self, name: str, address: str) -> None:
        if wait_s := self._codes.wait_s(name):
            log.warning("authentication failure: too many wrong passwords from %s", address)
            said = message("Too many wrong codes for this user. Try again in {seconds} s.", seconds=int(wait_s) + 1)
            raise TooManyTries(wait_s, said)

    def _check_wait(self, name: str, address: str) -> None:
        if wait_s := self._addresses.wait_s(address):
            log.warning("authentication failure: too many wrong passwords from %s", address)
            raise TooManyTries(wait_s)
        if wait_s := self._names.wait_s(name):
            log.warning("authentication failure: too many wrong passwords from %s", address)
            said = message("Too many wrong passwords for this user. Try again in {seconds} s.", seconds=int(wait_s) + 1)
            raise TooManyTries(wait_s, said)


ACCESS_KEY = web.AppKey("access", Access)


def access_of(request: web.Request) -> Access:
    """That of the page."""
    return request.config_dict[ACCESS_KEY]
