"""The machines of a cluster on the overview, moving a line to another one, and forgetting one that is gone."""

from typing import Any

from aiohttp import web

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.control import ForgetRefused, MoveRefused
from ari_app.i18n import message
from ari_app.lines.settings import NoSuchLine
from ari_app.web.calls.views import line_names
from ari_app.web.http.context import services
from ari_app.web.http.flash import flash
from ari_app.web.http.notes import notes_of
from ari_app.web.ui import words
from ari_app.web.ui.render import render

routes = web.RouteTableDef()


def machines(request: web.Request) -> dict[str, Any]:
    """For `cluster/machines.html`; `cluster` is None where there is no other one."""
    its = services(request)
    choices = [(member.machine, member.machine) for member, _, _ in its.cluster.machines()] if its.cluster else []
    return {"cluster": its.cluster, "names": line_names(its.lines), "machine_choices": choices}


@routes.get("/overview/cluster")
async def cluster(request: web.Request) -> web.StreamResponse:
    """The part with the machines."""
    return render(request, "cluster/machines.html", **machines(request))


@routes.get("/overview/elsewhere")
async def elsewhere(request: web.Request) -> web.StreamResponse:
    """The part with the calls that other machines carry now; they are asked for them."""
    its = services(request)
    found = await its.cluster_calls.elsewhere() if its.cluster_calls else []
    calls = [(each.machine, call) for each in found for call in each.calls or ()]
    silent = [each.machine for each in found if each.calls is None]
    values: dict[str, Any] = {"calls": calls, "silent": silent, "names": line_names(its.lines), "words": words}
    return render(request, "cluster/calls.html", **values)


@routes.post("/cluster/hangup")
async def hang_up(request: web.Request) -> web.StreamResponse:
    """End a call of another machine."""
    given = await request.post()
    machine, call_id = str(given.get("machine", "")), str(given.get("id", ""))
    its = services(request)
    if its.cluster_calls is None:
        raise web.HTTPNotFound
    notes = notes_of(request)
    notes.subject = f"{call_id} {machine}"
    try:
        ended = await its.cluster_calls.hang_up(machine, call_id)
    except EngineAway as error:
        notes.failed = True
        said = message("Machine {machine} does not answer: {error}.", machine=machine, error=str(error))
        flash(request, said, "failed")
    else:
        notes.failed = not ended
        said = message("The call is being ended.") if ended else message("The call was over already.")
        flash(request, said, "done" if ended else "failed")
    raise web.HTTPSeeOther("/")


@routes.post("/cluster/move")
async def move(request: web.Request) -> web.StreamResponse:
    """Have another machine hold a line."""
    given = await request.post()
    line, machine = str(given.get("line", "")), str(given.get("machine", ""))
    its = services(request)
    if its.cluster is None:
        raise web.HTTPNotFound
    notes_of(request).subject = f"{line} {machine}"
    try:
        its.lines.settings(line)
        await its.cluster.move(line, machine)
    except (NoSuchLine, MoveRefused) as error:
        flash(request, error.sentence, "failed")
    else:
        flash(request, message("Machine {machine} acts for line {line} now.", machine=machine, line=line))
    raise web.HTTPSeeOther("/")


@routes.post("/cluster/forget")
async def forget(request: web.Request) -> web.StreamResponse:
    """Have all machines know one no more that is gone for good."""
    machine = str((await request.post()).get("machine", ""))
    its = services(request)
    if its.cluster is None:
        raise web.HTTPNotFound
    notes = notes_of(request)
    notes.subject = machine
    try:
        await its.cluster.forget(machine)
    except ForgetRefused as error:
        notes.failed = True
        flash(request, error.sentence, "failed")
    else:
        flash(request, message("Machine {machine} is forgotten.", machine=machine))
    raise web.HTTPSeeOther("/")
