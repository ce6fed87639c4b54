"""A call that is asked for: through which line, and with a key once only, also over a restart."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from ari_app.pbx.placing import CallPlacer, KeyInUse, KeyReused, NoContext, target_of
from ari_app.store.placed_calls import KEPT_S
from ari_app.store.store import Store, open_store
from ari_app.telegram.errors import NotReady
from ari_app.telegram.profile import CardRules, Target
from tests.unit.storage_trouble import locked

NOW = 1_790_000_000.0
PHONE = Target("101", "phones")
WAIT_S = 10.0


class Pbx:
    """Chooses a line, itself, and places calls, as far as a test lets it."""

    number = "+79990000001"

    def __init__(self, callback: str = "") -> None:
        self.card = CardRules(callback=Target.parse(callback))
        self.rung: list[Target] = []
        self.chosen: list[tuple[str | None, str]] = []
        self.placed: list[str] = []
        self.error: Exception | None = None
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.asked = asyncio.Event()

    def choose(self, number: str | None, caller: str) -> "Pbx":
        self.chosen.append((number, caller))
        return self

    async def click_to_call(self, line: Any, to: str, target: Target) -> str:
        self.asked.set()
        await self.may_begin.wait()
        if self.error:
            raise self.error
        self.placed.append(to)
        self.rung.append(target)
        return f"call {len(self.placed)}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened, asyncio.timeout(WAIT_S):
        yield opened


def placer(pbx: Pbx, store: Store, now: float = NOW) -> CallPlacer:
    return CallPlacer(cast(Any, pbx), cast(Any, pbx), store, lambda: now)


async def test_without_a_key_each_request_is_a_call(store: Store) -> None:
    pbx = Pbx()
    its = placer(pbx, store)
    assert [await its.place(None, "@anna", PHONE) for _ in range(2)] == ["call 1", "call 2"]
    assert pbx.chosen[0] == (None, "101"), "the line that is for this phone"


async def test_a_key_places_one_call_also_after_a_restart(store: Store) -> None:
    pbx = Pbx()
    its = placer(pbx, store)
    assert [await its.place(None, "@anna", PHONE, "1") for _ in range(2)] == ["call 1"] * 2
    assert await placer(pbx, store).place(None, "@anna", PHONE, "1") == "call 1"
    assert await its.place(None, "@anna", PHONE, "2") == "call 2"
    assert pbx.placed == ["@anna"] * 2


@pytest.mark.parametrize("other", [("+79990000001", "@anna", PHONE), (None, "@boris", PHONE)])
async def test_a_key_is_for_one_request(other: tuple[str | None, str, Target], store: Store) -> None:
    pbx = Pbx()
    its = placer(pbx, store)
    await its.place(None, "@anna", PHONE, "1")
    with pytest.raises(KeyReused):
        await its.place(*other, "1")
    assert len(pbx.placed) == 1


async def test_while_it_is_being_placed_nobody_places_it_again(store: Store) -> None:
    pbx = Pbx()
    pbx.may_begin.clear()
    its = placer(pbx, store)
    first = asyncio.create_task(its.place(None, "@anna", PHONE, "1"))
    await pbx.asked.wait()
    with pytest.raises(KeyInUse, match="in a moment"):
        await its.place(None, "@anna", PHONE, "1")
    pbx.may_begin.set()
    assert await first == await its.place(None, "@anna", PHONE, "1") == "call 1"


async def test_what_a_kill_has_left_open_is_not_placed_again(store: Store) -> None:
    """Whether it was placed is not known."""
    pbx = Pbx()
    pbx.may_begin.clear()
    first = asyncio.create_task(placer(pbx, store).place(None, "@anna", PHONE, "1"))
    await pbx.asked.wait()
    first.cancel()
    await asyncio.wait({first})
    pbx.may_begin.set()
    with pytest.raises(KeyInUse, match="was stopped"):
        await placer(pbx, store).place(None, "@anna", PHONE, "1")
    assert pbx.placed == []


async def test_a_call_that_was_refused_may_be_asked_for_again(store: Store) -> None:
    pbx = Pbx()
    its = placer(pbx, store)
    pbx.error = NotReady("no line is connected to Telegram")
    with pytest.raises(NotReady):
        await its.place(None, "@anna", PHONE, "1")
    pbx.error = None
    assert await its.place(None, "@anna", PHONE, "1") == "call 1"


async def test_a_key_is_forgotten_after_a_week(store: Store) -> None:
    pbx = Pbx()
    await placer(pbx, store).place(None, "@anna", PHONE, "1")
    await placer(pbx, store, NOW + KEPT_S + 1).place(None, "@boris", PHONE, "1")
    assert pbx.placed == ["@anna", "@boris"]


async def test_without_a_database_a_call_is_placed_if_it_has_no_key(tmp_path: Path) -> None:
    path = tmp_path / "astergram.db"
    pbx = Pbx()
    async with open_store(path) as store, locked(store, path), asyncio.timeout(WAIT_S):
        assert await placer(pbx, store).place(None, "@anna", PHONE) == "call 1"


async def test_a_phone_alone_is_rung_in_the_context_of_the_lines_call_backs(store: Store) -> None:
    pbx = Pbx("600@queues")
    its = placer(pbx, store)
    assert await its.place(None, "@anna", Target("101")) == "call 1"
    assert (pbx.rung, pbx.chosen) == ([Target("101", "queues")], [(None, "101")])


async def test_a_phone_alone_of_a_line_without_such_a_context(store: Store) -> None:
    pbx = Pbx()
    its = placer(pbx, store)
    with pytest.raises(NoContext, match=r"line \+79990000001 has none: enter 101@ and .* PJSIP/101"):
        await its.place(None, "@anna", Target("101"), "1")
    assert pbx.placed == []
    pbx.card = CardRules(callback=Target("605", "phones"))
    assert await its.place(None, "@anna", Target("101"), "1") == "call 1", "its key is free again"
    assert pbx.rung == [PHONE]


@pytest.mark.parametrize("callback", ["", "600@queues"])
async def test_an_endpoint_is_rung_as_it_is(callback: str, store: Store) -> None:
    pbx = Pbx(callback)
    await placer(pbx, store).place(None, "@anna", Target("PJSIP/101"))
    assert (pbx.rung, pbx.chosen) == ([Target("PJSIP/101")], [(None, "101")])


NO_PHONES = (
    "",
    "@phones",
    "101@",
    "101@pho nes",
    "1/n@phones",
    "101@phones,1",
    "1 01",
    "101&102",
    "101/n",
    "Local/101@phones",
    "PJSIP/101@phones",
    "PJSIP/trunk/sip:1@192.0.2.1",
    "PJSIP/101&PJSIP/102",
    "PJSIP/",
    "pjsip/101",
    "UnicastRTP/192.0.2.1:4000",
    "AudioSocket/192.0.2.1:4000",
)


@pytest.mark.parametrize("text", NO_PHONES)
def test_what_is_no_phone(text: str) -> None:
    assert target_of(text) is None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("101@phones", PHONE),
        ("101", Target("101")),
        ("PJSIP/101", Target("PJSIP/101")),
        ("SIP/anna-desk", Target("SIP/anna-desk")),
        ("DAHDI/1", Target("DAHDI/1")),
    ],
)
def test_what_is_a_phone(text: str, target: Target) -> None:
    assert target_of(text) == target
    assert str(target) == text
