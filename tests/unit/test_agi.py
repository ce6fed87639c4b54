"""The FastAGI server: whatever a client or a script does, each request is answered in time, and others are, too."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from ari_app.asterisk import agi
from ari_app.asterisk.agi import AgiServer, Script, ServerStops, UnknownScript, Variables
from ari_app.asterisk.agi_request import HEADER_BYTES, VALUE_LENGTH, AgiRequest
from ari_app.backoff import Backoff
from ari_app.networks import address_of
from ari_app.tasks import FAILURES
from tests.unit.agi_client import HOST, WAIT_S, asked, calling, header

SHORT_S = 1.0
"""The time for a request where it is to run out; a busy machine needs some of it."""


async def echo(request: AgiRequest) -> Variables:
    return {"SCRIPT": request.script, "ARGUMENTS": "|".join(request.arguments), "CALLER": request.caller}


async def broken(request: AgiRequest) -> Variables:
    raise KeyError("of a script")


class Waiting:
    """A script that waits until it is let go, or told to stop."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, request: AgiRequest) -> Variables:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {"WAITED": "yes"}


async def linked(request: AgiRequest) -> Variables:
    return {"READ": await request.get("CHANNEL(linkedid)"), "NOTHING": await request.get("NOTHING")}


def failed(request: AgiRequest, error: Exception) -> Variables:
    return {"FAILED": type(error).__name__}


@asynccontextmanager
async def served(timeout_s: float = WAIT_S, **options: Any) -> AsyncIterator[tuple[AgiServer, Waiting]]:
    waiting = Waiting()
    scripts: dict[str, Script] = {"echo": echo, "deep/er": echo, "broken": broken, "wait": waiting, "linked": linked}
    server = AgiServer(HOST, 0, scripts, failed, timeout_s=timeout_s, **options)
    running = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(WAIT_S):
            await server.listening()
            yield server, waiting
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served() as (server, _):
        yield server.port


@pytest.fixture
def _an_unexpected_error(monkeypatch: pytest.MonkeyPatch) -> Any:
    """In what serves the first request."""
    read, errors = AgiRequest.read, [KeyError("unexpected")]

    async def fails(*streams: Any) -> AgiRequest:
        if errors:
            raise errors.pop()
        return await read(*streams)

    monkeypatch.setattr(AgiRequest, "read", fails)
    yield
    assert FAILURES.count == 1
    FAILURES.count = 0


@pytest.fixture(autouse=True)
def _nothing_unexpected(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO)
    yield
    assert FAILURES.count == 0
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_script_gets_what_was_asked_and_its_variables_are_set(port: int) -> None:
    async with calling(port, header("echo", "+79990000002", " b ", "", agi_callerid="101")) as client:
        assert await client.run() == {"SCRIPT": "echo", "ARGUMENTS": "+79990000002| b |", "CALLER": "101"}


@pytest.mark.parametrize("path", ["echo?x=1&y=2", "/echo", "echo/", "deep/er", "/deep/er/?"])
async def test_the_path_is_the_script(port: int, path: str) -> None:
    assert (await asked(port, path))["SCRIPT"] == path.partition("?")[0].strip("/")


@pytest.mark.parametrize("script", ["", "nosuch", "echo/nosuch", "ECHO"])
async def test_a_script_that_does_not_exist_is_answered(port: int, script: str) -> None:
    assert await asked(port, script) == {"FAILED": UnknownScript.__name__}


async def test_a_script_that_fails_is_answered(port: int) -> None:
    assert await asked(port, "broken") == {"FAILED": "KeyError"}


async def test_variables_are_read(port: int) -> None:
    read = await asked(port, "linked", **{"CHANNEL(linkedid)": "1795943447.4"})
    assert (read["READ"], read["NOTHING"]) == ("1795943447.4", "")


@pytest.mark.parametrize(
    "value",
    ['say "hi"', "back\\slash", "\\", '\\"', "${CHANNEL}", "$[1+1]", "comma, (paren) 'x'", "Анна 🙂", "", " b "],
)
async def test_a_value_arrives_as_it_is(port: int, value: str) -> None:
    assert (await asked(port, "echo", value))["ARGUMENTS"] == value


async def test_a_value_stays_on_its_line_and_within_a_command(port: int) -> None:
    lines = await asked(port, "echo", "a\nb\r\x00\u2028c")
    assert lines["ARGUMENTS"] == "a b   c"
    async with calling(port, header("echo", '"' * 5000)) as client:
        assert (await client.run())["ARGUMENTS"] == '"' * VALUE_LENGTH
        assert max(len(command.encode()) for command in client.commands) < 2048


async def test_a_text_of_several_lines_is_one_argument(port: int) -> None:
    """It may look like a field, too: the first one of a name counts for nothing that comes before it."""
    assert (await asked(port, "echo", "a", "b\nSome text: x", "c"))["ARGUMENTS"] == "a|b Some text: x|c"


async def test_what_is_no_utf8(port: int) -> None:
    async with calling(port, header("echo", "a").replace(b"agi_arg_1: a", b"agi_arg_1: \xe4\xff")) as client:
        assert (await client.run())["ARGUMENTS"] == "\ufffd\ufffd"


@pytest.mark.parametrize("size", [0, 1, 40, -1])
async def test_a_client_that_closes_within_the_header(port: int, size: int) -> None:
    whole = header("echo", "a")
    for _ in range(20):
        async with calling(port, whole[:size] if size >= 0 else whole[:-1]) as client:
            client.writer.write_eof()
            await client.closed()
    assert (await asked(port, "echo"))["SCRIPT"] == "echo"


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\n", b"\n\n", b"\x00" * 1000 + b"\n\n", b"x" * (2 * HEADER_BYTES)],
    ids=["http", "nothing", "zeros", "endless"],
)
async def test_garbage_is_hung_up_on(port: int, data: bytes) -> None:
    async with calling(port, data) as client:
        await client.closed()
    assert (await asked(port, "echo"))["SCRIPT"] == "echo"


async def test_a_header_in_pieces(port: int) -> None:
    async with calling(port) as client:
        for byte in header("echo", "a"):
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.run())["ARGUMENTS"] == "a"


@pytest.mark.usefixtures("_an_unexpected_error")
async def test_an_unexpected_error_costs_one_request(port: int) -> None:
    async with calling(port, header("echo")) as client:
        await client.closed()
    assert (await asked(port, "echo"))["SCRIPT"] == "echo"


@pytest.mark.parametrize("data", [b"", b"agi_network: yes\n"], ids=["silence", "half"])
async def test_a_header_that_does_not_come(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with served(SHORT_S) as (server, _), calling(server.port, data) as client:
        await client.closed()
    assert "longer than 1 s" in caplog.text


async def test_a_script_that_is_late_is_answered_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agi, "ANSWER_SHARE", 0.99)
    async with served() as (server, waiting):
        assert await asked(server.port, "wait") == {"FAILED": "TimeoutError"}
        assert waiting.cancelled == 1


async def test_a_channel_that_gives_no_answer_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async with served(SHORT_S) as (server, _), calling(server.port, header("echo")) as client:
        assert (await client.command()).startswith("SET VARIABLE SCRIPT")
        await client.closed()
        assert "longer than 1 s" in caplog.text


async def test_one_that_waits_keeps_no_other_one() -> None:
    async with served() as (server, waiting), calling(server.port, header("wait")) as slow:
        await waiting.begun.wait()
        assert (await asked(server.port, "echo"))["SCRIPT"] == "echo"
        waiting.let_go.set()
        assert await slow.run() == {"WAITED": "yes"}


async def test_a_hundred_at_once(port: int) -> None:
    answers = await asyncio.gather(*(asked(port, "echo", str(number)) for number in range(100)))
    assert [each["ARGUMENTS"] for each in answers] == [str(number) for number in range(100)]


@pytest.mark.parametrize("before", [1, 2, 3])
async def test_a_hang_up_puts_no_answer_out_of_its_place(
    port: int, before: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An h extension reads what is set after it."""
    async with calling(port, header("linked")) as client:
        client.variables["CHANNEL(linkedid)"] = "1.1"
        variables = await client.run(hang_up_before=before)
    assert (variables["READ"], variables["NOTHING"]) == ("1.1", "")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_hang_up_while_the_script_runs(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (server, waiting), calling(server.port, header("wait")) as client:
        await waiting.begun.wait()
        client.send(b"HANGUP\n")
        waiting.let_go.set()
        assert await client.run() == {"WAITED": "yes"}
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_channel_that_goes_while_the_script_runs(caplog: pytest.LogCaptureFixture) -> None:
    """AGIEXITONHANGUP, or an Asterisk that is killed."""
    async with served() as (server, waiting):
        async with calling(server.port, header("wait")):
            await waiting.begun.wait()
        waiting.let_go.set()
        assert (await asked(server.port, "echo"))["SCRIPT"] == "echo"
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    "answer",
    [
        b"520-Invalid command syntax.  Proper usage follows:\nSets a variable.\n520 End of proper usage.\n",
        b"510 Invalid or unknown command\n",
        b"511 Command Not Permitted on a dead channel\n",
        b"200 result=-1\n",
        b"\n",
        b"what\n",
        b"\xff\xfe\n",
        b"x" * (2 * HEADER_BYTES) + b"\n",
    ],
)
async def test_an_answer_that_is_none_ends_the_request(port: int, answer: bytes) -> None:
    async with calling(port, header("echo")) as client:
        await client.command()
        client.send(answer)
        await client.closed()
    assert (await asked(port, "echo"))["SCRIPT"] == "echo"


async def test_trying_is_no_answer_yet(port: int) -> None:
    async with calling(port, header("linked")) as client:
        assert await client.command() == "GET VARIABLE CHANNEL(linkedid)"
        client.send(b"100 result=0 Trying...\n200 result=1 (1.1)\n")
        assert (await client.run())["READ"] == "1.1"


async def test_a_stop_is_told_to_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agi, "STOP_S", WAIT_S)
    async with served() as (server, waiting):
        client = calling(server.port, header("wait"))
        waits = await client.__aenter__()
        await waiting.begun.wait()
        answered = asyncio.create_task(waits.run())
    assert await answered == {"FAILED": ServerStops.__name__}
    assert waiting.cancelled == 1
    await client.__aexit__(None, None, None)
    with pytest.raises(ConnectionError):
        await asked(server.port, "echo")


@pytest.mark.parametrize("data", [b"", header("wait")], ids=["no header", "no answer"])
async def test_a_stop_waits_for_nobody(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agi, "STOP_S", 0.01)
    async with served(timeout_s=10 * WAIT_S) as (server, waiting):
        client = calling(server.port, data)
        silent = await client.__aenter__()
        if data:
            await waiting.begun.wait()
    async with asyncio.timeout(WAIT_S):
        while await silent.reader.readline():
            pass
    await client.__aexit__(None, None, None)


async def test_a_future_that_somebody_else_cancels_ends_one_request(port: int) -> None:
    async def waits(request: AgiRequest) -> Variables:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return {"NEVER": str(await future)}

    server = AgiServer(HOST, 0, {"waits": waits}, failed, timeout_s=WAIT_S)
    running = asyncio.create_task(server.run())
    await server.listening()
    assert await asked(server.port, "waits") == {"FAILED": ServerStops.__name__}
    assert await asked(server.port, "") == {"FAILED": UnknownScript.__name__}
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.parametrize("allow", [(), (ip_network("198.51.100.0/24"),), (ip_network("198.51.100.7/32"),)])
async def test_who_may_ask(allow: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Any other host is closed on, and named once."""
    monkeypatch.setattr(agi, "address_of", lambda host: address_of("198.51.100.7"))
    async with served(allow=allow) as (server, _):
        if allow:
            assert (await asked(server.port, "echo"))["SCRIPT"] == "echo"
            return
        for _ in range(3):
            async with calling(server.port, header("echo")) as client:
                await client.closed()
        assert caplog.text.count("127.0.0.1 may not ask. If it is an Asterisk of yours, add it to allow") == 1


def test_an_address_of_ipv4_in_ipv6() -> None:
    assert address_of("::ffff:192.0.2.1") == address_of("192.0.2.1")
    assert address_of("::ffff:127.0.0.1").is_loopback
    assert address_of("fe80::1%eth0") == address_of("fe80::1")
    assert address_of("::1").is_loopback


async def test_a_port_that_is_taken_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agi, "RETRY", Backoff(first_s=0.001, last_s=0.001))
    tries = 0
    start = asyncio.start_server

    async def counted(*arguments: Any, **options: Any) -> asyncio.Server:
        nonlocal tries
        tries += 1
        return await start(*arguments, **options)

    monkeypatch.setattr(asyncio, "start_server", counted)
    with socket.create_server((HOST, 0)) as taken:
        server = AgiServer(HOST, taken.getsockname()[1], {"echo": echo}, failed, timeout_s=WAIT_S)
        running = asyncio.create_task(server.run())
        while tries < 5:  # noqa: ASYNC110 - no event tells of a failure
            await asyncio.sleep(0)
        assert caplog.text.count("Address already in use. It is tried again and again") == 1
    async with asyncio.timeout(WAIT_S):
        await server.listening()
    assert (await asked(server.port, "echo"))["SCRIPT"] == "echo"
    running.cancel()
    await asyncio.wait({running})
