"""The systemd unit: what the program needs of it is there, and systemd finds nothing wrong with it."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ari_app.calls.scope import CLOSE_S
from ari_app.cli.hand_over import CONNECTING_S
from ari_app.pbx.ami import DRAIN_S
from ari_app.store.store import FLUSH_S

UNIT = Path(__file__).parents[2] / "scripts/systemd/astergram.service"
ANALYZE = shutil.which("systemd-analyze")
EXPOSURE = 3.0
"""The most that `systemd-analyze security` may find, of 10."""
ANALYZED_S = 60.0

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """As it would be installed, with a program that is there."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/astergram/bin/astergram", "/bin/true"))
    return path


def service(section: str = "Service") -> configparser.SectionProxy:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[method-assign,assignment]
    read.read_string(UNIT.read_text())
    return read[section]


def test_it_ends_before_asterisk_and_before_what_it_asks_by_does() -> None:
    assert {"asterisk.service", "dbus.service"} <= set(service("Unit")["After"].split())


def test_it_waits_longer_than_a_hand_over_takes() -> None:
    assert float(service()["TimeoutStopSec"]) > CONNECTING_S + CLOSE_S + DRAIN_S + FLUSH_S


def test_it_has_what_the_program_needs() -> None:
    its = service()
    assert its["Type"] == "notify"
    assert its["KillMode"] == "process", "media processes outlive it"
    assert its["OOMPolicy"] == "continue", "one of them that the kernel kills is one call"
    assert its["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert its["RestartPreventExitStatus"] == "2", "the configuration has a mistake"
    assert float(its["WatchdogSec"]) > 0
    assert "AF_NETLINK" in its["RestrictAddressFamilies"], "ICE looks for interfaces"
    assert "ProcSubset" not in its, "the machine's load is in /proc"


def analyzed(*arguments: str | Path) -> str:
    assert ANALYZE
    done = subprocess.run(
        [ANALYZE, *map(str, arguments)], capture_output=True, text=True, timeout=ANALYZED_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_understands_it(unit: Path) -> None:
    assert analyzed("verify", "--man=no", unit) == ""


@needs_systemd
def test_it_is_hardened(unit: Path) -> None:
    said = analyzed("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for astergram\.service: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE
