"""The local Telegram: an MTProto server for trying the product, and for tests, with no account.

It speaks to an unmodified Telethon, and to an unmodified aiogram:

    async with LocalTelegram(state) as telegram:
        telethon.crypto.rsa.add_key(telegram.public_key_pem, old=False)
        client.session.set_dc(telegram.dc_id, telegram.host, telegram.port)
        server = aiogram.client.telegram.TelegramAPIServer.from_base(telegram.bot_api_url)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from telethon.tl import types

from .auth import Auth
from .authorizations import Authorizations
from .bot_platform import BotControls, BotPlatform
from .bots import Bots
from .calls import Call
from .contacts import Contacts
from .device_controls import DeviceControls
from .device_rules import DeviceRules
from .faults import Fault, Faults, Loss
from .files import Files
from .help import DC_ID, Help
from .history import History
from .listener import Listener
from .login_notices import LoginNotices
from .messages import Messages
from .password import Passwords
from .phone import Directory, Phone
from .privacy import Audience, Privacy
from .qr import QrLogin
from .rpc import Client, Router, RpcError
from .session import Session
from .store import AuthKey, Store, User
from .updates import Updates
from .users import Users

log = logging.getLogger(__name__)


@dataclass
class Timers:
    """How long the server waits, in seconds; a change counts from the next call, code, token or question on."""

    receive_s: float = 20.0
    ring_s: float = 90.0
    connect_s: float = 30.0
    code_s: float = 300.0
    resend_s: float = 60.0
    qr_s: float = 30.0
    bot_answer_s: float = 10.0


class LocalTelegram(BotControls, DeviceControls):
    """A Telegram of its own on a TCP port, its Bot API on another; an async context manager.

    Args:
        state: the SQLite file that keeps accounts, devices and messages; made when it is missing.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one, see `port`.
        timers: how long calls, login codes, QR tokens and questions to bots wait.
        bot_api_port: the port of the HTTP Bot API; 0 takes a free one, see `bot_api_url`.
    """

    dc_id = DC_ID

    def __init__(
        self,
        state: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        timers: Timers | None = None,
        bot_api_port: int = 0,
    ) -> None:
        self.state = state
        self.host = host
        self.port = port
        self.timers = timers if timers is not None else Timers()
        self.device_rules = DeviceRules()
        self.connections: list[Any] = []
        self.p2p_allowed = True
        self.custom_parameters: str | None = None
        self.difference_tells_calls = True  # whether updates.getDifference repeats what was missed of calls
        self.shows_language = False  # to other accounts, which Telegram never does; bots always see it
        self.api: tuple[int, str] | None = None  # the one application (api_id, api_hash) that may sign in; None: any
        self.qr_migrates = False  # whether an account that scans is "in another data centre"
        self.clock_ahead_s = 0.0  # what updates.getState tells of the time; all else is told by this machine's clock
        self._bot_api_port = bot_api_port
        self._faults = Faults()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._store = await asyncio.to_thread(Store, self.state)
            stack.callback(self._store.close)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._wire(tasks)
            stack.callback(self._phone.close)
            self.port = await self._listener.listen(self.host, self.port)
            stack.push_async_callback(self._listener.close)
            stack.push_async_callback(self._passwords.settle)
            await self._platform.api.open(self.host, self._bot_api_port)
            stack.push_async_callback(self._platform.api.close)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The task group is not shown the body's error, which it would wrap in an ExceptionGroup.
        await self._exit.aclose()

    def _wire(self, tasks: asyncio.TaskGroup) -> None:
        store, timers = self._store, self.timers
        router, sessions = Router(), set[Session]()
        self._listener = Listener(store, router, self._faults, sessions, tasks, self._peers)
        self._privacy = Privacy(store)
        bots = Bots(store)
        self._users = Users(store, self._privacy, bots, lambda: self.shows_language)
        self._contacts = Contacts(store, self._users)
        self._updates = Updates(store, self._users, sessions, lambda: self.clock_ahead_s)
        self._passwords = Passwords(store, self._listener.spawn)
        files = Files(store)
        messages = Messages(store, self._users, self._updates, files)
        notices = LoginNotices(store, self.device_rules, self._updates, messages)
        self._authorizations = Authorizations(store, self.device_rules, notices, self._key_revoked)
        authorizations = self._authorizations
        self._auth = Auth(store, self._users, self._passwords, timers, lambda: self.api, authorizations, notices)
        self._qr = QrLogin(store, self._auth, authorizations, lambda: timers.qr_s, lambda: self.qr_migrates)
        self._platform = BotPlatform(store, bots, self._users, self._updates, messages, files, timers)
        history = History(store, self._users, self._updates)
        directory = Directory(store, self._users, self._privacy, self._updates, messages, self._faults, authorizations)
        self._phone = Phone(directory, timers, self)
        help_ = Help(lambda: (self.host, self.port), timers)
        services = (self._privacy, self._users, self._contacts, self._updates, self._passwords, self._auth, self._qr)
        more = (authorizations, files, messages, history, self._phone, help_)
        for service in (*services, *more, *self._platform.handlers):
            router.include(service)

    # What a test or a demo does

    @property
    def public_key_pem(self) -> str:
        """The server's RSA key as PKCS#1, for `telethon.crypto.rsa.add_key(pem, old=False)`."""
        return self._store.rsa_key.public_pem

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every phone call since the server started, oldest first. For reading only."""
        return tuple(self._phone.calls)

    def add_user(
        self,
        phone: str,
        first_name: str,
        last_name: str = "",
        username: str | None = None,
        lang: str = "ru",
        password: str | None = None,
        contacts: Iterable[str] = (),
        privacy: Mapping[str, Audience] | None = None,
        password_hint: str = "",
    ) -> User:
        """Create an account, or update the one with that phone number.

        Args:
            phone: in any notation.
            password: for two-step verification; None is no password.
            contacts: phone numbers of accounts that exist already; see also `add_contact`.
            privacy: who may, by key: "phone_number", "phone_call", "phone_p2p", "added_by_phone", "status".

        Raises:
            LookupError: a contact has no account yet.
        """
        user = self._store.add_user(phone, first_name, last_name, username, lang)
        self._passwords.set(user.id, password, password_hint)
        for contact in contacts:
            self.add_contact(phone, contact)
        for key, audience in (privacy or {}).items():
            self.set_privacy(phone, key, audience)
        return user

    def user(self, phone: str) -> User:
        """The account with a phone number. Raises `LookupError` when there is none."""
        user = self._store.user_by_phone(phone)
        if user is None:
            raise LookupError(f"no account has the phone number {phone}: call add_user first")
        return user

    def add_contact(self, phone: str, contact: str, first_name: str = "", last_name: str = "") -> None:
        """Put `contact` into the contacts of `phone`; with no name, under the name the contact chose."""
        self._contacts.add(self.user(phone).id, self.user(contact).id, first_name, last_name)

    def set_privacy(
        self, phone: str, key: str, audience: Audience, allow: Iterable[str] = (), disallow: Iterable[str] = ()
    ) -> None:
        """Set a privacy rule of an account; `allow` and `disallow` are phone numbers."""
        lists = ([self.user(other).id for other in group] for group in (allow, disallow))
        self._privacy.set(self.user(phone).id, key, Audience(audience), *lists)

    def ban(self, phone: str, *, told: bool = True) -> None:
        """Ban a phone number and sign its devices out."""
        user = self.user(phone)
        self._store.put("users", {"id": user.id, "banned": 1})
        self.revoke_sessions(phone, "USER_DEACTIVATED_BAN", told=told)

    def delete_account(self, phone: str) -> None:
        """Delete an account: others see a deleted account."""
        user = self.user(phone)
        self.revoke_sessions(phone, "USER_DEACTIVATED")
        self._store.put("users", {"id": user.id, "deleted": 1})

    def requests(self, method: str, phone: str) -> int:
        """How many requests of a method, for example "updates.getState", an account has made so far, refused or not."""
        return self._listener.counted[method, self.user(phone).phone]

    @property
    def addresses(self) -> set[str]:
        """From which clients of MTProto and of the Bot API have connected so far."""
        return self._listener.addresses | self._platform.api.addresses

    def refuse(
        self,
        method: str,
        error: str,
        phone: str | None = None,
        peer: str | None = None,
        times: int | None = 1,
        *,
        carried_out: bool = False,
        code: int | None = None,
    ) -> None:
        """Answer the next requests with an error.

        Args:
            method: for example "phone.requestCall"; "*" is any.
            error: for example "FLOOD_WAIT_30"; its code follows from its name, unless `code` is given.
            phone: only requests of this account.
            peer: only requests about this account (the callee, the recipient, the number that is looked up, or the
                @username of a bot).
            times: how many requests; None is all.
            carried_out: the request has its effect all the same.
        """
        refusal = error if code is None else RpcError(error, code)
        self._add_fault(Fault(method, phone, peer, times, error=refusal, carried_out=carried_out))

    def delay(
        self,
        method: str,
        seconds: float,
        phone: str | None = None,
        peer: str | None = None,
        times: int | None = 1,
        *,
        carried_out: bool = False,
    ) -> None:
        """Answer the next requests late; the arguments are those of `refuse`."""
        self._add_fault(Fault(method, phone, peer, times, delay_s=seconds, carried_out=carried_out))

    def misanswer(
        self,
        method: str,
        answer: Callable[[Any], Any],
        phone: str | None = None,
        peer: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Carry the next requests out and answer them wrong.

        Args:
            answer: makes a TL object of the right answer, or bytes that go out as they are.
            method, phone, peer, times: those of `refuse`.
        """
        self._add_fault(Fault(method, phone, peer, times, answer=answer))

    def lose(self, kind: type, phone: str, times: int | None = 1) -> None:
        """Let the next updates about calls get lost on their way to the devices of an account.

        Args:
            kind: a type of PhoneCall's, for example `types.PhoneCallDiscarded`, or `types.MessageActionPhoneCall`.
            times: how many updates; None is all.
        """
        self._faults.lose(Loss(kind, self.user(phone).phone, times))

    def offer_again(self, call: Call) -> None:
        """Tell the callee of a call as if it had just begun, in whatever state it is."""
        self._phone.offer_again(call)

    def _add_fault(self, fault: Fault) -> None:
        fault.phone = self.user(fault.phone).phone if fault.phone else None
        if fault.peer is not None:
            of_bot = fault.peer.startswith("@")
            fault.peer = f"@{self.bot(fault.peer).username}" if of_bot else self.user(fault.peer).phone
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Forget what `refuse`, `delay` and their kin for bots set up and was not used."""
        self._faults.clear()
        self._platform.faults.clear()

    def drop_connections(self, phone: str | None = None) -> None:
        """Cut TCP connections, as a network fault does: all, or those of one account."""
        keys = None if phone is None else {key.id for key in self._store.auth_keys_of(self.user(phone).id)}
        self._listener.cut(keys)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """A network fault that lasts: nobody can connect while inside."""
        self._listener.leave()
        try:
            yield
        finally:
            await self._listener.listen(self.host, self.port)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """A network fault that shows by nothing but silence: no answer comes while inside."""
        self._listener.be_silent(True)
        try:
            yield
        finally:
            self._listener.be_silent(False)

    def _peers(self, client: Client, request: Any) -> set[str]:
        """Whom a request is about, by phone number or @username."""
        peers: set[str] = set()
        for name in ("user_id", "peer", "to_peer", "bot", "id", "phone", "phone_number", "username"):
            target = getattr(request, name, None)
            user: User | None = None
            if isinstance(target, types.InputPhoneCall):
                call = self._phone.get(target.id)
                user = self._store.user(call.other(client.user.id)) if call and client.user_or_none else None
            elif isinstance(target, types.InputUser | types.InputPeerUser):
                user = self._store.user(target.user_id)
            elif isinstance(target, str) and name != "id":
                user = self._store.user_by_username(target) if name == "username" else self._store.user_by_phone(target)
            if user is not None:
                peers.add(user.handle)
        return peers

    def _key_revoked(self, key: AuthKey) -> None:
        # A client learns that it was signed out from the error to its next request, so give it a reason to ask.
        self._listener.tell(key.id, types.UpdatesTooLong())
