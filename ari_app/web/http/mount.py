"""Puts the table of operations to work."""

from collections.abc import Iterable

from aiohttp import web

from ari_app.web.http.openapi import document
from ari_app.web.http.operation import Operation
from ari_app.web.http.roles import RouteRoles


def mount(app: web.Application, operations: Iterable[Operation], roles: RouteRoles) -> None:
    """Serve the operations, and the document that describes them."""
    operations = tuple(operations)
    described = document(operations, roles)

    async def openapi(request: web.Request) -> web.Response:
        return web.json_response(described)

    for operation in operations:
        app.router.add_route(operation.method, operation.path, operation.handle)
    app.router.add_route("GET", "/api/openapi.json", openapi)
