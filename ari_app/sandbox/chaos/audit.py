"""Holds all that a chaos run has made against the histories of the machines, and the chats of those who called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ari_app.sandbox.chaos.cast import CARD, LINES, UNANSWERED_LINE, chat
from ari_app.sandbox.chaos.machine import SILENT, History, Machine
from ari_app.sandbox.chaos.report import Report
from ari_app.sandbox.chaos.rules import Made, judged
from ari_app.sandbox.person import Person
from ari_app.sandbox.soak.cast import is_keypad
from ari_app.sandbox.soak.soak import persists

AGREED_S = 60.0  # from the end of all calls until every machine has the same history
HIDDEN_S = 30.0  # until no keypad is shown any more
TOLD_MOST = 5  # calls that differ
SLACK_S = 1.0  # two clocks of one machine, and Telegram's whole seconds


async def audit(report: Report, machines: Sequence[Machine], callers: Sequence[Person], began_at: float) -> None:
    """Judge all calls, once the last one is over; what is wrong goes into the report. ``began_at``: of the run."""
    rows = await _agreed(report, machines, began_at)
    report.rows = Counter(row["status"] or "no end" for row in rows.values())
    for row in rows.values():
        its = (each for each in report.made if each.person_id == row["person_id"])
        if call_of := _last_before(its, row["began_at"]):
            call_of.rows.append(row)
        else:
            report.wrong.append(f"nobody made the call {row}")
    for call in report.made:  # a machine may hear late of it, and has to do with it until then
        over_at = max([call.ended_at, *(row["ended_at"] or 0.0 for row in call.rows)])
        call.hit = [each for each in report.struck if each.hits(call.began_at, over_at)]
    for person in callers:
        for message in await chat(person, UNANSWERED_LINE):
            its = (each for each in report.made if each.caller == person.phone and each.gives_up)
            if message.message == CARD and (call_of := _last_before(its, message.date.timestamp())):
                call_of.cards += 1
    for caller, shown_at in report.shown:
        if call_of := _last_before((each for each in report.made if each.caller == caller), shown_at):
            call_of.keypads += 1
    for call in report.made:
        report.wrong += judged(call)

    async def keypads() -> int:
        chats = [await chat(person, line["number"]) for person in callers for line in LINES]
        return sum(is_keypad(message) for messages in chats for message in messages)

    if left := await persists(keypads, HIDDEN_S):
        report.wrong.append(f"{left} keypads are shown after all calls are over")


def _last_before(calls: Iterable[Made], at: float) -> Made | None:
    return max((each for each in calls if each.began_at - SLACK_S <= at), key=lambda each: each.began_at, default=None)


async def _agreed(report: Report, machines: Sequence[Machine], since: float) -> History:
    """Wait until all have the same history: all that any of them has."""
    histories: list[History] = []

    async def differ() -> str:
        nonlocal histories
        try:
            histories = [await each.history(since) for each in machines]
        except SILENT as error:
            return f"a machine does not answer: {error!r}"
        return difference(machines, histories)

    if different := await persists(differ, AGREED_S):
        report.wrong.append(f"the histories do not agree after {AGREED_S:g} s: {different}")
    return {id: row for history in histories for id, row in history.items()}


def difference(machines: Sequence[Machine], histories: Sequence[History]) -> str:
    """What some machine has, and another one has otherwise, or not, or without its end; empty where nothing is."""
    known: dict[str, set[tuple[str, str | None]]] = {}
    for history in histories:
        for id, row in history.items():
            known.setdefault(id, set()).add((row["machine"], row["status"]))
    unlike = [
        id
        for id, said in known.items()
        if len(said) > 1 or any(status is None for _, status in said) or not all(id in each for each in histories)
    ]
    told = [
        f"{id}: "
        + ", ".join(
            f"{machine.name} has {history[id]['status']} on {history[id]['machine']}"
            if id in history
            else f"{machine.name} lacks it"
            for machine, history in zip(machines, histories, strict=True)
        )
        for id in unlike[:TOLD_MOST]
    ]
    return f"{len(unlike)} calls: {'; '.join(told)}" if unlike else ""
