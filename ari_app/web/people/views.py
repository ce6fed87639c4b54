"""What page and API have in common about a person."""

from aiohttp import web

from ari_app.people.errors import NotErased
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


async def erase(request: web.Request, person: str, reference: str) -> Summary:
    """Erase what is kept of somebody, and have the audit log tell, also of a part. Raises as `People.erase`."""
    try:
        erased = await services(request).people.erase(person)
    except NotErased as refused:
        if refused.erased:
            _note(request, refused.erased, reference)
            notes_of(request).changes["error"] = ("", str(refused))
            notes_of(request).begun = True
        raise
    _note(request, erased, reference)
    return erased


def _note(request: web.Request, erased: Summary, reference: str) -> None:
    """How much of what was erased, and by which request; of whom, nothing."""
    notes = notes_of(request)
    notes.subject = erased.who.without(reference, names=True)
    notes.changes |= {kind: (count, 0) for kind, count in erased.kept.items() if count}
