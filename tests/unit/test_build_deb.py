"""What the Debian package has in it, beside the libraries; `scripts/build-deb --try` tries a whole one."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ari_app import __version__

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed here")


@pytest.fixture(scope="module")
def builder() -> Any:
    return runpy.run_path(str(SCRIPTS / "build_deb.py"))


@pytest.fixture
def package(tmp_path: Path, builder: Any) -> Path:
    """Without the libraries."""
    tree = tmp_path / "tree"
    module = tree / builder["SITE"] / "ari_app/__init__.py"
    module.parent.mkdir(parents=True)
    module.touch(mode=0o600)
    builder["lay_out"](tree, __version__, "amd64")
    builder["pack"](tree, tmp_path / "astergram.deb")
    return tmp_path / "astergram.deb"


def said(*command: str | Path) -> str:
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


@needs_dpkg
def test_its_files_are_roots_and_for_all_to_read(package: Path) -> None:
    rows = [line.split(maxsplit=5) for line in said("dpkg-deb", "--contents", package).splitlines()]
    found = {row[5].partition(" -> ")[0].removeprefix("."): row[0] for row in rows}
    assert {row[1] for row in rows} == {"root/root"}
    for path in (
        "/usr/lib/systemd/system/astergram.service",
        "/usr/lib/sysusers.d/astergram.conf",
        "/usr/lib/tmpfiles.d/astergram.conf",
        "/usr/share/doc/astergram/astergram.sample.toml",
        "/usr/share/doc/astergram/CHANGELOG.md.gz",
        "/usr/share/doc/astergram/changelog.gz",
        "/usr/share/doc/astergram/copyright",
    ):
        assert found[path] == "-rw-r--r--", path
    assert found["/opt/astergram/bin/astergram"] == "-rwxr-xr-x"
    assert not any(path.startswith(("/etc", "/var", "/home", "/root")) for path in found), "those are not the package's"
    assert all(mode in ("drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx") for mode in found.values())


@needs_dpkg
def test_what_it_needs(package: Path) -> None:
    control = said("dpkg-deb", "--field", package)
    major, minor = sys.version_info[:2]
    assert f"Version: {__version__}\n" in control
    assert f"python3 (>= {major}.{minor}), python3 (<< {major}.{minor + 1})" in control, (
        "its libraries are of one Python"
    )


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm", "try"])
def test_its_scripts_are_the_shells(name: str) -> None:
    path = SCRIPTS / "debian" / name
    shell = "bash" if "bash" in path.read_text().splitlines()[0] else "sh"
    assert said(shell, "-n", path) == ""


def test_the_unit_starts_what_it_brings(builder: Any) -> None:
    unit = (SCRIPTS / "systemd/astergram.service").read_text()
    assert f"ExecStart=/{builder['HOME']}/bin/astergram run" in unit
    assert re.search(r"^u astergram ", (SCRIPTS / "systemd/astergram.sysusers").read_text(), re.MULTILINE)
    tmpfiles = (SCRIPTS / "systemd/astergram.tmpfiles").read_text()
    assert "d /var/lib/astergram 0700 astergram astergram" in tmpfiles
    assert "StateDirectoryMode=0700" in unit


def test_nothing_is_enabled_and_state_goes_at_a_purge_only() -> None:
    texts = {name: (SCRIPTS / "debian" / name).read_text() for name in ("postinst", "prerm", "postrm")}
    assert not any(re.search(r"systemctl.* (enable|start)\b", text.split("echo")[0]) for text in texts.values())
    assert "try-restart" in texts["postinst"], "calls go on"
    assert "upgrade" not in texts["prerm"].partition("set -e")[2]
    purge = texts["postrm"].partition('"$1" = purge ]')[2].partition("\nfi")[0]
    assert "rm -rf /var/lib/astergram" in purge
    assert texts["postrm"].count("rm -") == 2
