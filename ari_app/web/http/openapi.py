"""The OpenAPI 3.1 document, made of the table of operations."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from ari_app import __version__
from ari_app.web.http.errors import PROBLEM_JSON
from ari_app.web.http.operation import ETAG, IDEMPOTENCY_KEY, IF_MATCH, Operation
from ari_app.web.http.roles import ANYBODY, Role, RouteRoles

SCHEMAS = "#/components/schemas/{model}"
BINARY = {"type": "string", "format": "binary"}
IF_MATCH_PARAMETER = {
    "name": IF_MATCH,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of what was read; where it is another one now, nothing is changed.",
}

KEY_PARAMETER = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]+$",
        "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    },
    "description": "What the request is known by: sent again with the same, it is not carried out again.",
}


class ProblemField(BaseModel):
    """One thing that is not valid."""

    where: str
    reason: str


class Differs(BaseModel):
    """A setting that somebody else has changed: as it is now, and as it was sent; of a secret only that it is set."""

    where: str
    now: JsonValue
    sent: JsonValue


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    title: str
    status: int
    detail: str
    errors: list[ProblemField] = Field([], description="What is not valid in the request, each with its place.")
    differs: list[Differs] = Field([], description="With 412: what differs now from what was sent.")


def document(operations: Iterable[Operation], roles: RouteRoles) -> dict[str, Any]:
    """The document, as JSON takes it."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, roles, schemas)
    schemas["Problem"] = _schema(TypeAdapter(Problem), "serialization", schemas, inline=True)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Astergram",
            "version": __version__,
            "description": "Everything the admin page does, for programs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, made under Settings."}
            },
        },
        "security": [{"token": []}],
    }


def _operation(operation: Operation, roles: RouteRoles, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _schema(adapter, "validation", schemas)}
        for name, adapter in operation.places.items()
    ]
    if operation.query:
        model = operation.query.model_json_schema(ref_template=SCHEMAS)
        schemas.update(model.pop("$defs", {}))
        required = model.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in model["properties"].items()
        ]
    if operation.versioned and operation.body:
        parameters.append(IF_MATCH_PARAMETER)
    if operation.keyed:
        parameters.append(KEY_PARAMETER)
    made: dict[str, Any] = {
        "operationId": operation.function.__name__,
        "summary": operation.summary,
        "description": f"{_needs(operation, roles)}\n\n    {_example(operation, roles)}",
        "tags": [operation.path.removeprefix("/api").split("/")[1]],
        "responses": _responses(operation, roles, schemas),
    }
    if roles.need(operation.method, operation.path) == ANYBODY:
        made["security"] = []
    if parameters:
        made["parameters"] = parameters
    if operation.body:
        schema = _schema(TypeAdapter(operation.body), "validation", schemas)
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.largest:
        made["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": BINARY}}}
    return made


def _needs(operation: Operation, roles: RouteRoles) -> str:
    need = roles.need(operation.method, operation.path)
    if not isinstance(need, Role):
        return "Needs no token."
    no_token = "" if (operation.method, operation.path) not in roles.people_only else " No API token may do this."
    return f"Needs the role {need.value}.{no_token}"


def _example(operation: Operation, roles: RouteRoles) -> str:
    """How somebody would ask by hand; $URL is where the page is."""
    words = ["curl"]
    if operation.method != "GET":
        words.append(f"-X {operation.method}")
    if roles.need(operation.method, operation.path) != ANYBODY:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if operation.body:
        words.append("-H 'Content-Type: application/json' -d @body.json")
    if operation.largest:
        words.append("--data-binary @file")
    if operation.media_type == "text/event-stream":
        words.append("-N")
    return " ".join([*words, f'"$URL{operation.path}"'])


def _responses(operation: Operation, roles: RouteRoles, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    status = operation.status
    if operation.versioned:
        good["headers"] = {ETAG: {"description": "The version of the answer.", "schema": {"type": "string"}}}
    if operation.answer:
        good["content"] = {"application/json": {"schema": _schema(operation.answer, "serialization", schemas)}}
    elif operation.raw:
        types = operation.media_type.split(", ")
        good["content"] = {each: {"schema": {"type": "object" if "json" in each else "string"}} for each in types}
    elif status == HTTPStatus.OK:
        status = HTTPStatus.NO_CONTENT
    # 503: the database can't be used at the moment
    is_open = roles.need(operation.method, operation.path) == ANYBODY
    statuses = {*operation.errors} if is_open else {401, 403, 503, *operation.errors}
    if operation.places or operation.query or operation.body:
        statuses.add(422)
    if operation.places:
        statuses.add(404)
    if operation.body:
        statuses |= {400, 413, 415}
    if operation.largest:
        statuses.add(413)
    problem = {"content": {PROBLEM_JSON: {"schema": {"$ref": SCHEMAS.format(model="Problem")}}}}
    return {str(int(status)): good} | {
        str(each): {"description": HTTPStatus(each).phrase, **problem} for each in sorted(statuses)
    }


def _schema(adapter: TypeAdapter[Any], mode: Any, schemas: dict[str, Any], inline: bool = False) -> dict[str, Any]:
    schema = adapter.json_schema(mode=mode, ref_template=SCHEMAS)
    schemas.update(schema.pop("$defs", {}))
    title = schema.get("title")
    if inline or schema.get("type") != "object" or not title:
        return schema
    schemas[title] = schema
    return {"$ref": SCHEMAS.format(model=title)}
