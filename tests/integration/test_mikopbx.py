"""An Asterisk that loads what MikoPBX loads, and the modules to add to it: ARI works, and calls have their channel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

import dialplan
from ari_app.doctor import Grade, Topic
from ari_app.doctor.ari import requests_to
from ari_app.doctor.server import modules, read_server, transport
from ari_app.doctor.surroundings import Surroundings
from ari_app.sandbox.asterisk import PrivateAsterisk

SAMPLE = (Path(dialplan.__file__).parent / "modules-mikopbx.conf").read_text()
NOT_OF_MIKOPBX = ("func_global.so",)
"""Of the sandbox's modules; its others either MikoPBX has, too, or nothing of ours needs them."""


@pytest.mark.asterisk_16
async def test_the_modules_to_add_are_enough(asterisk: PrivateAsterisk) -> None:
    etc = asterisk.run_dir / "etc"
    added = re.findall(r"^load => (\S+)$", SAMPLE, re.MULTILINE)
    theirs = [
        line for line in (etc / "modules.conf").read_text().splitlines() if not line.endswith((*added, *NOT_OF_MIKOPBX))
    ]
    assert len(theirs) > 100
    await asterisk.kill()
    (etc / "modules.conf").write_text("\n".join(theirs) + "\n\n" + SAMPLE)
    await asterisk.start()  # and makes sure that ARI answers
    here = Surroundings(asterisk.ari_url, asterisk.ari_user, SecretStr(asterisk.ari_password), asterisk.run_dir)
    async with requests_to(here) as rest:
        server = await read_server(rest)
    assert not server.lacks(*(name.removesuffix(".so") for name in added))
    found = [*modules(server), *transport(server, here)]
    assert [finding.topic for finding in found if finding.grade is not Grade.OK] == [Topic.MODULES]
    assert ["func_global" in str(finding.sentence) for finding in found if finding.grade is not Grade.OK] == [True]
