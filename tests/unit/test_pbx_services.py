"""What a PBX asks for without a call: through which line, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from telethon import errors

from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry
from ari_app.pbx.services import LineCondition, LineFacts, MalformedText
from ari_app.tasks import FAILURES, GuardedTasks, guarded_tasks
from ari_app.telegram.buttons import MaybeSent
from ari_app.telegram.errors import (
    Frozen,
    Limited,
    NotFound,
    NotReady,
    Restricted,
    TelegramError,
    Unreachable,
    from_rpc,
)
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import LineState
from ari_app.telegram.peers import Callee, MalformedDestination
from ari_app.telegram.profile import Callers
from tests.unit.fake_telegram import PEER
from tests.unit.pbx_lines import ANNA, NOBODY_THERE, PHONE, SALES, SUPPORT, PbxCards, PbxLine, services

WAIT_S = 10.0
SEND = "messages.sendMessage"


@pytest.fixture
async def tasks() -> AsyncIterator[GuardedTasks]:
    async with asyncio.timeout(WAIT_S), guarded_tasks() as made:
        yield made


async def test_who_is_found(tasks: GuardedTasks) -> None:
    found = await services(tasks, PbxLine()).find(None, PHONE)
    assert (found.id, found.language) == (ANNA.id, "ru")


@pytest.mark.parametrize(
    ("named", "caller", "through"),
    [
        (None, "", SUPPORT),
        (None, "101", SALES),
        (None, "999", SUPPORT),
        (SALES, "", SALES),
        (SALES, "999", SALES),
    ],
)
async def test_through_which_line(tasks: GuardedTasks, named: str | None, caller: str, through: str) -> None:
    sales = PbxLine(SALES, callers=Callers(frozenset({"101"})))
    support = PbxLine(SUPPORT, callers=Callers(default=True))
    await services(tasks, sales, support).send(named, PHONE, "Hello", caller)
    assert {line.number for line in (sales, support) if line.sent} == {through}


async def test_the_least_busy_line(tasks: GuardedTasks) -> None:
    registry, sales, support = CallRegistry(), PbxLine(SALES), PbxLine(SUPPORT)
    async with registry.admit(Direction.IN, SALES, "x", 2):
        await services(tasks, sales, support, registry=registry).send(None, PHONE, "Hello")
    assert (sales.sent, support.sent) == ([], ["Hello"])


async def test_a_line_that_is_not_connected_is_passed_over(tasks: GuardedTasks) -> None:
    away, there = PbxLine(SALES, LineState.CONNECTING, Callers(default=True)), PbxLine(SUPPORT)
    assert (await services(tasks, away, there).find(None, PHONE)).id == ANNA.id
    assert away.asked == []
    with pytest.raises(NotReady, match="no line is connected"):
        await services(tasks, away).find(None, PHONE)
    with pytest.raises(NotReady, match="there is no line"):
        await services(tasks, there).find("+79990000077", PHONE)


@pytest.mark.parametrize("refusal", [Limited("wait", 30), Frozen("frozen")], ids=repr)
async def test_a_line_that_telegram_limits_hands_on(tasks: GuardedTasks, refusal: Limited) -> None:
    limited, other = PbxLine(SALES, callers=Callers(default=True), answers=[refusal]), PbxLine(SUPPORT)
    await services(tasks, limited, other).send(None, PHONE, "Hello")
    assert other.sent == ["Hello"]
    with pytest.raises(Limited) as raised:
        await services(tasks, limited, PbxLine(SUPPORT, answers=[Limited("wait longer", 60)])).find(None, PHONE)
    assert raised.value is refusal
    with pytest.raises(Limited):
        await services(tasks, limited, other).find(SALES, PHONE)


@pytest.mark.parametrize("refusal", [NOBODY_THERE, Restricted("in the deny list"), Unreachable("no answer")], ids=repr)
async def test_what_one_line_says_is_the_answer(tasks: GuardedTasks, refusal: TelegramError) -> None:
    first, second = PbxLine(SALES, callers=Callers(default=True), answers=[refusal]), PbxLine(SUPPORT)
    for ask in (
        services(tasks, first, second).find(None, PHONE),
        services(tasks, first, second).send(None, PHONE, "Hello"),
        services(tasks, first, second).send_card(None, PHONE),
    ):
        with pytest.raises(TelegramError) as raised:
            await ask
        assert raised.value is refusal
    assert second.asked == []


async def test_what_can_not_be_dialled(tasks: GuardedTasks) -> None:
    line = PbxLine()
    for to in ("", "+7", "anna", PHONE + ",x"):
        with pytest.raises(MalformedDestination):
            await services(tasks, line).find(None, to)
    assert line.asked == []


@pytest.mark.parametrize("text", ["", "  ", "\n", "x" * 4097])
async def test_what_can_not_be_sent(tasks: GuardedTasks, text: str) -> None:
    line = PbxLine()
    with pytest.raises(MalformedText):
        await services(tasks, line).send(None, PHONE, text)
    assert (line.asked, line.sent) == ([], [])


def refused(error: errors.RPCError) -> TelegramError:
    """As `translated` raises it."""
    raised = from_rpc(SEND, error)
    raised.__cause__ = error
    return raised


async def test_somebody_who_is_not_there_any_more_is_looked_up_again(tasks: GuardedTasks) -> None:
    line = PbxLine(
        answers=[Callee(ANNA, PEER, cached=True), Callee(ANNA, PEER)],
        refusals=[refused(errors.UserIdInvalidError(None))],
    )
    await services(tasks, line).send(None, PHONE, "Hello")
    assert (line.asked, line.sent) == ([(PHONE, False), (PHONE, True)], ["Hello"])
    line = PbxLine(refusals=[refused(errors.UserIdInvalidError(None))])
    with pytest.raises(NotFound):
        await services(tasks, line).send(None, PHONE, "Hello")
    assert line.asked == [(PHONE, False)]


@pytest.mark.parametrize(
    ("error", "may_have_been_sent"),
    [
        (refused(errors.UserPrivacyRestrictedError(None)), False),
        (refused(errors.PeerFloodError(None)), False),
        (Limited("backs off", 30), False),
        (NotReady("connecting"), False),
        (Unreachable("no answer in time"), True),
        (refused(errors.RpcCallFailError(None)), True),
        (refused(errors.ServerError(None, "oops", 500)), True),
    ],
    ids=repr,
)
async def test_whether_a_text_may_have_been_sent(
    tasks: GuardedTasks, error: TelegramError, may_have_been_sent: bool
) -> None:
    with pytest.raises(TelegramError) as raised:
        await services(tasks, PbxLine(refusals=[error])).send(None, PHONE, "Hello")
    assert isinstance(raised.value, MaybeSent) is may_have_been_sent
    assert may_have_been_sent or raised.value is error


async def test_a_card(tasks: GuardedTasks) -> None:
    cards = PbxCards()
    await services(tasks, PbxLine(), cards=cards).send_card(None, PHONE)
    assert cards.sent == [(SALES, ANNA.id)]
    cards.error = Limited("a short time ago", 30)
    with pytest.raises(Limited):
        await services(tasks, PbxLine(), cards=cards).send_card(None, PHONE)


async def test_a_card_that_an_unexpected_error_keeps_from_being_sent(tasks: GuardedTasks) -> None:
    cards = PbxCards()
    cards.error = OSError("no room")
    with pytest.raises(TelegramError, match="see the log"):
        await services(tasks, PbxLine(), cards=cards).send_card(None, PHONE)
    assert FAILURES.count == 1


async def test_a_card_is_sent_to_its_end_though_nobody_waits_for_it() -> None:
    cards = PbxCards()
    cards.let_go = asyncio.Event()
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(guarded_tasks())
        asking = asyncio.create_task(services(tasks, PbxLine(), cards=cards).send_card(None, PHONE))
        for _ in range(5):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        cards.let_go.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert cards.sent == [(SALES, ANNA.id)]


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        (PbxLine(), LineFacts(LineCondition.ONLINE, 2, 0.0)),
        (PbxLine(state=LineState.CONNECTING), LineFacts(LineCondition.CONNECTING, 0, 0.0)),
        (PbxLine(state=LineState.SIGNED_OUT), LineFacts(LineCondition.SIGNED_OUT, 0, 0.0)),
        (PbxLine(pauses={CALL: (89.4, "FLOOD_WAIT_60")}), LineFacts(LineCondition.ONLINE, 2, 89.4)),
        (PbxLine(pauses={SEND: (89.4, "FLOOD_WAIT_60")}), LineFacts(LineCondition.ONLINE, 2, 0.0)),
        (
            PbxLine(frozen="FROZEN_X", pauses={CALL: (60.0, "FROZEN_X")}),
            LineFacts(LineCondition.FROZEN, 2, 60.0),
        ),
    ],
)
async def test_how_a_line_is(tasks: GuardedTasks, line: PbxLine, facts: LineFacts) -> None:
    assert services(tasks, line).line(SALES) == facts
    assert services(tasks, line).line(SUPPORT) is None


async def test_the_calls_that_a_line_has_room_for(tasks: GuardedTasks) -> None:
    registry, line = CallRegistry(), PbxLine()
    asked = services(tasks, line, registry=registry)
    async with registry.admit(Direction.IN, SALES, "x", 2), registry.admit(Direction.IN, SALES, "y", 2):
        facts = asked.line(SALES)
        assert facts
        assert facts.free_calls == 0
        registry.admission.capacity.limits = AdmissionLimits(max_calls=9)
        assert asked.line(SALES) == facts
        line.max_calls = 8
        registry.admission.capacity.limits = AdmissionLimits(max_calls=3)
        assert asked.line(SALES) == replace(facts, free_calls=1), "of all lines together"
        line.max_calls = 1  # has been lowered meanwhile
        assert asked.line(SALES) == facts
