"""How Debian's archive is found and how failures are told; unpacking itself is tested by everything that runs on it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ari_app.sandbox import debian

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OWN_SOURCES = f"""\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}
"""


def write(folder: Path, **files: str) -> Path:
    parts = folder / "sources.list.d"
    parts.mkdir()
    for name, text in files.items():
        (parts / name.replace("_", ".")).write_text(text)
    return folder


def test_deb822_source(tmp_path: Path) -> None:
    found = debian.find_source("bookworm", write(tmp_path, debian_sources=OWN_SOURCES))
    assert found == debian.Source(("http://mirror.example/debian/",), ("bookworm", "bookworm-updates"), KEYRING)


def test_one_line_source(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "deb-src http://mirror.example/debian bookworm main\n"
        "# deb http://old.example/debian bookworm main\n"
        "deb http://security.example/debian-security bookworm-security main\n"
        f"deb [arch=amd64 signed-by={KEYRING}] http://mirror.example/pool bookworm main contrib # ours\n"
    )
    assert debian.find_source("bookworm", tmp_path) == debian.Source(
        ("http://mirror.example/pool",), ("bookworm",), KEYRING
    )


def test_third_party_archives_are_skipped(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_list="deb [signed-by=/usr/share/keyrings/cloud.gpg] https://cloud.example/apt bookworm main\n",
        b_sources="Types: deb\nURIs: https://node.example/deb\nSuites: nodistro\nComponents: main\n",
        c_list="deb https://plain.example/packages bookworm main\n",
        d_sources=f"Enabled: no\n{OWN_SOURCES.removeprefix('# a comment' + chr(10))}",
        e_list="deb http://mirror.example/debian trixie main\n",
        f_sources=OWN_SOURCES,
        g_disabled="deb http://disabled.example/debian bookworm main\n",
    )
    assert debian.find_source("bookworm", tmp_path).uris == ("http://mirror.example/debian/",)


def test_mirror_list_with_a_key_inside(tmp_path: Path) -> None:
    text = (
        "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: bookworm\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    found = debian.find_source("bookworm", write(tmp_path, debian_sources=text))
    assert found.uris == ("mirror+file:///etc/apt/mirrors/debian.list",)
    assert found.signed_by is not None and "-----END PGP PUBLIC KEY BLOCK-----" in found.signed_by


def test_no_archive_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(debian.DebianError, match="names no Debian archive with component main"):
        debian.find_source("bookworm", tmp_path)


def test_machine_that_is_not_debian(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('ID=fedora\nVERSION_CODENAME=""\n')
    with pytest.raises(debian.DebianError, match="not a Debian release"):
        debian.machine_codename(tmp_path / "os-release")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ASTERGRAM_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/astergram")),
        ({}, Path.home() / ".cache/astergram"),
    ],
)
def test_cache_folder(environment: dict[str, str], expected: Path) -> None:
    assert debian.cache_folder(environment) == expected


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("E: Unable to locate package nosuch", "no such package"),
        ("Err:1 http://m x\n  Could not resolve 'm'\nE: Failed to fetch", "check the network"),
        ("dpkg-deb: error: tar: write: No space left on device", "disk is full"),
        ("W: GPG error: NO_PUBKEY 1234", "update debian-archive-keyring"),
        ("E: something else", "E: something else"),
        ("", "no output"),
    ],
)
def test_failures_are_explained(output: str, hint: str) -> None:
    message = str(debian._explained("reading the lists", output))
    assert message.startswith("reading the lists failed: ") and hint in message and "\n" not in message


def test_needless_packages_are_not_downloaded() -> None:
    listing = "\n".join(
        f"'http://m/{file}' {file} 100 SHA256:00"
        for file in ("libre0_1.1.0-1+b2_amd64.deb", "perl-base_5.36_amd64.deb", "libc6_2.36-9_amd64.deb",
                     "libssl3_1%3a3.0-1_amd64.deb", "libgl1_1.6.0-1_amd64.deb")
    )  # fmt: skip
    recipe = debian.Recipe(debian.OWN, ("x",), without="libgl")
    assert list(debian._needed(recipe, listing, host_loader=True)) == ["libre0=1.1.0-1+b2", "libssl3=1:3.0-1"]
    foreign = debian.Recipe("forky", ("x",))
    assert "libc6=2.36-9" in list(debian._needed(foreign, listing, host_loader=False))


def test_runs_without_the_project_and_explains_itself(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-I", debian.__file__, "nosuchtree"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "usage: debian.py" in result.stderr and "Traceback" not in result.stderr


def test_unreachable_mirror_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = debian.Source(("http://127.0.0.1:1/debian",), ("bookworm",), KEYRING)
    monkeypatch.setattr(debian, "find_source", lambda codename: unreachable)
    monkeypatch.setattr(debian, "DOWNLOAD_RETRIES", 0)
    with pytest.raises(debian.DebianError, match="the mirror cannot be reached"):
        debian.unpack("coturn", cache=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]  # nothing half unpacked is left


def test_asterisks_documentation_is_cut_down_to_what_modules_need() -> None:
    options = '<configInfo name="app_queue" language="en_US"><configFile name="queues.conf" /></configInfo>'
    application = '<application name="Queue" language="en_US">{}</application>'
    action = '<manager name="QueueAdd" language="en_US">{}</manager>'
    text = "<synopsis>Queue\n a call.</synopsis><see-also><application>Dial</application></see-also>"
    whole = f"<docs>{application.format(text)}{options}{action.format(text)}</docs>"
    name = "<synopsis />"
    assert debian.outline(whole) == f"<docs>{application.format(name)}{options}{action.format(name)}</docs>"
