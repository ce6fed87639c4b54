"""Talks to the running program, over the socket in its state directory."""

import io
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import IO, Any

import aiohttp

from ari_app.config import Settings
from ari_app.os_words import in_words
from media.sockets import short_address

ANSWER_S = 60.0  # Telegram may be asked meanwhile, several times
UNTIL_IT_ENDS = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S, sock_read=ANSWER_S)
"""For an answer of any length; the event stream has a heartbeat, well within that."""
BASE = "http://astergram"
GONE = "Astergram has stopped before this was done: start it with `astergram run`, and look how far it came"


class NotRunning(Exception):
    """Nothing answers at the socket, or not any more; the text says what to do."""


class RequestRefused(Exception):
    """The program does not do it; the text is its own sentence."""


class Api:
    """The JSON API; made by `program(...)`. Raises RequestRefused for whatever is not done."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(
        self, method: str, path: str, body: Any = None, version: str = "", key: str = "", within_s: float = ANSWER_S
    ) -> Any:
        """The answer to a request; ``path`` is what follows /api. ``version``: only if it is still this one.

        ``key``: it is not carried out again where it was already.
        """
        timeout = aiohttp.ClientTimeout(total=within_s)
        headers = {"If-Match": f'"{version}"'} if version else {}
        headers |= {"Idempotency-Key": key} if key else {}
        async with self._session.request(method, f"/api{path}", json=body, headers=headers, timeout=timeout) as answer:
            return await _said(answer)

    async def upload(self, path: str, content: bytes) -> Any:
        """Send a file; ``path`` as for `ask`."""
        async with self._session.put(f"/api{path}", data=io.BytesIO(content)) as answer:
            return await _said(answer)

    async def remove(self, path: str) -> None:
        """Remove something, if it is there."""
        async with self._session.delete(f"/api{path}") as answer:
            if answer.status != HTTPStatus.NOT_FOUND:
                await _said(answer)

    async def read(self, path: str) -> tuple[Any, str]:
        """What is set, and its version."""
        async with self._session.get(f"/api{path}") as answer:
            return await _said(answer), answer.headers["ETag"].strip('"')

    async def download(self, path: str, file: IO[bytes]) -> None:
        """Write an answer into a file, as it is."""
        async with self._session.get(f"/api{path}", timeout=UNTIL_IT_ENDS) as answer:
            if not answer.ok:
                await _said(answer)
            async for chunk in answer.content.iter_any():
                file.write(chunk)

    async def watch(self, path: str) -> bytes:
        """What programs that watch this one get, as it is; ``path`` is all of it: /ready, /metrics."""
        async with self._session.get(path) as answer:
            return await answer.read() if answer.ok else await _said(answer)

    async def events(self, *kinds: str) -> AsyncGenerator[dict[str, Any], None]:
        """The data of each event of some kinds from now on (server-sent events); a first empty one when it listens.

        They go on until the program stops, which raises NotRunning.
        """
        async with self._session.get("/api/events", timeout=UNTIL_IT_ENDS) as answer:
            yield {}
            wanted = False
            async for line in answer.content:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    wanted = value in kinds
                elif field == "data" and wanted:
                    yield json.loads(value)
        raise NotRunning(GONE)


@asynccontextmanager
async def program(settings: Settings) -> AsyncIterator[Api]:
    """The running program; raises NotRunning."""
    if not settings.socket.exists():
        raise NotRunning(f"Astergram does not run here ({settings.socket} is not there): start it with `astergram run`")
    with short_address(settings.socket) as address:
        connector = aiohttp.UnixConnector(path=address)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(BASE, connector=connector, timeout=timeout) as session:
            try:
                yield Api(session)
            except aiohttp.ClientConnectorError as error:
                raise NotRunning(
                    f"Astergram does not run here ({settings.socket}: {in_words(error)}): "
                    "start it with `astergram run`, as the user that it belongs to"
                ) from error
            except TimeoutError as error:
                raise NotRunning(f"Astergram has not answered within {ANSWER_S:g} s: its log may say why") from error
            except aiohttp.ClientError as error:
                raise NotRunning(GONE) from error


async def status(settings: Settings) -> dict[str, Any] | None:
    """What the running program says of itself; None where none runs."""
    if not settings.socket.exists():
        return None
    try:
        async with program(settings) as api:
            return dict(await api.ask("GET", "/status"))
    except NotRunning:
        return None


async def answers(settings: Settings) -> bool:
    """Whether the program runs."""
    return await status(settings) is not None


async def _said(answer: aiohttp.ClientResponse) -> Any:
    if answer.status == HTTPStatus.NO_CONTENT:
        return None
    try:
        said = await answer.json(content_type=None)
    except ValueError:  # none of the API's: the HTTP server's own refusal, say
        raise RequestRefused(
            f"the program answered {answer.status} {answer.reason}, and nothing that can be read"
        ) from None
    if answer.ok:
        return said
    raise RequestRefused(_sentence(said))


def _sentence(problem: Any) -> str:
    """From problem details (RFC 9457)."""
    if not isinstance(problem, dict):
        return str(problem)
    said = str(problem.get("detail") or problem.get("title"))
    fields = [f"{each['where']}: {each['reason']}" for each in problem.get("errors", [])]
    fields += [
        f"{each['where']} is {json.dumps(each['now'], ensure_ascii=False)} now, "
        f"not {json.dumps(each['sent'], ensure_ascii=False)}"
        for each in problem.get("differs", [])
    ]
    return (" " if len(fields) == 1 else "\n  ").join([said, *fields])
