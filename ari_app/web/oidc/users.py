"""Who somebody is here of whom the OpenID Connect provider has told: their user name and role."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ari_app.bus import EventBus
from ari_app.i18n import message
from ari_app.store.identities import Admitted, IdentityRepository, NameTaken, NotAdded
from ari_app.store.users import LastAdministrator
from ari_app.web.access.refusals import AccessRefused, LastAdministratorKept
from ari_app.web.access.users import LONGEST_NAME, NAME, Users
from ari_app.web.http.context import ACCESS
from ari_app.web.http.roles import Role
from ari_app.web.oidc.settings import OidcSettings

log = logging.getLogger(__name__)

LONGEST_SUBJECT = 255  # OpenID Connect Core, 2
LONGEST_TOLD = 500  # of what somebody's claim holds, in the log


class NotAdmitted(AccessRefused):
    """Somebody has signed in at the provider, but may not do anything here."""


NO_ROLE = message("You may not use Astergram: ask an administrator to give your account at the provider a role.")
NO_NAME = message("The provider tells no user name for you that Astergram can use: ask an administrator.")
UNVERIFIED = message("The provider does not say that your e-mail address is verified: ask an administrator.")
NO_USER = message("There is no user for you in Astergram: ask an administrator to add you.")
TAKEN = message("There is another user of your name in Astergram: ask an administrator.")
FIRST_OF_ALL = message("Nobody has set the first administrator's password yet: that has to be done first.")


@dataclass(frozen=True)
class EndUser:
    """What is used of an ID token. ``role``: None for the one that their user has here.

    ``is_theirs``: whether the name says who they are; an e-mail address that nobody has verified does not.
    """

    subject: str
    name: str
    role: Role | None
    is_theirs: bool = True


class OidcUsers:
    """Lets those in whom the provider knows. ``clock`` gives Unix time."""

    def __init__(
        self, settings: OidcSettings, kept: IdentityRepository, users: Users, bus: EventBus, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._kept = kept
        self._users = users
        self._bus = bus
        self._clock = clock

    async def admit(self, claims: Mapping[str, Any]) -> Admitted:
        """The user of whom an ID token is; raises NotAdmitted, LastAdministratorKept."""
        if not await self._users.any_password() and not await self._users.by_oidc():
            raise NotAdmitted(FIRST_OF_ALL)  # else whoever is called admin there would be it here
        its = self._settings
        who = end_user_in(claims, its)
        role = who.role.value if who.role else None
        add_as = (role or its.default_role) if its.users == "create" else None
        try:
            name = who.name if who.is_theirs else None
            admitted = await self._kept.admit(its.issuer, who.subject, name, role, add_as=add_as, at=self._clock())
        except NotAdded:
            if not who.is_theirs:
                raise self._refused(who, "its e-mail address is not verified", UNVERIFIED) from None
            raise self._refused(who, "there is no such user", NO_USER) from None
        except NameTaken:
            said = "the user of that name has a password, is somebody else at the provider, or the first administrator"
            raise self._refused(who, said, TAKEN) from None
        except LastAdministrator:
            raise LastAdministratorKept from None
        if admitted.was != admitted.user.role:
            self._bus.publish(ACCESS)
            log.info("user %s is %s now, as the provider says", admitted.user.name, admitted.user.role)
        return admitted

    def _refused(self, who: EndUser, why: str, sentence: Any) -> NotAdmitted:
        log.warning("OpenID Connect: %s (subject %s) is not let in: %s", who.name, who.subject, why)
        return NotAdmitted(sentence)


def end_user_in(claims: Mapping[str, Any], settings: OidcSettings) -> EndUser:
    """Who an ID token is of; raises NotAdmitted."""
    subject, name = claims.get("sub"), claims.get(settings.name_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise NotAdmitted(NO_NAME)
    name = name.strip().lower() if isinstance(name, str) else ""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        log.warning("OpenID Connect: subject %s is not let in: %s is no user name", subject, settings.name_claim)
        raise NotAdmitted(NO_NAME)
    is_theirs = settings.name_claim != "email" or settings.unverified_email or claims.get("email_verified") is True
    if not settings.role_claim:
        return EndUser(subject, name, None, is_theirs)
    held = list(_values(claims, settings.role_claim))
    roles = [Role(settings.roles[each]) for each in held if each in settings.roles]
    if settings.default_role != "none":
        roles.append(Role(settings.default_role))
    if not roles:
        told = repr(held)[:LONGEST_TOLD]
        log.warning("OpenID Connect: %s has no role here: %s is %s", name, settings.role_claim, told)
        raise NotAdmitted(NO_ROLE)
    return EndUser(subject, name, max(roles, key=list(Role).index), is_theirs)


def _values(claims: Mapping[str, Any], place: str) -> Iterator[str]:
    """The texts of a claim: one, or a list; of that name, or, with dots, inside of others."""
    value: Any = claims
    for name in [place] if place in claims else place.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield each
