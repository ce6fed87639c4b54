"""The machines of a cluster on the overview, and moving a line to another one."""

from typing import Any

from aiohttp import web

from ari_app.cluster.control import MoveRefused
from ari_app.i18n import message
from ari_app.lines.settings import NoSuchLine
from ari_app.web.calls.views import line_names
from ari_app.web.http.context import services
from ari_app.web.http.flash import flash
from ari_app.web.http.notes import notes_of
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
