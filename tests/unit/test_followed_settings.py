"""What can't be taken over from another machine is left out, and said once."""

import logging
from typing import Any

import pytest

from ari_app.lines.followed import FollowedSettings

LINE = "+79990000001"


class Refusing:
    """Lines and an installation that nothing fits."""

    def __init__(self) -> None:
        self.error = ValueError("of_a_newer_version")

    async def follow(self, *what: Any) -> None:
        raise self.error


async def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    refusing: Any = Refusing()
    settings = FollowedSettings(refusing, refusing)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await settings.follow(LINE, "{}")
            await settings.follow("installation", "{}")
        refusing.error = ValueError("something else")
        await settings.follow(LINE, "{}")
    said = [record.getMessage() for record in caplog.records]
    assert [text.partition(" stays")[0].rpartition(" ")[2] for text in said] == [LINE, "installation", LINE]
    assert "of_a_newer_version" in said[0] and "something else" in said[2]
