"""Lines as what a PBX asks for needs them: each finds whom it is told to, and keeps what it sends."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from ari_app.calls.registry import CallRegistry
from ari_app.pbx.services import PbxServices
from ari_app.tasks import GuardedTasks
from ari_app.telegram.errors import NotFound
from ari_app.telegram.line import LineState
from ari_app.telegram.peers import Callee, Destination, Person
from ari_app.telegram.profile import Callers
from ari_app.telegram.texts import MessageTemplates
from tests.unit.fake_telegram import PEER

SALES, SUPPORT = "+79990000001", "+79990000009"
PHONE = "+79990000002"
ANNA = Person(20, phone=PHONE, first_name='Анна "А"', last_name="Б\n", username="anna_b")


@dataclass
class PbxLine:
    """``answers`` are given to one question after another, the last one again and again."""

    number: str = SALES
    state: LineState = LineState.READY
    callers: Callers = Callers()  # noqa: RUF009 - frozen
    max_calls: int = 2
    frozen: str = ""
    pauses: dict[str, tuple[float, str]] = field(default_factory=dict)
    answers: list[Callee | Exception] = field(default_factory=lambda: [Callee(ANNA, PEER)])
    refusals: list[Exception] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    waits_for: asyncio.Event | None = None

    @property
    def templates(self) -> MessageTemplates:
        return MessageTemplates("Company", self.number, self.number, learnt=lambda person_id: "ru")

    @property
    def online(self) -> bool:
        return self.state is LineState.READY

    def destination(self, dialled: str) -> Destination:
        return Destination.parse(dialled)

    async def look_up(self, dialled: Destination, *, fresh: bool = False) -> Callee:
        self.asked.append((str(dialled), fresh))
        if self.waits_for:
            await self.waits_for.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, peer: Any, text: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(text)


class PbxCards:
    """Sends no card, but keeps for whom; ``error`` is raised in its place, ``let_go`` is waited for."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.let_go: asyncio.Event | None = None
        self.sent: list[tuple[str, int]] = []

    async def send_now(self, line: PbxLine, person: Person) -> None:
        if self.let_go:
            await self.let_go.wait()
        if self.error:
            raise self.error
        self.sent.append((line.number, person.id))


NOBODY_THERE = NotFound("Telegram refused contacts.resolvePhone: PHONE_NOT_OCCUPIED")


def services(
    tasks: GuardedTasks, *lines: PbxLine, cards: PbxCards | None = None, registry: CallRegistry | None = None
) -> PbxServices:
    """Of these lines."""
    by_number = {line.number: line for line in lines}
    return PbxServices(cast(Any, by_number), registry or CallRegistry(), cast(Any, cards or PbxCards()), tasks)
