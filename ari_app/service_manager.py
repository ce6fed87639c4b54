"""Tells the service manager that has started the program how it is: systemd's protocol, sd_notify(3)."""

import asyncio
import logging
import os
import socket
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

ADDRESS, WATCHDOG_US, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
SYSTEMCTL = ("systemctl", "is-system-running")
"""systemctl(1); its answer is `STOPPING` from the beginning of a reboot or of a switching off."""
STOPPING = b"stopping"
ASKING_S = 3.0
"""It takes milliseconds; on a machine that stops, whom it asks may be gone."""
SHARE = 0.5
"""Of the time after which the service manager takes the program for stuck: sd_watchdog_enabled(3) says half of it."""


class ServiceManager:
    """``address``: its socket; empty where there is none, and nothing is told.

    ``watchdog_s``: how long it waits for a sign of life; None where it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> "ServiceManager":
        """The one that the environment names, which is taken out of it: child processes are not the service."""
        address = environment.pop(ADDRESS, "")
        microseconds, pid = environment.pop(WATCHDOG_US, ""), environment.pop(WATCHDOG_PID, "")
        ours = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if ours and int(microseconds) else None)

    def ready(self, status: str) -> None:
        """The program does its work; ``status`` is a sentence for `systemctl status`."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """It reads its configuration again; `ready` is its end."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """It ends."""
        self._tell("STOPPING=1", f"STATUS={status}")

    async def machine_stops(self) -> bool:
        """Whether the whole machine is stopped, or started again; False where that can't be told."""
        if not self._address:
            return False
        try:
            asked = await asyncio.create_subprocess_exec(*SYSTEMCTL, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
        except OSError as error:
            log.warning("whether the machine stops is not known: %s: %s", SYSTEMCTL[0], error.strerror)
            return False
        try:
            async with asyncio.timeout(ASKING_S):
                answer, _ = await asked.communicate()
        except TimeoutError:
            log.warning("whether the machine stops is not known: %s does not answer", SYSTEMCTL[0])
            return False
        finally:
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
        return answer.strip() == STOPPING

    async def watch(self) -> None:
        """Tell again and again that the event loop goes on, until cancelled; nothing, where nobody waits for that."""
        if self.watchdog_s is None:
            return
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s * SHARE)

    def _tell(self, *fields: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as its:
                its.sendto("\n".join(fields).encode(), address)
        except OSError as error:
            log.warning("the service manager at %s was not told %s: %s", self._address, fields[0], error)
