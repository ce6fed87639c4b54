"""Whether there is a newer version: pip itself asks an index of the test's own, and apt is asked; nobody else is."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from ari_app import __version__
from ari_app.doctor import updates as doctor_updates
from ari_app.doctor.findings import Grade
from ari_app.updates import UpdateNotice, UpdateUnknown, candidate, is_newer, newest
from tests.integration.web_helpers import nowhere

WHEEL = "astergram-{version}-py3-none-any.whl"
PASSES_S = 60.0


def wheel(version: str) -> bytes:
    """A package with nothing in it but its name."""
    made, info = io.BytesIO(), f"astergram-{version}.dist-info"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: astergram\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return made.getvalue()


@asynccontextmanager
async def index(*versions: str, login: str = "", asked: list[str] | None = None) -> AsyncIterator[str]:
    """A package index (PEP 503); ``asked`` gets the paths that were asked for."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        if asked is not None:
            asked.append(request.path)
        if login and request.headers.get("Authorization") != login:
            return web.Response(status=401)
        return await handler(request)

    async def links(request: web.Request) -> web.Response:
        names = [WHEEL.format(version=each) for each in versions]
        text = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        return web.Response(text=f"<!DOCTYPE html><html><body>{text}</body></html>", content_type="text/html")

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=wheel(request.match_info["name"].split("-")[1]))

    app = web.Application(middlewares=[let_in])
    app.router.add_get("/simple/astergram/", links)
    app.router.add_get("/files/{name}", file)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/simple/"))
    finally:
        await server.close()


@pytest.fixture(autouse=True)
def pip_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's pip.conf."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")


async def test_the_newest_of_an_index() -> None:
    asked: list[str] = []
    async with index("0.0.1", "99.2", "99.10", "100.0rc1", asked=asked) as url:
        assert await newest("pip", url) == "99.10"
    assert set(asked) <= {"/simple/astergram/", "/files/" + WHEEL.format(version="99.10")}


async def test_an_index_with_a_login_and_one_that_is_away_quote_no_address() -> None:
    login = encode_basic_auth("us", "a secret word")
    async with index("99.0", login=login) as url:
        with_login = url.replace("://", "://us:a%20secret%20word@")
        assert await newest("pip", with_login) == "99.0"
        with pytest.raises(UpdateUnknown) as refused:
            await newest("pip", url.replace("://", "://us:wrong@"))
    with pytest.raises(UpdateUnknown) as away:
        await newest("pip", "http://us:secret@127.0.0.1:1/simple/")
    for error in (refused, away):
        assert str(error.value).endswith("has failed, with status 1")


async def test_an_index_that_does_not_answer_is_left_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        with pytest.raises(UpdateUnknown, match="no answer within"):
            await newest("pip", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/simple/", within_s=3.0)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("astergram:\n  Installed: 0.2.0\n  Candidate: 0.3.0\n  Version table:\n", "0.3.0"),
        ("astergram:\n  Installed: 0.2.0-1\n  Candidate: 1:0.3.0~rc1-2\n", "0.3.0rc1"),
        ("astergram:\n  Installed: (none)\n  Candidate: (none)\n", None),
        ("", None),
    ],
)
def test_what_apt_says(said: str, version: str | None) -> None:
    assert candidate(said) == version


async def test_apt_is_asked_by_its_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "apt-cache"
    tool.write_text('#!/bin/sh\necho "$2:"; echo "  Candidate: 99.0-1"\n')
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert await newest("apt") == "99.0"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UpdateUnknown, match="apt-cache can't be run"):
        await newest("apt")


def test_versions_are_compared_as_versions() -> None:
    assert is_newer("0.10.0", "0.9.0")
    assert not is_newer("0.9.0", "0.9.0")
    assert not is_newer("0.9.0rc1", "0.9.0")
    assert not is_newer(None, "0.9.0")
    assert not is_newer("no version", "0.9.0")


async def test_the_notice_comes_and_goes_and_errors_change_nothing() -> None:
    found: list[str | None] = ["1.0"]
    changes: list[str | None] = []

    async def ask() -> str | None:
        if found[0] == "away":
            raise UpdateUnknown("it is away")
        return found[0]

    notice = UpdateNotice(ask, "0.9", lambda: changes.append(notice.newer))
    await notice.look()
    found[0] = "away"
    await notice.look()
    assert notice.newer == "1.0"
    found[0] = "0.9"
    await notice.look()
    assert changes == ["1.0", None]


async def test_nobody_is_asked_where_that_is_not_set() -> None:
    async with asyncio.timeout(PASSES_S):
        await UpdateNotice(None).run()
    assert await newest("off") is None


async def test_the_doctor(tmp_path: Path) -> None:
    here = nowhere(tmp_path)
    assert await doctor_updates.newer(here) == []
    async with index("99.0") as url:
        asks = replace(here, update_source="pip", update_index=SecretStr(url))
        [found] = await doctor_updates.newer(asks)
        assert (found.grade, str(found.sentence)) == (
            Grade.ADVICE,
            f"Astergram 99.0 can be installed; {__version__} runs.",
        )
    async with index(__version__) as url:
        asks = replace(here, update_source="pip", update_index=SecretStr(url))
        assert [each.grade for each in await doctor_updates.newer(asks)] == [Grade.OK]
