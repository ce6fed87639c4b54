"""The users: their names, roles and passwords, and links to set a password."""

import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from ari_app.bus import EventBus
from ari_app.i18n import message
from ari_app.store.users import LastAdministrator, UserRepository, UserRow
from ari_app.web.access.passwords import Passwords
from ari_app.web.access.refusals import (
    LastAdministratorKept,
    LinkRefused,
    UnknownUser,
    UserExists,
    UserRefused,
    acceptable,
)
from ari_app.web.access.secrets import digest
from ari_app.web.access.sessions import Sessions
from ari_app.web.http.context import ACCESS
from ari_app.web.http.cookies import SECRET_BYTES
from ari_app.web.http.notes import notes_of
from ari_app.web.http.roles import Role

log = logging.getLogger(__name__)

FIRST = "admin"
"""The name of the first administrator."""
NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]*")
LONGEST_NAME = 64
RESET_LINK_S = 3600.0
INVITATION_S = 7 * 86400.0
"""Of a link for who has no password yet; the very first one, which the start prints, has no end."""
REVOKED = "; every API token is revoked"


class Users:
    """All of them. ``clock`` gives Unix time."""

    def __init__(
        self,
        kept: UserRepository,
        sessions: Sessions,
        passwords: Passwords,
        bus: EventBus,
        clock: Callable[[], float],
    ) -> None:
        self._kept = kept
        self._sessions = sessions
        self._passwords = passwords
        self._bus = bus
        self._clock = clock

    async def any_password(self) -> bool:
        """Whether somebody has set one: until then, only the link of the start leads in."""
        return await self._kept.any_password()

    async def all(self) -> list[UserRow]:
        """By name."""
        return await self._kept.all()

    async def by_oidc(self) -> set[int]:
        """Those who have signed in by an OpenID Connect provider, by their ids."""
        return await self._kept.by_oidc()

    async def find(self, name: str) -> UserRow | None:
        """The user of this name, however its letters are written."""
        return await self._kept.one(name.lower())

    async def one(self, name: str) -> UserRow:
        """The same; raises UnknownUser."""
        if (user := await self.find(name)) is None:
            raise UnknownUser(message("There is no user {name}.", name=name))
        return user

    async def first(self) -> UserRow:
        """The administrator who has been it for longest: there always is one."""
        user = await self._kept.first_administrator()
        assert user is not None
        return user

    async def add(self, name: str, role: Role, password: str | None = None) -> UserRow:
        """A new user; without a password, a link has to set one. Raises UserRefused, PasswordRefused."""
        name = name.lower()
        if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            said = message(
                "A user name has up to {longest} of the characters a-z, 0-9, . - _ + and @.", longest=LONGEST_NAME
            )
            raise UserRefused(said)
        hashed = None if password is None else await self._passwords.hashed(acceptable(password))
        user = await self._kept.add(name, role.value, hashed, self._clock())
        if user is None:
            raise UserExists(message("There is a user {name} already.", name=name))
        log.info("user %s was added, as %s", user.name, role.value)
        return user

    async def set_role(self, name: str, role: Role) -> UserRow:
        """Another role, at once; the user as they were. Raises UnknownUser, LastAdministratorKept."""
        user = await self.one(name)
        try:
            await self._kept.set_role(user.id, role.value)
        except LastAdministrator:
            raise LastAdministratorKept from None
        self._bus.publish(ACCESS)
        log.info("user %s is %s now", user.name, role.value)
        return user

    async def remove(self, name: str) -> UserRow:
        """Forget a user, who is returned, and end their sessions; raises UnknownUser, LastAdministratorKept."""
        user = await self.one(name)
        try:
            await self._kept.remove(user.id)
        except LastAdministrator:
            raise LastAdministratorKept from None
        self._ended(user)
        log.info("user %s was removed", user.name)
        return user

    async def set_password(self, user: UserRow, password: str, *, revoke_tokens: bool = False) -> None:
        """Set a user's password, and end their sessions; raises PasswordRefused."""
        hashed = await self._passwords.hashed(acceptable(password))
        await self._kept.set_password(user.id, hashed, self._clock(), revoke_tokens=revoke_tokens)
        self._ended(user)
        log.info("the password of user %s was changed%s", user.name, REVOKED if revoke_tokens else "")

    async def new_link(self, user: UserRow) -> str:
        """The secret of a new link to set a user's password, in place of an earlier link.

        It works once; for RESET_LINK_S where they have a password already, else for INVITATION_S, or, before anybody
        has one, until somebody has.
        """
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self._kept.put_link(user.id, digest(secret), self._clock())
        return secret

    async def of_link(self, secret: str) -> UserRow:
        """Whose password a link sets; raises LinkRefused for one that does not work."""
        found = await self._kept.link(digest(secret))
        if found is None:
            raise LinkRefused
        user, made_at = found
        lasts_s = RESET_LINK_S if user.hash else INVITATION_S
        if self._clock() - made_at >= lasts_s and await self.any_password():
            raise LinkRefused
        return user

    async def set_password_by_link(self, secret: str, password: str, *, revoke_tokens: bool = False) -> UserRow:
        """Set the password, and end the user's sessions; raises LinkRefused, PasswordRefused."""
        user = await self.of_link(secret)
        hashed = await self._passwords.hashed(acceptable(password))
        now, link = self._clock(), digest(secret)
        if not await self._kept.set_password(user.id, hashed, now, link, revoke_tokens=revoke_tokens):
            raise LinkRefused  # somebody else was faster
        self._ended(user)
        log.info("the password of user %s was set by a link%s", user.name, REVOKED if revoke_tokens else "")
        return replace(user, hash=hashed)

    def _ended(self, user: UserRow) -> None:
        self._sessions.end_started(user.id)
        self._bus.publish(ACCESS)


def note_role(request: web.Request, user: UserRow, before: str | None, after: str | None) -> None:
    """For the audit log: a user, and their role before and after."""
    notes = notes_of(request)
    notes.subject = user.name
    notes.changes["role"] = (before, after)
