"""Users, tokens and sessions of several machines: who joins, was away, or knows somebody else by a name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher

from ari_app.bus import EventBus
from ari_app.cluster import shared_settings
from ari_app.cluster.shared_settings import Cipher, EngineSettings, NotShared, SharedPage
from ari_app.store.identities import IdentityRepository
from ari_app.store.passkeys import PasskeyRow
from ari_app.store.store import Store, open_store
from ari_app.tasks import guarded_tasks
from ari_app.web.access import shared
from ari_app.web.access.access import Access
from ari_app.web.access.refusals import LastAdministratorKept, UnknownUser
from ari_app.web.access.secrets import digest
from ari_app.web.access.shared import EngineAccess
from ari_app.web.access.tokens import MakerRemoved
from ari_app.web.access.two_factor import WrongCode
from ari_app.web.http.context import Identity
from ari_app.web.http.roles import Role
from tests.fake_engine import Engine, WayToEngine

SOON_S = 20.0
LOOK_S = 0.01
DAY_S = 86400.0
ONE, ANOTHER = "one", "another"  # secrets
PASSWORD, OTHER = "correct horse battery", "another long password"
HERE = "192.0.2.1"


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """NATS is asked again at once."""
    for module in (shared_settings, shared):
        monkeypatch.setattr(module, "AGAIN_S", LOOK_S)


@dataclass
class Nats:
    """What all machines have in common, and their time."""

    users: Engine = field(default_factory=Engine)
    sessions: Engine = field(default_factory=Engine)
    now: float = 1_800_000_000.0

    def clock(self) -> float:
        """Each change has a time of its own."""
        self.now += 1
        return self.now


@dataclass
class Machine:
    """One of a cluster."""

    store: Store
    access: Access
    sharing: EngineAccess
    bus: EventBus
    ways: tuple[WayToEngine, WayToEngine]

    def cut_off(self, *, away: bool = True) -> None:
        for each in self.ways:
            each.away = away

    async def roles(self) -> dict[str, str]:
        return {each.name: each.role for each in await self.access.users.all()}

    async def signs_in(self, name: str = "admin", password: str = PASSWORD) -> bool:
        user = await self.access.users.find(name)
        return user is not None and await self.access._passwords.matches(user.hash, password)

    async def begin(self, name: str = "admin") -> str:
        """The secret of a new session."""
        user = await self.access.users.one(name)
        return await self.access.sessions.start(user.id, HERE, "Browser", "password")

    async def is_in(self, secret: str) -> bool:
        return await self.access.sessions.of(secret, used=False) is not None

    async def may(self, secret: str) -> Role | None:
        """What a token may."""
        token = await self.access.tokens.of(secret, HERE)
        return None if token is None else Role(token.maker_role or "administrator")

    async def add(self, name: str, role: Role = Role.VIEWER, password: str | None = PASSWORD) -> None:
        await self.access.users.add(name, role, password)


@asynccontextmanager
async def machine(nats: Nats, folder: Path, secret: str = ONE, *, away: bool = False) -> AsyncIterator[Machine]:
    """``folder``: with what an earlier run has left there."""
    bus, cipher = EventBus(), Cipher(secret)
    ways = WayToEngine(nats.users, away), WayToEngine(nats.sessions, away)
    page = SharedPage(*(EngineSettings(way, cipher, cipher.hidden, "users") for way in ways))
    async with open_store(folder / "astergram.db") as store, guarded_tasks() as tasks:
        sharing = EngineAccess(store, page, bus)
        access = Access(store, bus, 7 * DAY_S, DAY_S, nats.clock, nats.clock, shared=sharing)
        access._passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        sharing.begin(tasks)
        yield Machine(store, access, sharing, bus, ways)


@asynccontextmanager
async def two(nats: Nats, folder: Path) -> AsyncIterator[tuple[Machine, Machine]]:
    """With an administrator who has a password."""
    async with machine(nats, folder / "a") as a:
        await set_password(a)
        async with machine(nats, folder / "b") as b:
            await soon(b.signs_in)
            yield a, b


async def set_password(of: Machine, name: str = "admin", password: str = PASSWORD) -> None:
    await of.access.users.set_password(await of.access.users.one(name), password)


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another machine has to hear of first."""
    async with asyncio.timeout(SOON_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(LOOK_S)


async def knows(of: Machine, *names: str) -> None:
    """Wait until there are these users, and no others."""

    async def does() -> bool:
        return set(await of.roles()) == set(names)

    await soon(does)


async def all_told(sender: Machine, receiver: Machine) -> None:
    """Wait until what one machine has told of so far has come to the other one."""
    name = f"marker-{sender.access._clock():.0f}"
    await sender.add(name, password=None)

    async def came() -> bool:
        return name in await receiver.roles()

    await soon(came)
    await sender.access.users.remove(name)

    async def gone() -> bool:
        return name not in await receiver.roles()

    await soon(gone)


# Who joins


async def test_an_administrator_without_a_password_replaces_nobody(tmp_path: Path) -> None:
    nats = Nats()
    async with machine(nats, tmp_path / "a") as a, machine(nats, tmp_path / "b") as b:
        await set_password(b)
        await soon(a.signs_in)
        async with machine(nats, tmp_path / "c") as c:
            await soon(c.signs_in)
        assert await b.signs_in()


async def test_what_the_others_have_counts_more_and_what_they_lack_they_get(tmp_path: Path) -> None:
    nats = Nats()
    async with machine(nats, tmp_path / "b", away=True) as b:
        b.cut_off(away=False)
        await b.add("boris")
        await set_password(b, password=OTHER)
    nats.users.lose_everything()
    async with machine(nats, tmp_path / "a") as a:
        await set_password(a)
        async with machine(nats, tmp_path / "b") as b:
            await soon(b.signs_in)
            await knows(a, "admin", "boris")
            assert await a.signs_in()


async def test_who_was_removed_while_a_machine_was_away_is_gone_there_too(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        await a.add("anna")
        await knows(b, "admin", "anna")
    async with machine(nats, tmp_path / "a") as a:
        await soon(a.signs_in)
        await all_told(a, a)
        await a.access.users.remove("anna")
        async with machine(nats, tmp_path / "b") as b:
            await knows(b, "admin")
            assert set(await a.roles()) == {"admin"}


async def test_what_a_machine_had_before_undoes_nothing(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        await a.add("anna", Role.OPERATOR)
        await knows(b, "admin", "anna")
        b.cut_off()
        await set_password(a, "anna", OTHER)
        for each in b.ways:
            each.away, each.tells = False, False  # it may write, and has not heard
        assert await b.access.sign_in("anna", PASSWORD, HERE), "with what it has"
        with pytest.raises(NotShared, match="Another machine has changed this"):
            await b.access.users.set_role("anna", Role.VIEWER)

        async def has_given_up() -> bool:
            return not b.sharing._unsent

        await soon(has_given_up)
        async with machine(nats, tmp_path / "c") as c:
            await knows(c, "admin", "anna")
            assert await c.signs_in("anna", OTHER)


async def test_there_is_always_an_administrator(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        await a.add("anna", Role.ADMINISTRATOR)
        await knows(b, "admin", "anna")
        for each in (*a.ways, *b.ways):
            each.tells = False
        await a.access.users.set_role("anna", Role.VIEWER)
        await b.access.users.set_role("admin", Role.VIEWER)  # of which neither has heard
        with pytest.raises(LastAdministratorKept):
            await a.access.users.remove("admin")
    with caplog.at_level(logging.ERROR):
        async with machine(nats, tmp_path / "a") as a:

            async def says_so() -> bool:
                return "user:admin stays as it is here" in caplog.text

            await soon(says_so)
            assert await a.roles() == {"admin": "administrator", "anna": "viewer"}


async def test_another_secret_makes_nobody_a_user(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b), machine(nats, tmp_path / "c", ANOTHER) as c:
        await c.add("mallory", Role.ADMINISTRATOR)
        await all_told(a, b)
        assert set(await a.roles()) == set(await b.roles()) == {"admin"}
        assert not await c.signs_in()


async def test_what_a_newer_version_tells_is_left_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nats, cipher = Nats(), Cipher(ONE)
    newer = EngineSettings(WayToEngine(nats.users), cipher, cipher.hidden)
    await newer.keep("user:zoe", '{"newer": 1}')
    with caplog.at_level(logging.ERROR):
        async with two(nats, tmp_path) as (_, b):
            assert set(await b.roles()) == {"admin"}
            with pytest.raises(NotShared):
                await b.add("zoe")
    assert "user:zoe stays as it is here" in caplog.text


async def test_nothing_is_done_that_is_not_told(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        a.cut_off()
        admin = Identity("session", Role.ADMINISTRATOR, name="admin", user_id=(await a.access.users.one("admin")).id)
        for change in (
            a.add("anna"),
            set_password(a, password=OTHER),
            a.access.tokens.make("CRM", "read", None, admin),
        ):
            with pytest.raises(NotShared, match="NATS has not answered"):
                await change
        with pytest.raises(UnknownUser):
            await a.access.users.set_role("anna", Role.OPERATOR)
        assert set(await a.roles()) == {"admin"}
        assert await a.signs_in()
        assert await a.access.tokens.all() == []
        a.cut_off(away=False)
        assert await b.signs_in()


async def test_a_token_of_a_machine_that_joins_is_its_namesakes(tmp_path: Path) -> None:
    """Each machine had an `admin` before it had to do with the other."""
    nats, elsewhere = Nats(), Nats()
    async with machine(elsewhere, tmp_path / "b") as b:
        await set_password(b, password=OTHER)
        admin = await b.access.users.one("admin")
        who = Identity("session", Role.ADMINISTRATOR, name="admin", user_id=admin.id)
        secret, _ = await b.access.tokens.make("CRM", "admin", None, who)
        session = await b.begin()
    async with two(nats, tmp_path) as (a, b):
        await all_told(b, a)
        assert await a.may(secret) is await b.may(secret) is Role.ADMINISTRATOR
        assert not await b.is_in(session)


# Names that were somebody else's


async def test_a_token_is_not_a_namesakes(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        await a.add("anna", Role.OPERATOR)
        anna = await a.access.users.one("anna")
        who = Identity("session", Role.OPERATOR, name="anna", user_id=anna.id)
        secret, _ = await a.access.tokens.make("CRM", "calls", None, who)
        session = await a.begin("anna")
        await soon(lambda: b.is_in(session))
        await all_told(a, b)
        assert await b.may(secret) is Role.OPERATOR
        await b.access.users.remove("anna")
        await b.add("anna", Role.ADMINISTRATOR)
        await all_told(b, a)
        async with machine(nats, tmp_path / "c") as c:
            await knows(c, "admin", "anna")
            await all_told(a, c)
            for each in (a, b, c):
                with pytest.raises(MakerRemoved):
                    await each.may(secret)
                assert not await each.is_in(session)


async def test_the_command_lines_tokens_are_nobodys(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        secret, _ = await a.access.tokens.make("CRM", "read", None, Identity("socket", Role.ADMINISTRATOR))
        await all_told(a, b)
        assert await b.may(secret) is Role.ADMINISTRATOR
        (kept,) = await b.access.tokens.all()
        assert (kept.name, kept.scope, kept.made_by, kept.made_by_id) == ("CRM", "read", "", None)


async def test_a_password_can_take_all_tokens_with_it(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        secrets = [
            (await a.access.tokens.make("CRM", "read", None, Identity("socket", Role.ADMINISTRATOR)))[0]
            for _ in range(2)
        ]
        await all_told(a, b)
        await b.access.users.set_password(await b.access.users.one("admin"), OTHER, revoke_tokens=True)
        await all_told(b, a)
        assert [await a.may(each) for each in secrets] == [None, None]


# Second factors


async def test_a_second_factor_is_the_same_and_each_code_works_once(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        admin, session = await a.access.users.one("admin"), await a.begin()
        totp = pyotp.TOTP(a.access.two_factor.offer(admin, digest(session)))
        codes = await a.access.two_factor.confirm(admin, digest(session), totp.at(int(nats.now)))
        await all_told(a, b)
        there = await b.access.users.one("admin")
        assert there.second_factor
        assert await b.access.two_factor.codes_left(there) == 10
        nats.now += 90
        code = totp.at(int(nats.now))
        await a.access.two_factor.check(await a.access.users.one("admin"), codes[0])
        await a.access.two_factor.check(await a.access.users.one("admin"), code)

        async def is_used_there() -> bool:
            return (await b.access.users.one("admin")).totp_last > there.totp_last

        await soon(is_used_there)
        for used in (code, codes[0]):
            with pytest.raises(WrongCode):
                await b.access.two_factor.check(await b.access.users.one("admin"), used)


async def test_codes_that_were_used_while_nats_was_away_are_used_up_everywhere(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        admin, session = await a.access.users.one("admin"), await a.begin()
        totp = pyotp.TOTP(a.access.two_factor.offer(admin, digest(session)))
        codes = await a.access.two_factor.confirm(admin, digest(session), totp.at(int(nats.now)))
        await all_told(a, b)
        a.cut_off()
        b.cut_off()
        await a.access.two_factor.check(await a.access.users.one("admin"), codes[0])
        await b.access.two_factor.check(await b.access.users.one("admin"), codes[1])
        await a.store.written()
        await b.store.written()
    async with machine(nats, tmp_path / "a") as a, machine(nats, tmp_path / "b") as b:  # neither remembers to tell
        for each in (a, b):

            async def has_eight(of: Machine = each) -> bool:
                return await of.access.two_factor.codes_left(await of.access.users.one("admin")) == 8

            await soon(has_eight)


async def test_passkeys_and_the_providers_subjects_are_the_same(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        await a.add("anna", password=None)
        anna = await a.access.users.one("anna")
        key = PasskeyRow(0, anna.id, "Laptop", "pbx.example.com", "c1", b"\x01\x02", 5, nats.now)
        await a.access.passkeys._kept.add(key, ["d1"], "")
        for each in (a, a):  # who comes again is told of once
            its = IdentityRepository(each.access.shared)
            await its.admit("https://id.example.com", "17", "anna", None, add_as=None, at=nats.now)
        await all_told(a, b)
        there = await b.access.users.one("anna")
        (shown,) = await b.access.passkeys.all(there)
        assert replace(shown, id=0, user_id=0) == replace(key, user_id=0)
        assert (there.passkeys, await b.access.users.by_oidc()) == (1, {there.id})
        assert await b.access._users.recovery_codes(there.id) == ["d1"]
        a.access.passkeys._kept.use("c1", 9, nats.now)
        a.access.signed_in(anna, HERE)

        async def has_counted() -> bool:
            (again,) = await b.access.passkeys.all(there)
            return (again.id, again.sign_count) == (shown.id, 9)

        await soon(has_counted)
        there = await b.access.users.one("anna")
        b.cut_off()
        its = IdentityRepository(b.access.shared)
        admitted = await its.admit("https://id.example.com", "17", "anna", None, add_as=None, at=nats.now)
        assert admitted.user == there, "without NATS"
        with pytest.raises(NotShared):
            await its.admit("https://id.example.com", "17", "anna", "operator", add_as=None, at=nats.now)


# Sessions


async def test_who_signs_out_while_nats_is_away_is_out_after_a_restart_too(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        session = await a.begin()
        await soon(lambda: b.is_in(session))
        a.cut_off()
        await a.access.sessions.end(digest(session))
        assert not await a.is_in(session)
    async with machine(nats, tmp_path / "b") as b, machine(nats, tmp_path / "a") as a:

        async def is_out() -> bool:
            return not await b.is_in(session)

        await soon(is_out)
        assert not await a.is_in(session)


async def test_a_session_that_is_used_on_one_machine_is_not_idle_on_the_other(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        session = await a.begin()
        await soon(lambda: b.is_in(session))
        nats.now += 0.7 * DAY_S
        assert await b.access.sessions.of(session, used=True)

        async def is_told() -> bool:
            (kept,) = await a.access.sessions.all((await a.access.users.one("admin")).id)
            return kept.seen_at > nats.now - 0.5 * DAY_S

        await soon(is_told)
        nats.now += 0.7 * DAY_S
        assert await a.is_in(session)


async def test_the_other_browsers_are_signed_out_on_all_machines_also_of_one_that_is_cut_off(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        b.cut_off()
        unheard_of = await b.begin()
        kept, other = await a.begin(), await a.begin()
        await a.access.sessions.end_others(await a.access.users.one("admin"), digest(kept))
    async with machine(nats, tmp_path / "a") as a, machine(nats, tmp_path / "b") as b:
        await soon(lambda: b.is_in(kept))

        async def is_out() -> bool:
            return not await b.is_in(unheard_of)

        await soon(is_out)
        for each in (a, b):
            assert not await each.is_in(other)
        assert await a.is_in(kept)
        assert not await a.is_in(unheard_of)


async def test_a_session_waits_for_its_user(tmp_path: Path) -> None:
    nats = Nats()
    async with machine(nats, tmp_path / "a") as a, machine(nats, tmp_path / "b", away=True) as b:
        await set_password(a)
        session = await a.begin()
        users, sessions = b.ways
        sessions.away = False

        async def has_heard() -> bool:
            return digest(session) in b.sharing._sessions._of_nobody

        await soon(has_heard)
        assert not await b.is_in(session)
        users.away = False
        await soon(lambda: b.is_in(session))


async def test_an_end_that_is_told_once_more_bothers_nobody(tmp_path: Path) -> None:
    nats = Nats()
    async with two(nats, tmp_path) as (a, b):
        session = await a.begin()
        await soon(lambda: b.is_in(session))
        with b.bus.subscribe() as changes:
            await a.access.sessions.end(digest(session))
            async with asyncio.timeout(SOON_S):
                await changes.get()
            for _ in range(2):
                await b.sharing._sessions.follow(digest(session), None)
            assert changes.empty()
