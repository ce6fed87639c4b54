"""The dialplan as a file of Asterisk's configuration: a file of Astergram's own, and one line that includes it.

What is to be written is planned first, so that the difference can be shown; nothing else in the folder is touched. The
own file begins with the checksum of its lines, by which a change by hand is seen.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ari_app.doctor.dialplan import Flavour

OWN_FILE = "extensions-astergram.conf"
INCLUDE = f"#include {OWN_FILE}"
INCLUDED_BY = {Flavour.VANILLA: "extensions.conf", Flavour.FREEPBX: "extensions_custom.conf"}
"""Where the include goes. FreePBX writes its other files anew; MikoPBX all of them, so that it has none."""
_HEAD = """\
; Written by `astergram dialplan install`, which writes it anew; `astergram dialplan remove` takes it away.
; Lines of your own belong into another file. What follows has the checksum {checksum}.

"""
_CHECKSUM = re.compile(r"checksum ([0-9a-f]{64})\.$", re.MULTILINE)
_INCLUDE_LINE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+["<]?([^">\s;]+)[">]?[ \t]*(?:;.*)?$', re.MULTILINE)
_HEADER = re.compile(rb"^[ \t]*\[([^\]\r\n]+)\]", re.MULTILINE)


class FilesError(Exception):
    """The files can't be written as they should be; the text is a sentence that says what to do."""


@dataclass(frozen=True)
class Change:
    """A file as it is and as it will be, None where there is none; a new one gets owner and mode of ``like``."""

    path: Path
    before: bytes | None
    after: bytes | None
    like: Path

    def difference(self) -> str:
        """As `diff -u` shows it."""
        old, new = (
            [] if text is None else text.decode(errors="replace").splitlines() for text in (self.before, self.after)
        )
        was, will_be = (os.devnull if text is None else str(self.path) for text in (self.before, self.after))
        return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, was, will_be, lineterm=""))


@dataclass(frozen=True)
class Folder:
    """Asterisk's configuration, /etc/asterisk or another folder, for one kind of Asterisk."""

    path: Path
    flavour: Flavour

    @property
    def own(self) -> Path:
        """Astergram's file."""
        return self.path / OWN_FILE

    def elsewhere(self, wanted: Iterable[str]) -> dict[str, str]:
        """Which of these contexts other files of the dialplan have, and which file. Raises FilesError."""
        names = set(wanted)
        found: dict[str, str] = {}
        for path, text in self._others().items():
            for match in _HEADER.finditer(text):
                if (name := match[1].decode(errors="replace")) in names:
                    found.setdefault(name, path.name)
        return found

    def installing(self, text: str, *, replace: bool) -> list[Change]:
        """What it takes to have these lines in the dialplan: nothing, if they are there. Raises FilesError.

        ``replace``: also in place of a file that was changed by hand.
        """
        name = INCLUDED_BY[self.flavour]
        including, others, before = self.path / name, self._others(), _read(self.own)
        if including not in others:
            raise FilesError(
                f"{self.path} has no {name}: say with --to where Asterisk has its configuration, and with --pbx which"
                " kind it is"
            )
        if before is not None and not replace and not _is_ours(before):
            raise FilesError(
                f"{self.own} was not written by Astergram, or was changed by hand since: move your lines to a file of"
                " your own, or add --replace to lose them"
            )
        changes = [Change(self.own, before, _signed(text), like=including)]
        if not any(_includes(found) for found in others.values()):
            changes.append(_changed(including, others[including], _with_include(others[including])))
        return [change for change in changes if change.before != change.after]

    def removing(self) -> list[Change]:
        """What it takes to undo it. A file that was changed by hand stays, without a line that includes it."""
        changes = [_changed(path, text, _without_include(text)) for path, text in self._others().items()]
        before = _read(self.own)
        if before is not None and _is_ours(before):
            changes.append(Change(self.own, before, None, like=self.own))
        return [change for change in changes if change.before != change.after]

    def _others(self) -> dict[Path, bytes]:
        """The dialplan's other files."""
        if not self.path.is_dir():
            raise FilesError(f"there is no folder {self.path}: say with --to where Asterisk has its configuration")
        try:
            paths = sorted(path for path in self.path.iterdir() if path.match("extensions*.conf"))
        except OSError as error:
            raise FilesError(_unreadable(self.path, error)) from error
        texts = {path: _read(path) for path in paths if path.name != OWN_FILE}
        return {path: text for path, text in texts.items() if text is not None}


def _changed(path: Path, before: bytes, after: bytes) -> Change:
    """A change of a file: of itself, where the path is a link to it."""
    return Change(path.resolve(), before, after, like=path)


def carry_out(changes: Iterable[Change]) -> None:
    """Write each file as a whole, with the owner and mode of the one that it replaces, or of its neighbour.

    Raises FilesError, also where a file is not any more as it was when the change was planned.
    """
    for change in changes:
        try:
            if _read(change.path) != change.before:
                raise FilesError(f"{change.path} has changed this very moment: look at the difference again")
            if change.after is None:
                change.path.unlink()
            else:
                _write(change.path, change.after, (change.like if change.before is None else change.path).stat())
        except PermissionError as error:
            raise FilesError(
                f"{error.filename or change.path} may not be written: run this as root, or as the user that owns it"
            ) from error
        except OSError as error:
            raise FilesError(f"{change.path} was not written: {error.strerror or error}") from error


def _write(path: Path, text: bytes, like: os.stat_result) -> None:
    """Put a file in place at once: whoever reads it meanwhile gets the old one or the new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            made = os.fstat(file.fileno())
            if (like.st_uid, like.st_gid) != (made.st_uid, made.st_gid):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), like.st_mode & 0o7777)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    """A file; None where it is not there. Raises FilesError."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FilesError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} can't be read ({error.strerror}): run this as root, or as the user that Asterisk runs as"


def _signed(text: str) -> bytes:
    return (_HEAD.format(checksum=_checksum(text)) + text).encode()


def _is_ours(file: bytes) -> bool:
    """Whether Astergram has written it, and nobody has changed it since."""
    text = file.decode(errors="replace")
    head, _, lines = text.partition("\n\n")
    signed = _CHECKSUM.search(head)
    return signed is not None and signed[1] == _checksum(lines)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _includes(text: bytes) -> list[re.Match[bytes]]:
    """The lines that include Astergram's file."""
    return [match for match in _INCLUDE_LINE.finditer(text) if match[1].rpartition(b"/")[2] == OWN_FILE.encode()]


def _with_include(text: bytes) -> bytes:
    """With the line at its end. What has no newline at its end gets none, so that it can be undone."""
    line = INCLUDE.encode()
    return text + line + b"\n" if text.endswith(b"\n") or not text else text + b"\n" + line


def _without_include(text: bytes) -> bytes:
    for match in reversed(_includes(text)):
        start, end = match.span()
        if end < len(text):
            end += 1  # its newline
        elif start:
            start -= 1  # the one that was put before it
        text = text[:start] + text[end:]
    return text
