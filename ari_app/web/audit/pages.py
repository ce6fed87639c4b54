"""The audit log, for an administrator."""

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.store.audit import AuditQuery
from ari_app.web.audit.actions import ACTIONS
from ari_app.web.audit.filter import AuditFilter
from ari_app.web.http.context import services
from ari_app.web.http.errors import is_htmx
from ari_app.web.http.files import CSV, file_answer
from ari_app.web.ui.render import render, translator_of

routes = web.RouteTableDef()

ON_A_PAGE = 50
KIND_NAMES: dict[str, Message] = {
    "user": message("User"),
    "token": message("API token"),
    "command line": message("Command line"),
    "AMI": message("AMI request"),
    "FastAGI": message("FastAGI script"),
    "visitor": message("Not signed in"),
    "program": message("By itself"),
}


@routes.get("/audit")
async def audit(request: web.Request) -> web.StreamResponse:
    """A page of it; to htmx, without what is around it."""
    chosen, its, translate = AuditFilter.of(request.query), services(request), translator_of(request)
    found = await its.audit.find(chosen.query(its.zone), (chosen.page - 1) * ON_A_PAGE, ON_A_PAGE)
    page = render(
        request,
        "audit/found.html" if is_htmx(request) else "audit/index.html",
        chosen=chosen,
        found=found,
        pages=-(-found.total // ON_A_PAGE),
        actions=sorted(((name, translate(said)) for name, said in ACTIONS.items()), key=lambda each: each[1]),
        kinds=[(name, translate(said)) for name, said in KIND_NAMES.items()],
        words=ACTIONS,
        kind_names=KIND_NAMES,
    )
    if is_htmx(request):
        page.headers["HX-Push-Url"] = chosen.address("/audit")
    return page


@routes.get("/audit.csv")
async def export(request: web.Request) -> web.StreamResponse:
    """All entries that fit, as CSV."""
    return await csv_answer(request, AuditFilter.of(request.query).query(services(request).zone))


async def csv_answer(request: web.Request, query: AuditQuery) -> web.StreamResponse:
    """Answer with all entries that fit, as they are read."""
    its = services(request)
    return await file_answer(request, "audit.csv", its.audit.export_csv(query, its.zone), CSV)
