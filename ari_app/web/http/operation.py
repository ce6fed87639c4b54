"""An operation of the JSON API: what it takes and gives is read from its function's signature."""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, get_type_hints

from aiohttp import ETag, web
from pydantic import BaseModel, TypeAdapter, ValidationError

from ari_app.i18n import Message, message
from ari_app.web.http.context import Identity, Web, identity, web_of
from ari_app.web.http.errors import PageError
from ari_app.web.http.roles import route_of, route_roles_of
from ari_app.web.http.services import Services
from ari_app.wrong import Wrong, wrong_in

PLACE = re.compile(r"{(\w+)}")
ETAG, IF_MATCH = "ETag", "If-Match"
IDEMPOTENCY_KEY = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
ANY = ETag("*")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Asked:
    """A request, for the function of an operation; ``headers`` go with the answer."""

    request: web.Request
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        """The parts of the running program."""
        return web_of(self.request).services

    @property
    def web(self) -> Web:
        """The page's own parts."""
        return web_of(self.request)

    @property
    def who(self) -> Identity:
        """Who is asking."""
        return identity(self.request)

    @property
    def read(self) -> frozenset[str] | None:
        """The versions that the asker has read of what they change (If-Match, RFC 9110); None where any will do."""
        if IF_MATCH not in self.request.headers:
            return None
        tags = self.request.if_match or ()
        return None if ANY in tags else frozenset(tag.value for tag in tags if not tag.is_weak)

    @property
    def key(self) -> str:
        """What a request is known by, should it be sent again (Idempotency-Key); empty for none. Raises PageError."""
        return idempotency_key(self.request, self.request.headers.get(IDEMPOTENCY_KEY))

    def answers_version(self, version: str) -> None:
        """Tell the version of what is answered (ETag, RFC 9110)."""
        self.headers[ETAG] = f'"{version}"'


def idempotency_key(request: web.Request, given: str | None) -> str:
    """The key that a header, or a form, gives; empty for none. Raises PageError.

    It is its asker's: two of them, who know nothing of each other, may use the same.
    """
    if given is None:
        return ""
    if not KEY.fullmatch(given) or not (bare := given.strip('"')):
        raise PageError(422, message("Idempotency-Key takes 1 to 255 printable characters of ASCII."))
    return f"{identity(request).asker} {bare}"


@dataclass(frozen=True)
class Operation:
    """One line of the API's table.

    ``function`` is `async def f(asked: Asked, ...)`: parameters named in ``path`` as {name} come from there, `query`
    and `body` are pydantic models, and what it returns (a model, a list of models, None) is the answer, as JSON. One
    that returns a `web.StreamResponse` answers by itself; ``media_type`` says with what (one, or several: "a, b").
    ``right``: what whoever asks has to have; None: nothing, it is open to everybody.
    ``errors``: which exceptions are answered with which status; their text (`.sentence`, else `str`) is the detail.
    ``versioned``: its answer has an ETag, and what changes something obeys If-Match.
    ``keyed``: it obeys Idempotency-Key (draft-ietf-httpapi-idempotency-key-header).
    ``largest``: it takes a file of so many bytes at most, as its `content`, in place of JSON.
    """

    method: Method
    path: str
    function: Callable[..., Awaitable[Any]]
    summary: str
    errors: Mapping[int, type[Exception] | tuple[type[Exception], ...]] = field(default_factory=dict)
    status: int = 200
    media_type: str = "application/json"
    versioned: bool = False
    largest: int = 0
    keyed: bool = False

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The types of the parameters, and of what is returned."""
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def places(self) -> dict[str, TypeAdapter[Any]]:
        """The parameters in the path."""
        return {name: TypeAdapter(self.hints[name]) for name in PLACE.findall(self.path)}

    @property
    def query(self) -> type[BaseModel] | None:
        """The parameters after the question mark."""
        return self.hints.get("query")

    @property
    def body(self) -> type[BaseModel] | None:
        """What is sent."""
        return self.hints.get("body")

    @property
    def raw(self) -> bool:
        """Whether its function answers by itself."""
        returned = self.hints["return"]
        return inspect.isclass(returned) and issubclass(returned, web.StreamResponse)

    @cached_property
    def answer(self) -> TypeAdapter[Any] | None:
        """What comes back as JSON; None for nothing, or where its function answers by itself."""
        returned = self.hints["return"]
        return None if self.raw or returned is type(None) else TypeAdapter(returned)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; raises PageError."""
        arguments: dict[str, Any] = {}
        try:
            for name, adapter in self.places.items():
                arguments[name] = adapter.validate_strings(request.match_info[name])
        except ValidationError as error:
            raise _invalid(error, message("There is nothing here: the address is not valid."), name) from None
        if self.query:
            arguments["query"] = _checked(self.query, _query(request), message("The query is not valid."))
        if self.body:
            arguments["body"] = _checked(self.body, await _json(request), message("What was sent is not valid."))
        if self.largest:
            arguments["content"] = await request.clone(client_max_size=self.largest).read()
        check_people_only(request)
        asked = Asked(request)
        try:
            returned = await self.function(asked, **arguments)
        except tuple(_flat(self.errors)) as error:
            raise self._refused(error) from error
        if isinstance(returned, web.StreamResponse):
            return returned
        if self.answer is None:
            return web.Response(status=204 if self.status == 200 else self.status)
        body = self.answer.dump_json(returned)
        return web.Response(status=self.status, body=body, content_type="application/json", headers=asked.headers)

    def _refused(self, error: Exception) -> PageError:
        sentence = getattr(error, "sentence", None)
        if not isinstance(sentence, Message):
            sentence = message("{reason}", reason=error)
        for status, kinds in self.errors.items():
            if isinstance(error, kinds):
                headers = {}
                if (wait_s := getattr(error, "wait_s", None)) is not None:
                    headers["Retry-After"] = str(wait_s)
                if version := getattr(error, "version", ""):
                    headers[ETAG] = f'"{version}"'
                return PageError(status, sentence, headers, _details(error))
        raise AssertionError(f"{error!r} is in no row of {self.errors}")


def check_people_only(request: web.Request) -> None:
    """Refuse a token what only people may do; raises PageError."""
    if identity(request).kind == "token" and route_of(request) in route_roles_of(request).people_only:
        raise PageError(403, message("No API token may do this: do it on the page, or on the server's command line."))


def _flat(errors: Mapping[int, type[Exception] | tuple[type[Exception], ...]]) -> list[type[Exception]]:
    return [kind for kinds in errors.values() for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]


def _query(request: web.Request) -> dict[str, str | list[str]]:
    query = request.query
    return {name: values[0] if len(values) == 1 else values for name in query if (values := query.getall(name))}


async def _json(request: web.Request) -> Any:
    if request.content_type != "application/json":
        raise PageError(415, message("Send JSON: Content-Type: application/json."))
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise PageError(400, message("What was sent is no JSON.")) from None


def _checked(model: type[BaseModel], value: Any, sentence: Message) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error, sentence) from None


def _invalid(error: ValidationError, sentence: Message, *where: str) -> PageError:
    """Says what is wrong where; never what was sent, which may be secret."""
    return PageError(422, sentence, details={"errors": _errors(wrong_in(error), *where)})


def _errors(wrong: Sequence[Wrong], *where: str) -> list[dict[str, Any]]:
    """For problem details; what is wrong in the path is named by its place there."""
    return [{"where": ".".join((*where, *filter(None, [each.key]))), "reason": each.reason} for each in wrong]


def _details(error: Exception) -> dict[str, Any]:
    """What an exception tells besides its sentence."""
    wrong, differs = getattr(error, "wrong", ()), getattr(error, "differs", None)
    details: dict[str, Any] = {"errors": _errors(wrong)} if wrong else {}
    return details if differs is None else details | {"differs": [asdict(each) for each in differs]}
