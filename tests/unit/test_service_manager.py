"""What the service manager is told, by a socket of the test's own."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_app import service_manager
from ari_app.service_manager import ServiceManager

TOLD_S = 10.0


@pytest.fixture
def told(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(tmp_path / "notify"))
        yield listening


def manager(told: socket.socket, **watchdog: str) -> ServiceManager:
    return ServiceManager.of({"NOTIFY_SOCKET": told.getsockname(), **watchdog})


def fields(told: socket.socket) -> list[str]:
    return told.recv(4096).decode().split("\n")


def test_without_one_nothing_is_told() -> None:
    alone = ServiceManager.of({})
    alone.ready("all is well")
    alone.reloading()
    alone.stopping("bye")
    assert alone.watchdog_s is None


def test_it_is_told_in_its_words(told: socket.socket) -> None:
    its = manager(told)
    its.ready("1 of 1 lines")
    assert fields(told) == ["READY=1", "STATUS=1 of 1 lines"]
    its.reloading()
    begun, at = fields(told)
    assert (begun, at.partition("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
    assert int(at.partition("=")[2]) > 0
    its.stopping("bye")
    assert fields(told) == ["STOPPING=1", "STATUS=bye"]


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        name = f"astergram-test-{os.getpid()}"
        listening.bind(f"\0{name}")
        ServiceManager(f"@{name}").ready("")
        assert fields(listening)[0] == "READY=1"


def test_it_is_no_matter_of_child_processes() -> None:
    environment = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    ServiceManager.of(environment)
    assert environment == {"HOME": "/"}


def test_one_that_is_gone_costs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager(str(tmp_path / "gone")).ready("")
    assert "was not told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("watchdog", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # another process of the service
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_long_it_waits_for_a_sign_of_life(
    told: socket.socket, watchdog: dict[str, str], seconds: float | None
) -> None:
    assert manager(told, **watchdog).watchdog_s == seconds


async def test_signs_of_life_go_on_while_the_event_loop_does(told: socket.socket) -> None:
    its = manager(told, WATCHDOG_USEC="20000")
    watching = asyncio.create_task(its.watch())
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(TOLD_S):
        for _ in range(3):
            assert await loop.sock_recv(told, 4096) == b"WATCHDOG=1"
    watching.cancel()
    await ServiceManager(told.getsockname()).watch()  # nobody waits for any


@pytest.mark.parametrize(
    ("script", "stops", "said"),
    [
        ("echo stopping; exit 1", True, ""),
        ("echo running", False, ""),
        ("exit 1", False, ""),
        ("exec sleep 60", False, "systemctl does not answer"),
        (None, False, "No such file"),
    ],
)
async def test_whether_the_machine_stops(
    told: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: str | None,
    stops: bool,
    said: str,
) -> None:
    monkeypatch.setattr(service_manager, "ASKING_S", 0.3 if said else TOLD_S)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    if script:
        (tmp_path / "systemctl").write_text(f'#!/bin/sh\n[ "$1" = is-system-running ] || exit 7\n{script}\n')
        (tmp_path / "systemctl").chmod(0o755)
    assert await manager(told).machine_stops() is stops
    assert said in caplog.text
    assert not await ServiceManager().machine_stops(), "without a service manager nobody is asked"
