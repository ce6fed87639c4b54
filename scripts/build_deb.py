"""Makes a Debian package: the program and its libraries under /opt/astergram, for the python3 that Debian has.

`scripts/build-deb` runs this. Without dh-virtualenv: the virtual environment is laid out by hand, so that it can be
made on a machine whose Python is elsewhere; what counts is that both are of one version (3.11 for Debian 12).
"""

import argparse
import compileall
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from ari_app import __version__  # noqa: E402 - found by the line above

SOURCES = ROOT / "scripts/debian"
HOME = Path("opt/astergram")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NEXT_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor + 1}"
DEBIANS_PYTHON = f"/usr/bin/python{PYTHON}"
SITE = HOME / f"lib/python{PYTHON}/site-packages"
COMMAND = f"""\
#!/{HOME}/bin/python3 -P
import sys

from ari_app.cli import main

sys.exit(main())
"""
CHANGES = """\
astergram ({version}) unstable; urgency=medium

  * /usr/share/doc/astergram/CHANGELOG.md.gz says what has changed.

 -- The Astergram authors <astergram@localhost>  {date}
"""
FILES = (
    ("scripts/systemd/astergram.service", "usr/lib/systemd/system/astergram.service"),
    ("scripts/systemd/astergram.sysusers", "usr/lib/sysusers.d/astergram.conf"),
    ("scripts/systemd/astergram.tmpfiles", "usr/lib/tmpfiles.d/astergram.conf"),
    ("scripts/debian/copyright", "usr/share/doc/astergram/copyright"),
    ("scripts/debian/lintian-overrides", "usr/share/lintian/overrides/astergram"),
    ("docs/astergram.sample.toml", "usr/share/doc/astergram/astergram.sample.toml"),
)
MAINTAINER_SCRIPTS = ("postinst", "prerm", "postrm")


def install_libraries(site: Path) -> None:
    """The program and what it needs, as wheels, without what only builds or tests it."""
    pip = [sys.executable, "-m", "pip", "install", "--no-input", "--quiet", "--no-compile", "--target", str(site)]
    subprocess.run([*pip, f"{ROOT}[cluster]"], check=True)
    shutil.rmtree(site / "bin", ignore_errors=True)  # of the building machine's Python
    for tests in [each for each in site.rglob("tests") if each.is_dir() and "dist-info" not in str(each)]:
        shutil.rmtree(tests)
    for installed in site.glob("*.dist-info"):
        for record in (
            "direct_url.json",
            "RECORD",
            "INSTALLER",
            "REQUESTED",
        ):  # of the folder and the machine it was made on
            (installed / record).unlink(missing_ok=True)
    compileall.compile_dir(
        site,
        quiet=2,
        stripdir=str(site),
        prependdir=f"/{SITE}",
        workers=os.cpu_count() or 1,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def lay_out(tree: Path, version: str, architecture: str) -> None:
    """Put everything beside the libraries, which are in their place, and say what package it is."""
    home = tree / HOME
    _write(home / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    _write(home / "bin/astergram", COMMAND, 0o755)
    (home / "bin/python3").symlink_to(DEBIANS_PYTHON)
    link = tree / "usr/bin/astergram"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"/{HOME}/bin/astergram")
    for source, target in FILES:
        _write(tree / target, (ROOT / source).read_text())
    docs = tree / "usr/share/doc/astergram"
    (docs / "CHANGELOG.md.gz").write_bytes(_compressed((ROOT / "CHANGELOG.md").read_text()))
    (docs / "changelog.gz").write_bytes(_compressed(CHANGES.format(version=version, date=formatdate(localtime=True))))
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for each in map(Path(folder).joinpath, files):
            if not each.is_symlink():
                each.chmod(0o755 if each == home / "bin/astergram" else 0o644)
    size = sum(each.lstat().st_size for each in tree.rglob("*") if not each.is_dir()) // 1024 + 1
    control = (SOURCES / "control").read_text()
    values = {
        "version": version,
        "architecture": architecture,
        "size": size,
        "python": PYTHON,
        "next_python": NEXT_PYTHON,
    }
    _write(tree / "DEBIAN/control", control.format(**values))
    for name in MAINTAINER_SCRIPTS:
        _write(tree / "DEBIAN" / name, (SOURCES / name).read_text(), 0o755)
    (tree / "DEBIAN").chmod(0o755)


def pack(tree: Path, package: Path) -> None:
    """Make the package of its tree; everything in it is root's."""
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", "-z3", str(tree), str(package)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def build(folder: Path, version: str = __version__) -> Path:
    """Make the package in a folder."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"astergram_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="astergram-deb-") as made:
        tree = Path(made) / "tree"
        (tree / SITE).mkdir(parents=True)
        install_libraries(tree / SITE)
        lay_out(tree, version, architecture)
        pack(tree, package)
    return package


def _compressed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make it, and try it where that is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/build-deb", description="Make a Debian package in dist/.")
    parser.add_argument("--try", action="store_true", dest="tried", help="install, start, upgrade, remove and purge it")
    options = parser.parse_args(arguments)
    package = build(ROOT / "dist")
    print(package.relative_to(ROOT))
    if options.tried:
        from try_deb import try_package  # beside this file

        return int(try_package(package))
    return 0


if __name__ == "__main__":
    sys.exit(main())
