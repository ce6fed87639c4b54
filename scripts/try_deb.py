"""Tries a package in a Debian of its own, made by debootstrap: `scripts/build-deb --try` runs this, as root.

lintian looks at it there, too, and the demo places its calls through the installed program. That Debian is kept in
var/deb for the next time.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")
SUITE = "bookworm"  # whose python3 is 3.11
WITH = ("python3", "ca-certificates", "systemd-standalone-sysusers", "systemd-standalone-tmpfiles")
SKIPPED = 77  # the exit status for what was not tried, as automake has it
HIGHER = "+try"


def try_package(package: Path) -> int:
    """Install, start, upgrade, remove and purge it; the exit status."""
    if os.geteuid() != 0:
        print("not tried: debootstrap, chroot and dpkg take root", file=sys.stderr)
        return SKIPPED
    fresh = ROOT / "var/deb" / SUITE
    if not (fresh / "complete").exists():
        shutil.rmtree(fresh, ignore_errors=True)
        debootstrap(fresh)
        (fresh / "complete").touch()
    with tempfile.TemporaryDirectory(prefix="astergram-try-") as made:
        debian = Path(made) / "debian"
        subprocess.run(["cp", "--archive", "--reflink=auto", fresh, debian], check=True)
        first = debian / "tmp/first.deb"
        shutil.copy(package, first)
        higher(package, debian / "tmp/second.deb")
        shutil.copy(ROOT / "scripts/debian/try", debian / "tmp/try")
        inside(debian, ["lintian", "--allow-root", "--fail-on", "error,warning", "--info", "/tmp/first.deb"])  # noqa: S108
        inside(debian, ["/tmp/try", "/tmp/first.deb", "/tmp/second.deb"])  # noqa: S108
        inside(debian, ["dpkg", "--install", "/tmp/first.deb"])  # noqa: S108
        demo(debian)
    return 0


def demo(debian: Path) -> None:
    """Have the demo place its calls through the installed program, which it kills and starts again, too.

    The demo runs outside, as do its Asterisk and its Telegram; both see the same processes and the demo's folder.
    """
    folder = ROOT / "var/deb/demo"
    steps = [f"mkdir -p {place}" for place in (folder, f"{debian}{folder}")]
    steps += [f"mount --bind {place} {debian}{place}" for place in ("/proc", folder)]
    own = f"chroot {debian} /usr/bin/astergram"
    steps += [f"exec {ROOT}/scripts/demo --folder {folder} --command {shlex.quote(own)}"]
    subprocess.run(["unshare", "--mount", "sh", "-ec", "\n".join(steps)], check=True)


def debootstrap(target: Path) -> None:
    """Make a small Debian."""
    with tempfile.TemporaryDirectory(prefix="astergram-debootstrap-") as made:
        program, environment = shutil.which("debootstrap"), dict(os.environ)
        if program is None:  # from its package, which need not be installed for that
            subprocess.run(["apt-get", "download", "-q", "debootstrap"], check=True, cwd=made)
            (downloaded,) = Path(made).glob("debootstrap_*.deb")
            subprocess.run(["dpkg", "-x", downloaded, made], check=True)
            program = f"{made}/usr/sbin/debootstrap"
            environment["DEBOOTSTRAP_DIR"] = f"{made}/usr/share/debootstrap"
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [program, "--variant=minbase", f"--include={','.join(WITH)}", SUITE, str(target), MIRROR]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    # Its own resolver, as debootstrap's knows no packages that others provide.
    inside(target, ["apt-get", "install", "-qq", "--no-install-recommends", "lintian"])


def inside(debian: Path, command: Sequence[str]) -> None:
    """Run something in there, with processes of its own, which end with it."""
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={debian / 'proc'}"]
    subprocess.run([*alone, "chroot", str(debian), *command], check=True)


def higher(package: Path, target: Path) -> None:
    """The same package with a higher version."""
    with tempfile.TemporaryDirectory(prefix="astergram-higher-") as tree:
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        for path, pattern in (
            ("DEBIAN/control", r"(?m)^(Version: .*)$"),
            ("opt/astergram/lib/python3.*/site-packages/ari_app/__init__.py", r'(__version__ = "[^"]*)'),
        ):
            (found,) = Path(tree).glob(path)
            found.write_text(re.sub(pattern, rf"\1{HIGHER}", found.read_text()))
        for compiled in Path(tree).glob("opt/astergram/lib/python3.*/site-packages/ari_app/__pycache__/__init__.*"):
            compiled.unlink()  # it would be believed
        pack = ["dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, str(target)]
        subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
