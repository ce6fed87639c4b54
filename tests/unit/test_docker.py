"""The images for containers: hadolint finds nothing, and what they copy and mount is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
ROOT = DOCKER.parent
HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.mark.parametrize("path", ["Dockerfile", "asterisk/Dockerfile"])
def test_hadolint_finds_nothing(path: str) -> None:
    done = subprocess.run([HADOLINT, "--no-color", DOCKER / path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_copied_is_there() -> None:
    for copied in re.findall(r"^COPY (?!--)(.*) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE):
        assert all((ROOT / each).exists() for each in copied.split()), copied


def test_what_is_built_is_there() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    built = re.findall(r"(?:build|dockerfile): (\S+)", text)
    assert built == ["asterisk", "docker/Dockerfile"]
    assert (DOCKER / built[0] / "Dockerfile").exists()
    assert (ROOT / built[1]).exists()


def test_the_page_names_the_image_s_user() -> None:
    (user,) = re.findall(r"^USER (\d+):", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert f"root:{user}" in (ROOT / "docs/docker.md").read_text()
