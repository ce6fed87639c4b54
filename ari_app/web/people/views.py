"""What page and API have in common about a person."""

from aiohttp import web

from ari_app.people.people import Summary
from ari_app.web.http.context import services
from ari_app.web.http.files import JSON, file_answer
from ari_app.web.http.notes import notes_of

LONGEST_REFERENCE = 100


async def export_answer(request: web.Request, person: str) -> web.StreamResponse:
    """Answer with all that is kept of somebody. Raises as `People.who`."""
    its = services(request)
    who = await its.people.who(person)
    notes_of(request).subject = who.key
    return await file_answer(request, f"person-{who.key}.json", its.people.export(who, its.zone), JSON)


def note_erasure(request: web.Request, erased: Summary, reference: str) -> None:
    """For the audit log: how much of what was erased, and by which request; of whom, nothing."""
    notes = notes_of(request)
    notes.subject = erased.who.without(reference, names=True)
    notes.changes |= {kind: (count, 0) for kind, count in erased.kept.items() if count}
