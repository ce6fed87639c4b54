"""What connects an Asterisk with this installation, to copy; beside it what the doctor has found."""

from aiohttp import web

from ari_app.doctor import TITLES, Finding, Topic
from ari_app.doctor.connect import snippets
from ari_app.doctor.dialplan import Flavour
from ari_app.i18n import message
from ari_app.web.connect.checkup import Examined, checkup_of
from ari_app.web.http.context import services
from ari_app.web.http.errors import is_htmx
from ari_app.web.http.flash import flash
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

FLAVOURS = {Flavour.VANILLA: "Asterisk", Flavour.FREEPBX: "FreePBX", Flavour.MIKOPBX: "MikoPBX"}
BESIDE: dict[str, tuple[Topic, ...]] = {
    "http.conf": (Topic.ARI,),
    "manager.conf": (Topic.AMI,),
    "manager_custom.conf": (Topic.AMI,),
    "System → AMI Access": (Topic.AMI,),
    "Settings → Asterisk REST Interface Users": (Topic.ARI,),
    "System → ARI Access": (Topic.ARI,),
    "modules.conf": (Topic.MODULES,),
    "extensions.conf": (Topic.DIALPLAN,),
    "extensions_custom.conf": (Topic.DIALPLAN,),
}
"""Which findings stand beside which lines to copy; all others have a place of their own."""


@routes.get("/connect")
async def connect(request: web.Request) -> web.StreamResponse:
    """For a plain Asterisk."""
    return await _page(request, Flavour.VANILLA, checkup_of(request).recent)


@routes.get("/connect/{flavour:vanilla|freepbx|mikopbx}")
async def connect_to(request: web.Request) -> web.StreamResponse:
    """For one kind of Asterisk."""
    return await _page(request, Flavour(request.match_info["flavour"]), checkup_of(request).recent)


@routes.get("/connect/{flavour:vanilla|freepbx|mikopbx}/findings")
async def findings(request: web.Request) -> web.StreamResponse:
    """What the doctor has found, as soon as it has; each topic goes to its place on the page."""
    examined = await checkup_of(request).examined()
    return await _page(request, Flavour(request.match_info["flavour"]), examined, "connect/findings.html")


@routes.get("/connect/api")
async def api(request: web.Request) -> web.StreamResponse:
    """The description of the API, for people."""
    return render(request, "connect/api.html")


@routes.post("/connect/{flavour:vanilla|freepbx|mikopbx}/examine")
async def examine(request: web.Request) -> web.StreamResponse:
    """Send for the doctor again."""
    flavour = Flavour(request.match_info["flavour"])
    examined = await checkup_of(request).examined(anew=True)
    if is_htmx(request):
        return await _page(request, flavour, examined, "connect/findings.html")
    flash(request, message("Diagnostics are done."))
    raise web.HTTPSeeOther(f"/connect/{flavour.value}")


async def _page(
    request: web.Request, flavour: Flavour, examined: Examined | None, template: str = "connect/index.html"
) -> web.StreamResponse:
    pieces = snippets(flavour, services(request).doctor.surroundings())
    beside = {piece.file: BESIDE.get(piece.file, ()) for piece in pieces}
    placed = {topic for topics in beside.values() for topic in topics}
    by_topic: dict[Topic, list[Finding]] = {}
    for finding in examined.findings if examined else ():
        by_topic.setdefault(finding.topic, []).append(finding)
    return render(
        request,
        template,
        flavour=flavour,
        flavours=[(f"/connect/{each}", name) for each, name in FLAVOURS.items()],
        pieces=pieces,
        beside=beside,
        placed=[topic for topic in Topic if topic in placed],
        elsewhere=[topic for topic in Topic if topic not in placed],
        titles=TITLES,
        by_topic=by_topic,
        examined=examined,
    )
