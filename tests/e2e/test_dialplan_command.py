"""`astergram dialplan`: what it installs makes a real Asterisk call and be called, and it all goes again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.config import load
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage, stage
from ari_app.telegram.phone import DiscardReason
from tests.integration.command import astergram, done, refused

EXTENSIONS = """\
[general]
static = yes

[phones]
include => phones-to-telegram
exten => _10X,1,Dial(PJSIP/${EXTEN},30,tT)
"""
CALLBACK = "600@back"


@pytest.fixture
async def sandbox(tmp_path: Path, asterisk_tree: Tree) -> AsyncIterator[Stage]:
    async with stage(tmp_path, tree=asterisk_tree) as made:
        (made.asterisk.run_dir / "etc" / "extensions.conf").write_text(EXTENSIONS)
        await made.asterisk.cli("dialplan reload")
        yield made


async def configuration(sandbox: Stage, *, ami: bool = True) -> Path:
    asterisk = sandbox.asterisk
    login = {"port": asterisk.ami_port, "user": asterisk.ami_user, "password": asterisk.ami_password}
    sections: dict[str, Any] = {"ami": login} if ami else {}
    lines = [{"number": LINE, "card": {"callback": CALLBACK}}]
    return await sandbox.configuration(lines=lines, **sections)


@pytest.mark.asterisk_16
async def test_installed_checked_at_work_and_removed(sandbox: Stage) -> None:
    config = await configuration(sandbox)
    etc = sandbox.asterisk.run_dir / "etc"
    where, wishes = ("--to", etc, "--config", config), ("--incoming", "101@phones", "--prefix", "*9")
    missing = await refused(1, "dialplan", "check", "--config", config)
    assert f"no extension {LINE[1:]} in [from-telegram]" in missing
    assert "no extension 600 in [back]" in missing

    unconfirmed = await refused(2, "dialplan", "install", *wishes, *where)
    assert "+exten => _*9XXXXXX." in unconfirmed
    assert "add --yes" in unconfirmed
    assert (etc / "extensions.conf").read_text() == EXTENSIONS

    shown = await done("dialplan", "install", "--yes", *wishes, *where)
    assert "+#include extensions-astergram.conf" in shown
    assert "asterisk -rx 'dialplan reload'" in shown
    assert "nothing was changed" in await done("dialplan", "install", *wishes, *where)
    await sandbox.asterisk.cli("dialplan reload")
    assert "✓ ok" in await done("dialplan", "check", "--config", config)

    await sandbox.sign_in_lines(load(config))
    async with (
        astergram("run", "--config", config) as program,
        SipPhone(sandbox.asterisk, "101") as phone,
        sandbox.person(ANNA) as anna,
    ):
        await program.until("ready: 1 of 1 lines")
        await phone.dial(f"*9{ANNA[1:]}")
        await (await anna.incoming()).hang_up(DiscardReason.BUSY)
        assert (await phone.closed()).startswith("486")
        call = await anna.call(LINE)
        await phone.incoming()
        await call.hang_up(DiscardReason.MISSED)
        await phone.closed()

    assert "-#include extensions-astergram.conf" in await done("dialplan", "remove", "--yes", *where)
    assert (etc / "extensions.conf").read_text() == EXTENSIONS
    assert not (etc / "extensions-astergram.conf").exists()
    await sandbox.asterisk.cli("dialplan reload")
    assert "no extension" in await refused(1, "dialplan", "check", "--config", config)


async def test_what_phones_do_not_reach_is_said(sandbox: Stage) -> None:
    config = await configuration(sandbox)
    etc = sandbox.asterisk.run_dir / "etc"
    for include, said in (
        ("", "No context includes [phones-to-telegram]"),
        ("include => to-telegram", "[phones] includes [to-telegram]"),
    ):
        (etc / "extensions.conf").write_text(EXTENSIONS.replace("include => phones-to-telegram", include))
        await done("dialplan", "install", "--yes", "--to", etc, "--config", config)
        await sandbox.asterisk.cli("dialplan reload")
        assert said in await refused(1, "dialplan", "check", "--config", config)


async def test_calls_that_go_on_nowhere_are_said(sandbox: Stage) -> None:
    """As on a MikoPBX without an incoming route for the line."""
    config = await configuration(sandbox)
    etc = sandbox.asterisk.run_dir / "etc"
    lines = await done("dialplan", "print", "--incoming", "777@phones", "--config", config)
    (etc / "extensions.conf").write_text(EXTENSIONS + lines)
    await sandbox.asterisk.cli("dialplan reload")
    said = await refused(1, "dialplan", "check", "--config", config)
    assert "its calls go on at 777 in [phones], which does not exist" in said


async def test_without_ami_nothing_is_checked(sandbox: Stage) -> None:
    config = await configuration(sandbox, ami=False)
    assert "AMI is not configured" in await refused(1, "dialplan", "check", "--config", config)
    assert '"problems": 0' in await refused(1, "dialplan", "check", "--json", "--config", config)


async def test_what_can_not_be_installed_is_said(sandbox: Stage) -> None:
    config = await configuration(sandbox)
    etc = sandbox.asterisk.run_dir / "etc"

    async def said(*arguments: str | Path) -> str:
        return await refused(1, "dialplan", "install", *arguments, "--yes", "--config", config)

    assert "System → System file customization" in await said("--pbx", "mikopbx", "--to", etc)
    assert "there is no folder" in await said("--to", etc / "nowhere")
    assert "has no extensions_custom.conf" in await said("--to", etc, "--pbx", "freepbx")
    (etc / "extensions.conf").write_text(
        EXTENSIONS + "[to-telegram]\nexten => _[+@0-9t].,1,Stasis(telegram,${EXTEN})\n"
    )
    assert "has [to-telegram] already: take that out first" in await said("--to", etc)
    (etc / "extensions.conf").write_text(EXTENSIONS + "[from-telegram]\nexten => _X.,1,Goto(phones,102,1)\n")
    shown = await done("dialplan", "install", "--yes", "--to", etc, "--config", config)
    assert "[from-telegram] of extensions.conf takes incoming calls" in shown
    own = (etc / "extensions-astergram.conf").read_text()
    assert "[back]" in own
    assert "[from-telegram]" not in own
