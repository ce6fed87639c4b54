"""Which folder the demo takes, and which it leaves alone."""

from pathlib import Path

import pytest

from ari_app.sandbox.demo.folder import demo_folder
from ari_app.sandbox.processes import SandboxError


def test_what_an_earlier_demo_left_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        with demo_folder(tmp_path / "var" / "demo") as folder:
            assert [each.name for each in folder.iterdir()] == [".astergram-demo"]
            (folder / "report.json").write_text("{}")
            (folder / "recordings").mkdir()
            (folder / "recordings" / "in.wav").touch()


def test_somebodys_files_are_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SandboxError, match="holds files that no demo made"), demo_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with demo_folder(tmp_path), pytest.raises(SandboxError, match="another demo is at work"), demo_folder(tmp_path):
        pass
