"""Passkeys and security keys (WebAuthn Level 3) as a second factor: added, and asked for at a sign-in. By py_webauthn.

A credential is for one host name, the relying party's id: that of `public_url`, or localhost, at the page's own port.
An address has none. At any other host name it is of no use; the sign-in there takes a recovery code, not less.
"""

import asyncio
import importlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.store.passkeys import PasskeyKnown, PasskeyRepository, PasskeyRow
from ari_app.store.users import UserRow
from ari_app.web.access.refusals import AccessRefused
from ari_app.web.access.shared import SharedAccess
from ari_app.web.http.context import web_of
from ari_app.web.http.middlewares import is_address

log = logging.getLogger(__name__)

LONGEST_NAME = 100
MOST = 20  # of one user
MOST_OFFERED = 1000
CHALLENGE_BYTES = 32
HERE = "localhost"


UNPROVEN = message("This passkey is not known here, or its answer can't be used. Try again.")


class PasskeyRefused(AccessRefused):
    """A passkey can't be added, or does not let in; ``field`` is of which field."""

    def __init__(self, sentence: Message = UNPROVEN, field: str = "passkey") -> None:
        self.field = field
        super().__init__(sentence)


@dataclass(frozen=True)
class RelyingParty:
    """Who a credential is for, as the browser sees it."""

    id: str
    origin: str


def relying_party(request: web.Request) -> RelyingParty | None:
    """That of the configured address, if a browser asks by it; None where it can have no passkeys.

    The Host header chooses among our own origins, and makes none: who sends an answer on can set that header.
    """
    its = web_of(request)
    here, public = f"{HERE}:{its.cookies.port}", urlsplit(its.settings.public_url)
    if request.host == here:
        return RelyingParty(HERE, f"http://{here}")
    host = urlsplit(f"//{request.host}").hostname or ""
    if public.scheme == "https" and host == public.hostname and not is_address(host):
        return RelyingParty(host, f"https://{public.netloc.lower()}")
    return None


class _Challenges:
    """What devices have to sign, for each browser its own: the same until it is used, once."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[int, str], bytes] = OrderedDict()

    def offer(self, user: UserRow, session: str) -> bytes:
        challenge = self._open.setdefault((user.id, session), secrets.token_bytes(CHALLENGE_BYTES))
        self._open.move_to_end((user.id, session))
        if len(self._open) > MOST_OFFERED:
            self._open.popitem(last=False)
        return challenge

    def take(self, user: UserRow, session: str) -> bytes | None:
        return self._open.pop((user.id, session), None)


class Passkeys:
    """Those of all users. ``clock`` gives Unix time."""

    def __init__(self, kept: PasskeyRepository, clock: Callable[[], float], shared: SharedAccess) -> None:
        self._kept = kept
        self._clock = clock
        self._shared = shared
        self._to_add, self._to_confirm = _Challenges(), _Challenges()
        self._counts: dict[str, int] = {}  # of credentials: what the database may not have been told yet

    async def all(self, user: UserRow) -> list[PasskeyRow]:
        """A user's, the oldest first."""
        return await self._kept.all(user.id)

    async def any_for(self, user: UserRow, party: RelyingParty | None) -> bool:
        """Whether a user has one that works there."""
        if party is None or not user.passkeys:
            return False
        return any(each.rp_id == party.id for each in await self.all(user))

    async def creation_options(self, user: UserRow, session: str, party: RelyingParty) -> str:
        """What a browser is to ask a device for, as JSON; the same challenge in a session until it is used."""
        challenge = self._to_add.offer(user, session)
        known = [each.credential for each in await self.all(user) if each.rp_id == party.id]
        return str((await _ceremonies()).creation_options(party, user.name, challenge, known))

    async def add(
        self,
        user: UserRow,
        session: str,
        party: RelyingParty | None,
        credential: str,
        name: str,
        codes: Collection[str] | None,
    ) -> PasskeyRow:
        """Keep what a device has made; raises PasskeyRefused. ``codes``: see `PasskeyRepository.add`."""
        name = name.strip()
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            said = message("Give it a name of up to {longest} characters.", longest=LONGEST_NAME)
            raise PasskeyRefused(said, "passkey_name")
        if len(await self.all(user)) >= MOST:
            raise PasskeyRefused(message("There are {most} passkeys already: remove one.", most=MOST))
        challenge = self._to_add.take(user, session)
        if challenge is None or party is None:
            raise PasskeyRefused
        try:
            made = (await _ceremonies()).created(party, challenge, credential)
        except ValueError as error:
            log.warning("a passkey of user %s was refused: %s", user.name, error)
            raise PasskeyRefused from None
        row = PasskeyRow(0, user.id, name, party.id, made.credential, made.public_key, made.sign_count, self._clock())
        try:
            await self._kept.add(row, codes, session if codes is not None else "")
        except PasskeyKnown:
            raise PasskeyRefused(message("This passkey is known already.")) from None
        log.info("user %s has added a passkey", user.name)
        return row

    async def remove(self, user: UserRow, id: int) -> PasskeyRow | None:
        """Forget one, which is returned; None where there is none."""
        removed = await self._kept.remove(user.id, id)
        if removed:
            log.info("a passkey of user %s was removed", user.name)
        return removed

    async def request_options(self, user: UserRow, party: RelyingParty | None, challenge: bytes) -> str:
        """What a browser is to ask a device for at a sign-in, as JSON; empty where the user has none for it."""
        if party is None or not user.passkeys:
            return ""
        its = [each.credential for each in await self.all(user) if each.rp_id == party.id]
        return str((await _ceremonies()).request_options(party, challenge, its)) if its else ""

    async def confirmation_options(self, user: UserRow, session: str, party: RelyingParty | None) -> str:
        """The same for who is signed in, and confirms a change; the same challenge in a session until it is used."""
        return await self.request_options(user, party, self._to_confirm.offer(user, session))

    async def confirm(self, user: UserRow, session: str, party: RelyingParty | None, credential: str) -> None:
        """Whether it is still they, by what their device has answered to that; raises PasskeyRefused."""
        challenge = self._to_confirm.take(user, session)
        if challenge is None:
            raise PasskeyRefused
        await self.check(user, party, challenge, credential)

    async def check(self, user: UserRow, party: RelyingParty | None, challenge: bytes, credential: str) -> None:
        """Let in who has one of a user's; raises PasskeyRefused."""
        ceremony = await _ceremonies()
        try:
            id = ceremony.credential_of(credential)
            known = {each.credential: each for each in await self.all(user) if party and each.rp_id == party.id}
            if id not in known:
                raise PasskeyRefused
            its = known[id]
            its = replace(its, sign_count=max(its.sign_count, self._counts.get(id, 0)))
            count = ceremony.asserted(party, challenge, credential, its)
        except ValueError as error:
            log.warning("a passkey of user %s was refused: %s", user.name, error)
            raise PasskeyRefused from None
        self._counts[id] = count
        self._kept.use(id, count, self._clock())
        self._shared.user(user.name)


async def _ceremonies() -> Any:
    """The module `ceremonies`: its library is loaded when somebody first needs it."""
    return await asyncio.to_thread(importlib.import_module, "ari_app.web.access.ceremonies")
