"""Who takes part in a chaos run: lines, people who call, and people who write."""

from __future__ import annotations

from typing import Any

from telethon.tl import functions

from ari_app.sandbox.person import Person
from ari_app.sandbox.stage import LINE

OTHER_LINE, UNANSWERED_LINE = "+79990000008", "+79990000009"
ANSWERED_LINES = (LINE, OTHER_LINE)
CALLERS = {f"+799900000{number}": f"Caller {number}" for number in range(11, 23)}
"""More than call at once, so that each has time between two calls: what a machine tells late is of the last one."""
WRITERS = {f"+799900000{number}": f"Writer {number}" for number in range(31, 35)}
CALLS_AT_ONCE = 3
AUTO_ANSWER, CARD = "Do call us!", "You have called us."

DIALPLAN = """\
[answers]
exten => _X.,1,Ringing()
 same => n,Wait(2)
 same => n,Answer()
 same => n,Echo()
[rings]
exten => _X.,1,Ringing()
 same => n,Wait(60)
"""
_TEXTS = {"auto_answer": AUTO_ANSWER, "card": CARD}
LINES: tuple[dict[str, Any], ...] = (
    *({"number": number, "context": "answers", "max_calls": 10, "texts": {"en": _TEXTS}} for number in ANSWERED_LINES),
    {
        "number": UNANSWERED_LINE, "context": "rings", "max_calls": 10, "texts": {"en": _TEXTS},
        "card": {"missed": True, "card_every_s": 0},
    },
)  # fmt: skip


async def chat(person: Person, line: str, after: int = 0) -> list[Any]:
    """All messages of the line's to somebody that came after the one with this id, the oldest first."""
    found = await person.client(functions.contacts.ResolvePhoneRequest(line))
    messages = await person.client.get_messages(found.users[0], limit=None, min_id=after)
    return [each for each in reversed(messages) if each.message and not each.out]


async def write(person: Person, line: str, text: str) -> int:
    """Write to a line; the message's id."""
    found = await person.client(functions.contacts.ResolvePhoneRequest(line))
    message: Any = await person.client.send_message(found.users[0], text)
    return int(message.id)
