"""Puts the table of operations to work."""

import asyncio
import functools
import json
from collections.abc import Iterable

from aiohttp import web

from ari_app.web.http.openapi import document
from ari_app.web.http.operation import Operation
from ari_app.web.http.roles import RouteRoles


def mount(app: web.Application, operations: Iterable[Operation], roles: RouteRoles) -> None:
    """Serve the operations, and the document that describes them."""
    operations = tuple(operations)

    @functools.cache
    def described() -> str:  # when it is first asked for: it takes as long as all else of a start
        return json.dumps(document(operations, roles))

    async def openapi(request: web.Request) -> web.Response:
        return web.json_response(text=await asyncio.to_thread(described))

    for operation in operations:
        app.router.add_route(operation.method, operation.path, operation.handle)
    app.router.add_route("GET", "/api/openapi.json", openapi)
