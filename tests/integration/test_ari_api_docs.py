"""Every request that the ARI client can make is one that a running Asterisk documents.

Complete by construction: each public method of each resource class is called, with all of its parameters and with only
the required ones, against a server that records. So a method with a path or a parameter unknown to Asterisk fails.
"""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from ari_app.asterisk import resources
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriFailed
from ari_app.sandbox.asterisk import PrivateAsterisk

from .ari_helpers import WAIT_S, connected


@dataclass(frozen=True)
class Recorded:
    method: str
    path: str
    query: frozenset[str]
    body: frozenset[str]


@asynccontextmanager
async def recorder(records: asyncio.Queue[Recorded]) -> AsyncIterator[str]:
    async def record(request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        path = request.path.removeprefix("/ari")
        records.put_nowait(Recorded(request.method, path, frozenset(request.query), frozenset(body)))
        return web.json_response({"message": "recorded"}, status=500)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/ari"
    finally:
        await runner.cleanup()


def sample(annotation: Any) -> Any:
    """A value for a parameter of this type."""
    choices = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return choices[0]
    if choices and type(None) in choices:
        return sample(choices[0])
    if typing.get_origin(annotation) in (Mapping, typing.get_origin(Mapping[str, str])):
        return {"NAME": "value"}
    return {str: "value", int: 1, bool: True}[annotation]


def methods() -> Iterator[tuple[type, str]]:
    for kind in vars(resources).values():
        if inspect.isclass(kind) and kind.__module__ == resources.__name__ and kind is not resources.ApiDocs:
            for name, member in vars(kind).items():
                if inspect.iscoroutinefunction(member) and not name.startswith("_"):
                    yield kind, name


def instance(client: AriClient, kind: type) -> Any:
    if kind is resources.Channel:
        return client.channel("some-channel")
    if kind is resources.Bridge:
        return client.bridge("some-bridge")
    (repository,) = [value for value in vars(client).values() if type(value) is kind]
    return repository


async def requests_of_client() -> set[Recorded]:
    """Every request that the client makes: those of all methods, and the event WebSocket."""
    records: asyncio.Queue[Recorded] = asyncio.Queue()
    made = set()
    async with recorder(records) as url, AriClient(url, "user", "password", "telegram") as client:
        async with asyncio.timeout(WAIT_S):
            made.add(await records.get())  # the WebSocket; its retries are the same
        for kind, name in methods():
            hints = typing.get_type_hints(getattr(kind, name), {**vars(resources), "list": list})
            parameters = [p for p in inspect.signature(getattr(kind, name)).parameters.values() if p.name != "self"]
            for chosen in (parameters, [p for p in parameters if p.default is inspect.Parameter.empty]):
                with pytest.raises(AriFailed, match="recorded"):
                    await getattr(instance(client, kind), name)(**{p.name: sample(hints[p.name]) for p in chosen})
        while not records.empty():
            made.add(records.get_nowait())
    return made


Operation = Mapping[str, Any]
Documented = list[tuple[list[str], Operation]]


async def documented(client: AriClient) -> Documented:
    """Path segments and description of each operation of the running Asterisk."""
    operations: Documented = []
    for listed in (await client.apiDocs.get())["apis"]:
        name = listed["path"].removeprefix("/api-docs/").removesuffix(".{format}")
        for api in (await client.apiDocs.get(name=name))["apis"]:
            operations += [(api["path"].split("/"), operation) for operation in api["operations"]]
    return operations


def problems(request: Recorded, operations: Documented) -> list[str]:
    """What Asterisk's documentation says against a request."""
    segments = request.path.split("/")
    candidates = [
        (sum(part == segment for part, segment in zip(path, segments, strict=True)), operation)
        for path, operation in operations
        if operation["httpMethod"] == request.method
        and len(path) == len(segments)
        and all(part == segment or part.startswith("{") for part, segment in zip(path, segments, strict=True))
    ]
    if not candidates:
        return [f"{request.method} {request.path} is not documented"]
    operation = max(candidates, key=lambda candidate: candidate[0])[1]
    found = []
    for place, sent in (("query", request.query), ("body", request.body)):
        parameters = [p for p in operation.get("parameters", []) if p["paramType"] == place]
        unknown = sent - {p["name"] for p in parameters}
        missing = {p["name"] for p in parameters if p.get("required")} - sent
        found += [f"{request.method} {request.path}: no {place} parameter {name}" for name in sorted(unknown)]
        found += [f"{request.method} {request.path}: {place} parameter {name} is required" for name in sorted(missing)]
    return found


@pytest.mark.asterisk_16
async def test_every_request_is_documented_by_the_running_asterisk(asterisk: PrivateAsterisk) -> None:
    async with connected(asterisk) as client:
        operations = await documented(client)
    made = await requests_of_client()
    assert len(made) > len(list(methods()))  # nothing was left out: at least one for each, and the WebSocket
    assert [problem for request in made for problem in problems(request, operations)] == []


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (Recorded("POST", "/channels/x/anser", frozenset(), frozenset()), "POST /channels/x/anser is not documented"),
        (
            Recorded("DELETE", "/channels/x", frozenset({"reason-code"}), frozenset()),
            "DELETE /channels/x: no query parameter reason-code",
        ),
        (
            Recorded(
                "POST", "/channels/externalMedia", frozenset({"app", "external_host", "format"}), frozenset({"vars"})
            ),
            "POST /channels/externalMedia: no body parameter vars",
        ),
        (
            Recorded("GET", "/channels/x/variable", frozenset(), frozenset()),
            "GET /channels/x/variable: query parameter variable is required",
        ),
    ],
)
async def test_a_mistake_would_be_found(asterisk: PrivateAsterisk, request_: Recorded, problem: str) -> None:
    async with connected(asterisk) as client:
        assert problems(request_, await documented(client)) == [problem]
