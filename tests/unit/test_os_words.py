"""What the operating system says, without its numbers."""

import socket
from pathlib import Path

import pytest

from ari_app.os_words import in_words

NOWHERE = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(111, "Connect call failed ('127.0.0.1', 9)"), "Connection refused"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("the tunnel is down"), "the tunnel is down"),
        (NOWHERE, "Name or service not known"),
        (OSError(), "OSError"),
    ],
)
def test_in_words(error: OSError, said: str) -> None:
    assert in_words(error) == said


def test_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError) as failed:
        (tmp_path / "nothing").read_text()
    assert in_words(failed.value) == f"{tmp_path}/nothing: No such file or directory"
