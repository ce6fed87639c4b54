"""Backups on the page, by the API and on the command line; put in place when the program is started again."""

import errno
import json
import os
import re
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pyrage
import pytest

from ari_app.backups import backups
from ari_app.backups.archive import DATABASE
from ari_app.backups.staging import put_in_place
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from tests.integration.command import astergram, done, refused
from tests.integration.test_cli import written
from tests.integration.web_helpers import Site, form_in, held_to_its_document, program, signed_in, site, user
from tests.integration.web_lines import LINE, lines_site

HERE = "/settings/backups"
PASSPHRASE = "correct horse battery"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "state").mkdir()
    async with site(tmp_path / "state") as served:
        yield served


async def test_one_is_made_downloaded_prepared_and_removed(page: Site) -> None:
    its = page.services.backups
    async with signed_in(page) as admin:
        first = await admin.get(HERE)
        assert "There is no backup yet." in first.text
        assert "Backups are not encrypted" in first.text
        fields = form_in(first, HERE)
        short = await admin.post(HERE, fields | {"passphrase": "short", "at": "25:00"})
        assert (short.status, "Enter a time of day" in short.text) == (422, True)
        saved = await admin.post(HERE, fields | {"passphrase": PASSPHRASE, "keep": "3"})
        assert (saved.status, "Saved." in saved.text, PASSPHRASE in saved.text) == (200, True, False)
        made = await admin.post(f"{HERE}/make")
        [file] = await its.files()
        assert (made.path, file.name in made.text, file.encrypted) == (HERE, True, True)
        got = await admin.get(f"{HERE}/{file.name}/file")
        assert pyrage.passphrase.decrypt(got.raw, PASSPHRASE).startswith(b"\x1f\x8b")
        wrong = await admin.post(f"{HERE}/{file.name}/restore", {"passphrase": "another passphrase"})
        assert (wrong.status, "is encrypted with another passphrase" in wrong.text) == (422, True)
        assert its.staged is None
        prepared = await admin.post(f"{HERE}/{file.name}/restore", {"passphrase": ""})
        assert (prepared.path, "is put in place when Astergram is started again" in prepared.text) == (HERE, True)
        cancelled = await admin.post(f"{HERE}/restore/cancel")
        assert (cancelled.path, its.staged) == (HERE, None)
        assert (await admin.post(f"{HERE}/{file.name}/remove")).path == HERE
        for path in (f"{HERE}/{file.name}/file", f"{HERE}/..%2Fastergram.db/file"):
            assert (await admin.get(path)).status == 404
        log = (await admin.get("/audit")).text
        for said in ("Backup made", "Backup downloaded", "Restore prepared for the next start", "Backup removed"):
            assert said in log, said
        assert PASSPHRASE not in log


async def test_a_restore_that_can_not_be_cancelled_says_why(page: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(here: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(here / "restore-staged"))

    monkeypatch.setattr(backups, "unstage", unwritable)
    async with signed_in(page) as admin:
        answer = await admin.post(f"{HERE}/restore/cancel")
        assert (answer.status, "Permission denied" in answer.text) == (409, True)


async def test_who_may(page: Site) -> None:
    file = await page.services.backups.make()
    async with user(page, "operator") as operator, program(page) as cli:
        for path in (HERE, f"{HERE}/{file.name}/file", "/api/backups", f"/api/backups/files/{file.name}"):
            assert (await operator.get(path)).status == 403, path
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "its", "scope": "admin"})).json()
        async with program(page, made["token"]) as its:
            assert (await its.get("/api/backups")).status == 200
            refusals = [
                await its.get(f"/api/backups/files/{file.name}"),
                await its.ask("POST", f"/api/backups/files/{file.name}/restore", json={}),
            ]
            assert [(each.status, "No API token may" in each.text) for each in refusals] == [(403, True)] * 2


async def test_the_api(page: Site) -> None:
    async with program(page) as cli:
        changed = await cli.ask("PATCH", "/api/backups/settings", json={"passphrase": PASSPHRASE, "schedule": "daily"})
        assert (await changed.json())["passphrase"] == "set"
        assert PASSPHRASE not in (await cli.get("/api/backups/settings")).text
        made = await (await cli.ask("POST", "/api/backups")).json()
        assert (await (await cli.get("/api/backups")).json())["files"] == [made]
        assert (await cli.get(f"/api/backups/files/{made['name']}")).raw.startswith(b"age-encryption.org/")
        restore = f"/api/backups/files/{made['name']}/restore"
        assert (await cli.ask("POST", restore, json={"passphrase": "another passphrase"})).status == 403
        assert (await (await cli.ask("POST", restore, json={})).json())["name"] == made["name"]
        assert (await (await cli.get("/api/backups")).json())["staged"]["name"] == made["name"]
        assert (await cli.ask("DELETE", "/api/backups/restore")).status == 204
        assert (await cli.ask("DELETE", f"/api/backups/files/{made['name']}")).status == 204
        assert (await cli.ask("DELETE", f"/api/backups/files/{made['name']}")).status == 404


@pytest.mark.timeout(180)
async def test_the_api_keeps_to_its_document(page: Site, tmp_path: Path) -> None:
    await page.services.backups.make()
    beyond = ("--exclude-checks", "positive_data_acceptance")
    await held_to_its_document(page, tmp_path, "^/api/backups/settings", *beyond)


async def test_the_command_line(page: Site, tmp_path: Path) -> None:
    config = written(tmp_path / "state")
    await done("backups", "settings", "schedule=hours", "hours=6", "--config", config)
    shown = json.loads(await done("backups", "settings", "--json", "--config", config))
    assert (shown["schedule"], shown["hours"], shown["passphrase"]) == ("hours", 6, None)
    said = await done("backups", "make", "--config", config)
    [name] = re.findall(r"astergram-\S+\.tar\.gz", said)
    assert "not encrypted" in await done("backups", "list", "--config", config)
    assert "start Astergram again" in await done("backups", "restore", name, "--yes", "--config", config)
    assert "waits" in await done("backups", "list", "--config", config)
    await done("backups", "cancel", "--config", config)
    await done("backups", "remove", name, "--yes", "--config", config)
    assert "There is no backup yet" in await done("backups", "list", "--config", config)
    assert "no backup" in await refused(1, "backups", "remove", name, "--yes", "--config", config)


async def test_what_was_prepared_is_there_after_the_next_start(tmp_path: Path) -> None:
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        async with lines_site(tmp_path, telegram, [LineSettings(number=LINE, name="Sales")]) as its:
            file = await its.site.services.backups.make()
            with tarfile.open(its.site.services.backups.folder / file.name) as archive:
                assert DATABASE in archive.getnames()
            await its.book.change(LINE, {"name": "Changed"})
            async with program(its.site) as cli:
                await cli.ask("POST", f"/api/backups/files/{file.name}/restore", json={})
        async with lines_site(tmp_path, telegram) as its:
            assert its.book.settings(LINE).name == "Sales"
            async with program(its.site) as cli:
                found = await (await cli.get("/api/audit?action=backup%20restored")).json()
                assert [(each["kind"], each["subject"]) for each in found["entries"]] == [("command line", file.name)]
        assert put_in_place(tmp_path / "state") is None


async def test_encrypted_by_hand_and_restored_elsewhere(page: Site, tmp_path: Path) -> None:
    config, file = written(tmp_path / "state"), tmp_path / "by hand.age"
    for typed, said in (("short", "12 characters at least"), (PASSPHRASE, "sessions")):
        async with astergram("backup", "--encrypt", file, "--config", config) as command:
            command.type(typed)
            await command.ends()
            assert said in command.printed
            assert file.exists() is (typed == PASSPHRASE)
    (tmp_path / "new").mkdir()
    elsewhere = written(tmp_path / "new")
    for typed, said in (("another passphrase", "another passphrase"), (PASSPHRASE, "restored")):
        async with astergram("restore", file, "--config", elsewhere) as command:
            command.type(typed)
            await command.ends()
            assert said in command.printed
