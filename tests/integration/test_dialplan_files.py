"""Each file of dialplan/ as it is, loaded by a real Asterisk that does not complain; and the examples at work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

import dialplan
from ari_app.asterisk.ami import Ami
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import LegEnded
from ari_app.asterisk.legs import dialplan_leg
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.sip_phone import SipPhone
from tests.integration.ari_helpers import WAIT_S, connected, nothing_is_left

FOLDER = Path(dialplan.__file__).parent
FILES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.conf"))}
DIALPLANS = [name for name, text in FILES.items() if "exten => " in text]
CONFIGURATIONS = {
    "ari.conf": ("ari.conf", "module reload res_ari.so"),
    "cdr_custom.conf": ("cdr_custom.conf", "module reload cdr_custom.so"),
    "cel_custom.conf": ("cel_custom.conf", "module reload cel_custom.so"),
    "example-queues.conf": ("queues.conf", "queue reload all"),
    "http.conf": ("http.conf", "module reload http"),
    "manager.conf": ("manager.conf", "manager reload"),
    "manager-program.conf": ("manager.conf", "manager reload"),
}
"""Which file of Asterisk's a sample is for, and what has it loaded."""
READ_ONLY = {
    "cdr_adaptive_odbc.conf": "its module wants a database",
    "modules-mikopbx.conf": "test_mikopbx.py starts an Asterisk with it",
}
"""What is not loaded here, and why; it is read by Asterisk's own reader of configurations."""
MAIN = "extensions-astergram.conf"
CALLER = CallerId("Anna", "+79990000002")
LINE_EXTENSION = "79990000001"


@contextmanager
def no_complaint(asterisk: PrivateAsterisk) -> Iterator[None]:
    """Whatever is done inside, Asterisk writes no warning and no error to its log."""
    seen = len(asterisk.log.read_text())
    yield
    complaints = [line for line in asterisk.log.read_text()[seen:].splitlines() if re.search("WARNING|ERROR", line)]
    assert complaints == []


def contexts(text: str) -> list[str]:
    return re.findall(r"^\[([^\]]+)\]", text, re.MULTILINE)


async def load(asterisk: PrivateAsterisk, *names: str) -> None:
    """Have these samples be all of the dialplan, with the phones' context."""
    etc = asterisk.run_dir / "etc"
    includes = "".join(f'#include "{FOLDER / name}"\n' for name in names)
    (etc / "extensions.conf").write_text(f"[general]\n{includes}")
    with no_complaint(asterisk):
        await asterisk.cli("dialplan reload")


def test_every_file_is_tested() -> None:
    assert {*DIALPLANS, *CONFIGURATIONS, *READ_ONLY} == set(FILES)


@pytest.mark.asterisk_16
@pytest.mark.parametrize("name", DIALPLANS)
async def test_a_dialplan_loads(asterisk: PrivateAsterisk, name: str) -> None:
    await load(asterisk, *dict.fromkeys((name, MAIN)) if name.startswith("example-") else (name,))
    for context in contexts(FILES[name]):
        shown = await asterisk.cli(f"dialplan show {context}")
        assert f"[ Context '{context}'" in shown
        wanted = re.search(rf"^\[{re.escape(context)}\]\n(.*?)(?=^\[|\Z)", FILES[name], re.MULTILINE | re.DOTALL)
        assert wanted
        extensions = re.findall(r"^exten => ([^,]+),", wanted[1], re.MULTILINE)
        assert extensions
        for extension in extensions:
            assert f"'{extension}' =>" in shown


@pytest.mark.asterisk_16
@pytest.mark.parametrize("name", CONFIGURATIONS)
async def test_a_configuration_loads(asterisk: PrivateAsterisk, name: str) -> None:
    file, command = CONFIGURATIONS[name]
    (asterisk.run_dir / "etc" / file).write_text(FILES[name])
    with no_complaint(asterisk):
        said = await asterisk.cli(command)
    assert "No such" not in said


@pytest.mark.parametrize("name", READ_ONLY)
async def test_a_configuration_can_be_read(asterisk: PrivateAsterisk, name: str) -> None:
    (asterisk.run_dir / "etc" / name).write_text(f"[modules]\n{FILES[name]}" if "modules" in name else FILES[name])
    async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
        with no_complaint(asterisk):
            read = await ami.action("GetConfig", Filename=name)
    assert len([field for field in read.fields if field.startswith("Line-")]) == FILES[name].count("=")


# --- the examples at work


async def _with_examples(asterisk: PrivateAsterisk) -> None:
    etc = asterisk.run_dir / "etc"
    (etc / "queues.conf").write_text(FILES["example-queues.conf"])
    await asterisk.cli("queue reload all")
    await load(asterisk, MAIN, "example-incoming.conf", "example-callback.conf")


async def _rings(client: AriClient, phone: SipPhone, context: str, extension: str, keys: str, *, answers: bool) -> None:
    """A call there gets to the phone, after some keys; ``answers``: the dialplan answers before the phone does."""
    async with dialplan_leg(client, extension=extension, context=context, caller_id=CALLER) as leg:
        if answers:
            await leg.answered()
        for key in keys:
            await leg.press(key)
        await phone.incoming()
        await phone.answer()
        await phone.established()
        await leg.answered()
    await phone.closed()
    await nothing_is_left(client)


async def test_incoming_calls_get_to_a_phone(asterisk: PrivateAsterisk) -> None:
    await _with_examples(asterisk)
    async with connected(asterisk) as client, SipPhone(asterisk, "101") as phone:
        await _rings(client, phone, "telegram-direct", LINE_EXTENSION, "", answers=False)
        await _rings(client, phone, "telegram-queue", LINE_EXTENSION, "", answers=True)
        await _rings(client, phone, "telegram-menu", LINE_EXTENSION, "101", answers=True)
        await _rings(client, phone, "telegram-menu", LINE_EXTENSION, "0", answers=True)
        await _rings(client, phone, "telegram-callback", "600", "", answers=False)


async def logged(asterisk: PrivateAsterisk, text: str) -> None:
    """Wait until Asterisk's log says so."""
    async with asyncio.timeout(WAIT_S):
        while text not in asterisk.log.read_text():  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.1)


async def test_who_waits_in_the_queue_is_told_their_position(asterisk: PrivateAsterisk) -> None:
    await _with_examples(asterisk)
    async with (
        connected(asterisk) as client,
        dialplan_leg(client, extension="s", context="telegram-queue", caller_id=CALLER) as leg,
    ):
        await leg.answered()
        await logged(asterisk, "queue-youarenext")


async def test_whom_nobody_answers_gets_the_voicemail(asterisk: PrivateAsterisk) -> None:
    await _with_examples(asterisk)
    async with connected(asterisk) as client:
        for context in ("telegram-direct", "telegram-voicemail"):
            async with dialplan_leg(client, extension=LINE_EXTENSION, context=context, caller_id=CALLER) as leg:
                await leg.answered()  # by VoiceMail(): there is no phone
        async with dialplan_leg(client, extension="9", context="telegram-callback", caller_id=CALLER) as leg:
            with pytest.raises(LegEnded):
                await leg.answered()


@pytest.mark.parametrize(
    ("when", "where"), [("2026-12-02T12:00+01:00", "telegram-queue"), ("2026-12-06T12:00+01:00", "telegram-voicemail")]
)
async def test_opening_hours(asterisk: PrivateAsterisk, when: str, where: str) -> None:
    """A Wednesday, and a Sunday."""
    await _with_examples(asterisk)
    now = {"TESTTIME": str(int(datetime.fromisoformat(when).timestamp()))}
    async with (
        connected(asterisk) as client,
        dialplan_leg(
            client, extension=LINE_EXTENSION, context="telegram-hours", caller_id=CALLER, variables=now
        ) as leg,
    ):
        await leg.answered()
    assert f"[s@{where}:1]" in asterisk.log.read_text()


@pytest.mark.parametrize("keys", ["201", "9"])
async def test_a_menu_reaches_no_other_extension(asterisk: PrivateAsterisk, keys: str) -> None:
    await _with_examples(asterisk)
    async with (
        connected(asterisk) as client,
        dialplan_leg(client, extension=LINE_EXTENSION, context="telegram-menu", caller_id=CALLER) as leg,
    ):
        await leg.answered()
        for key in keys:
            await leg.press(key)
        await logged(asterisk, "pbx-invalid")
