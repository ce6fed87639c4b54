"""Somebody who has called, was called, has written and got a card is erased: nothing of them is left in any file."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ari_app.api_client import program as api_of
from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage
from ari_app.sandbox.telegram import Audience
from ari_app.telegram.phone import DiscardReason
from tests.e2e.whole_program import whole_program
from tests.unit.webhook_receiver import receiver

NAME, USERNAME = "Аннушка", "annushka"
HERE = "/people/%2B79990000002"


@pytest.mark.timeout(180)
async def test_nothing_is_left_in_any_file(sandbox: Stage) -> None:
    telegram = sandbox.telegram
    anna_id = telegram.add_user(ANNA, NAME, "", USERNAME, privacy={"phone_number": Audience.EVERYBODY}).id
    config = await sandbox.configuration(bot=sandbox.bot(), log={"mask": True})
    await sandbox.sign_in_lines(load(config))
    async with whole_program(config) as program, api_of(program.settings) as api, receiver() as crm:
        await program.until("1 of 1 lines")
        await program.until(r"bot: @\S+ is connected")
        await api.ask("POST", "/webhooks", {"url": crm.url, "message_text": True})
        await api.ask("POST", "/webhooks", {"url": "http://127.0.0.1:1/never", "message_text": True})
        await api.ask("PATCH", f"/lines/%2B{LINE[1:]}/settings", {"deny": [f"@{USERNAME}x", "@somebody"]})
        async with sandbox.person(ANNA) as anna:
            async with SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone:
                call = await anna.call(LINE)
                await call.confirm(None, None)
                await phone.established()
                await anna.keypad(LINE)
                await call.hang_up()
                await phone.closed()
            async with SipPhone(sandbox.asterisk, "101") as phone:
                await phone.dial(ANNA)
                call = await anna.incoming()
                await call.ring()
                await phone.wait_for("CALL_RINGING")
                await call.hang_up(DiscardReason.BUSY)
                await phone.closed()
            await program.until(r"card for \+7\*\*\*02")
            await anna.client.send_message(call.peer_id, f"Это {NAME}")
            await anna.sees(LINE, lambda chat: any(NAME in (each.message or "") for each in chat) or None)
        kept = (await api.ask("GET", HERE))["kept"]
        # Contacts wait up to a minute for their file.
        assert {kind for kind, count in kept.items() if count} >= {"calls", "cards", "deliveries", "lookups"}
        assert set(traces(program.settings.state_dir, anna_id))
        erased = (await api.ask("POST", f"{HERE}/erase", {"reference": "17"}))["erased"]
        assert erased["calls"] == kept["calls"] == 2
        assert set((await api.ask("GET", f"/people/{anna_id}"))["kept"].values()) == {0}
        left = sorted(set(traces(program.settings.state_dir, anna_id)))
        assert left == []
        calls = (await api.ask("GET", "/calls"))["calls"]
        assert [each["answered"] for each in calls] == [False, True]
        await program.stop()
    assert sorted(set(traces(program.settings.state_dir, anna_id))) == []
    assert "unexpected error" not in program.printed


def traces(folder: Path, id: int) -> Iterator[tuple[str, Any]]:
    """What of her is in which file of the state directory."""
    for path in filter(Path.is_file, folder.rglob("*")):
        content = path.read_bytes()
        for trace in (ANNA[2:], NAME, rf"{USERNAME}(?!\w)", str(id)):
            if re.search(trace.encode(), content):
                yield path.name, trace
        if path.suffix == ".session":
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                for row in db.execute("SELECT * FROM entities WHERE id = ?", [id]):
                    yield path.name, row
