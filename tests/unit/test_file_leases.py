"""Leases among the programs of one machine: what the kernel and the disk have to do with them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ari_app.cluster.file_leases import FileLeases

LINE = "+49301234567"
PATIENCE_S = 30.0
HOLDER = """
import asyncio, sys
from pathlib import Path
from ari_app.cluster.file_leases import FileLeases

async def main():
    async with FileLeases(Path(sys.argv[1])).hold(sys.argv[2]) as held:
        print(held.token, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def token(folder: Path) -> int:
    async with asyncio.timeout(PATIENCE_S):
        async with FileLeases(folder).hold(LINE) as held:
            return held.token


def test_a_holder_that_is_killed_is_followed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path, LINE], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        first = int(holder.stdout.readline())

        async def next_one() -> int:
            task = asyncio.create_task(token(tmp_path))
            await asyncio.sleep(0)
            assert not task.done()
            holder.kill()
            return await task

        assert asyncio.run(next_one()) == first + 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"token"', b"[]", b'{"token": "x", "hand_to": null}', b"\xff"])
def test_a_file_that_was_half_written_keeps_nobody_away(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "49301234567.lease").write_bytes(content)
    assert asyncio.run(token(tmp_path)) == 1
    assert asyncio.run(token(tmp_path)) == 2


def test_a_disk_that_is_full_is_told_and_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            asyncio.run(token(tmp_path))
    assert asyncio.run(token(tmp_path)) == 1


def test_its_files_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "leases"
    asyncio.run(token(folder))
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert json.loads(file.read_bytes()) == {"token": 1, "hand_to": None}
