"""The dialplan's own file and the one line that includes it: shown, written as a whole, undone, nobody's work lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ari_app.doctor.dialplan import Flavour
from ari_app.doctor.dialplan_files import INCLUDE, OWN_FILE, FilesError, Folder, carry_out

LINES = "[to-telegram]\nexten => _[+@].,1,Hangup()\n"
EXTENSIONS = b"[general]\nstatic = yes\n\n[phones]\nexten => 101,1,Dial(PJSIP/101)\n; \xe9\xf1 in an old encoding\n"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "asterisk"
    folder.mkdir()
    (folder / "extensions.conf").write_bytes(EXTENSIONS)
    (folder / "extensions.conf").chmod(0o640)
    return folder


def install(etc: Path, text: str = LINES, *, replace: bool = False, flavour: Flavour = Flavour.VANILLA) -> list[Path]:
    """Install; which files have changed."""
    changes = Folder(etc, flavour).installing(text, replace=replace)
    carry_out(changes)
    return [change.path for change in changes]


def remove(etc: Path) -> list[Path]:
    changes = Folder(etc, Flavour.VANILLA).removing()
    carry_out(changes)
    return [change.path for change in changes]


def test_a_file_and_a_line_and_both_go_again(etc: Path) -> None:
    assert install(etc) == [etc / OWN_FILE, etc / "extensions.conf"]
    assert (etc / "extensions.conf").read_bytes() == EXTENSIONS + f"{INCLUDE}\n".encode()
    assert (etc / OWN_FILE).read_text().endswith(f"\n\n{LINES}")
    assert install(etc) == []
    assert sorted(path.name for path in etc.iterdir()) == [OWN_FILE, "extensions.conf"]
    assert remove(etc) == [etc / "extensions.conf", etc / OWN_FILE]
    assert (etc / "extensions.conf").read_bytes() == EXTENSIONS
    assert [path.name for path in etc.iterdir()] == ["extensions.conf"]
    assert remove(etc) == []


@pytest.mark.parametrize("before", [b"", b"[phones]", b"[phones]\n", b"[phones]\r\n", b"\n\n"])
def test_whatever_the_file_was_it_is_again(etc: Path, before: bytes) -> None:
    (etc / "extensions.conf").write_bytes(before)
    install(etc)
    assert INCLUDE.encode() in (etc / "extensions.conf").read_bytes().splitlines()
    remove(etc)
    assert (etc / "extensions.conf").read_bytes() == before


def test_the_difference_is_what_becomes_of_the_files(etc: Path) -> None:
    own, including = Folder(etc, Flavour.VANILLA).installing(LINES, replace=False)
    assert own.difference().startswith(f"--- /dev/null\n+++ {etc / OWN_FILE}\n")
    assert f"+{LINES.splitlines()[0]}\n" in own.difference()
    assert f"+{INCLUDE}\n" in including.difference()
    assert [path.name for path in etc.iterdir()] == ["extensions.conf"], "nothing is written yet"


def test_other_lines_change_the_own_file_alone(etc: Path) -> None:
    install(etc)
    assert install(etc, LINES + "; more\n") == [etc / OWN_FILE]
    assert (etc / OWN_FILE).read_text().endswith("; more\n")


@pytest.mark.parametrize("line", [f'#include "{OWN_FILE}"', f"  #include /etc/asterisk/{OWN_FILE} ; ours", INCLUDE])
def test_a_line_that_includes_it_already_is_enough(etc: Path, line: str) -> None:
    (etc / "extensions_local.conf").write_text(f"[x]\n{line}\n[y]\n")
    assert install(etc) == [etc / OWN_FILE]
    remove(etc)
    assert (etc / "extensions_local.conf").read_text() == "[x]\n[y]\n"


def test_what_only_looks_like_it_is_left_alone(etc: Path) -> None:
    (etc / "extensions.conf").write_text(f";{INCLUDE}\n#include my-{OWN_FILE}\n")
    assert install(etc) == [etc / OWN_FILE, etc / "extensions.conf"]
    remove(etc)
    assert (etc / "extensions.conf").read_text() == f";{INCLUDE}\n#include my-{OWN_FILE}\n"


def test_changed_by_hand(etc: Path) -> None:
    install(etc)
    own = etc / OWN_FILE
    own.write_text(own.read_text().replace("Hangup()", "Hangup(17)"))
    with pytest.raises(FilesError, match="was changed by hand since"):
        install(etc)
    assert remove(etc) == [etc / "extensions.conf"]
    assert "Hangup(17)" in own.read_text(), "it stays, and is included no more"
    assert install(etc, replace=True) == [own, etc / "extensions.conf"]
    assert "Hangup(17)" not in own.read_text()


def test_a_copy_of_the_sample_is_not_overwritten(etc: Path) -> None:
    (etc / OWN_FILE).write_text(LINES)
    with pytest.raises(FilesError, match="was not written by Astergram"):
        install(etc)


def test_mode_and_owner_are_kept(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: owners.append((uid, gid)))
    if os.geteuid() == 0:
        os.chown(etc / "extensions.conf", 12345, 23456)
    install(etc)
    for name in (OWN_FILE, "extensions.conf"):
        assert stat.S_IMODE((etc / name).stat().st_mode) == 0o640
    if os.geteuid() == 0:
        assert owners == [(12345, 23456)] * 2


def test_a_link_stays_one(etc: Path, tmp_path: Path) -> None:
    real = tmp_path / "kept.conf"
    (etc / "extensions.conf").rename(real)
    (etc / "extensions.conf").symlink_to(real)
    install(etc)
    assert (etc / "extensions.conf").is_symlink()
    assert real.read_bytes() == EXTENSIONS + f"{INCLUDE}\n".encode()
    remove(etc)
    assert real.read_bytes() == EXTENSIONS


def test_freepbx_has_a_file_for_it(etc: Path) -> None:
    with pytest.raises(FilesError, match=r"has no extensions_custom\.conf"):
        install(etc, flavour=Flavour.FREEPBX)
    (etc / "extensions_custom.conf").write_text("")
    assert install(etc, flavour=Flavour.FREEPBX) == [etc / OWN_FILE, etc / "extensions_custom.conf"]
    remove(etc)
    assert (etc / "extensions_custom.conf").read_text() == ""


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=f"there is no folder {tmp_path}/nowhere"):
        install(tmp_path / "nowhere")


def test_contexts_of_other_files(etc: Path) -> None:
    (etc / "extensions_local.conf").write_text(
        "; [from-telegram]\n[to-telegram](+)\n [from-berlin]\n[from-telegram-too]\n"
    )
    (etc / OWN_FILE).write_text("[from-telegram]\n")
    found = Folder(etc, Flavour.VANILLA).elsewhere(["from-telegram", "to-telegram", "from-berlin"])
    assert found == {"to-telegram": "extensions_local.conf", "from-berlin": "extensions_local.conf"}


def test_a_change_meanwhile_is_not_undone(etc: Path) -> None:
    changes = Folder(etc, Flavour.VANILLA).installing(LINES, replace=False)
    (etc / "extensions.conf").write_text("; somebody else's\n")
    with pytest.raises(FilesError, match="this very moment"):
        carry_out(changes)
    assert (etc / "extensions.conf").read_text() == "; somebody else's\n"


@pytest.mark.parametrize("refused", ["mkstemp", "replace"])
def test_what_may_not_be_written_is_said_and_nothing_is_left(
    etc: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    changes = Folder(etc, Flavour.VANILLA).installing(LINES, replace=False)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(etc))

    monkeypatch.setattr("tempfile.mkstemp" if refused == "mkstemp" else "pathlib.Path.replace", refuse)
    with pytest.raises(FilesError, match=f"{etc} may not be written: run this as root"):
        carry_out(changes)
    assert [path.name for path in etc.iterdir()] == ["extensions.conf"]


def test_what_may_not_be_read_is_said(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FilesError, match=r"can't be read \(Permission denied\): run this as root"):
        install(etc)
