"""A card's files: only what they should be is kept, and no other file is ever opened."""

import json
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr
from sqlite_utils import Database

from ari_app.backups.archive import back_up, restore
from ari_app.cluster.shared_files import OwnFiles
from ari_app.cluster.shared_settings import NotShared
from ari_app.config import AsteriskSettings, Settings
from ari_app.i18n import message
from ari_app.lines.card_files import PICTURE_BYTES, CardFileRefused, CardFiles, NoSuchCardFile
from ari_app.lines.loader import load_lines
from ari_app.lines.settings import LineError, LineSettings, NoSuchLine, SettingRefused
from ari_app.store.card_files import AboutCardFile, CardFileRow
from ari_app.store.lines import LineRepository
from ari_app.store.migrations import MIGRATIONS
from ari_app.store.migrations import card_files as migration
from ari_app.store.store import Store, open_store
from media import picture
from media.picture import DecodedPicture, NoPicture, decoded
from tests.pictures import jpeg, noisy_png, png, png_header

LINE, OTHER = "+79990000001", "+79990000009"
VCARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Acme\nEND:VCARD\n"
PASSWD = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"


async def a_picture(content: bytes) -> DecodedPicture:
    """Without a process of its own."""
    if not content.startswith(b"\xff\xd8\xff"):
        raise NoPicture("none")
    return DecodedPicture("image/jpeg", 64, 48)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        await LineRepository(opened).save(LINE, LineSettings.of({"number": LINE}).stored())
        yield opened


@pytest.fixture
def files(store: Store) -> CardFiles:
    return CardFiles(store, a_picture, clock=lambda: 5.0)


# What they are


@pytest.mark.parametrize(
    "text",
    [
        VCARD,
        VCARD.replace("\n", "\r\n"),
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Acme\r\nTEL;VALUE=uri;TYPE=voice:tel:+7-800\r\nORG:Acme\\, Inc;Sales\r\n"
        "END:VCARD\r\n",
        "BEGIN:VCARD\nVERSION:3.0\nN:Иванова;Анна;;;\nFN:Анна\n Иванова\nitem1.URL:https://example.com\nEND:VCARD\n",
    ],
)
async def test_a_vcard(files: CardFiles, text: str) -> None:
    await files.put(LINE, "contact_vcard", "acme.vcf", text.encode())
    file = await files.get(LINE, "contact_vcard")
    assert (file.name, file.type, file.content.decode(), file.put_at) == ("acme.vcf", "text/vcard", text, 5.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no vCard"),
        (PASSWD.encode(), "no vCard"),
        ((VCARD + VCARD).encode(), "no vCard"),
        ((VCARD + PASSWD).encode(), "no vCard"),
        ((PASSWD + VCARD).encode(), "no vCard"),
        (VCARD.replace("END:VCARD", "").encode(), "no vCard"),
        (VCARD.replace("FN:Acme\n", "").encode(), "no vCard"),
        (VCARD.replace("FN:Acme", "FN:").encode(), "no vCard"),
        (VCARD.replace("FN:Acme", "FN:Acme\nX;a=" + "a," * 500).encode(), "no vCard"),
        (VCARD.replace("VCARD", "VCALENDAR").encode(), "no vCard"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n", "no vCard"),
        (VCARD.replace("Acme", "Акме").encode("cp1251"), "UTF-8"),
        (jpeg(), "UTF-8"),
        (VCARD.replace("Acme", "A" * 2048).encode(), "2048 bytes"),
    ],
)
async def test_no_vcard(files: CardFiles, content: bytes, said: str) -> None:
    with pytest.raises(CardFileRefused, match=said):
        await files.put(LINE, "contact_vcard", "acme.vcf", content)
    assert await files.about(LINE) == {}


@pytest.mark.parametrize(
    ("content", "type"),
    [(jpeg(), "image/jpeg"), (png(), "image/png"), (jpeg() + b"what a camera adds", "image/jpeg")],
    ids=["jpeg", "png", "with more"],
)
async def test_a_picture_by_decoding_it(content: bytes, type: str) -> None:
    assert await decoded(content) == DecodedPicture(type, 64, 48)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        PASSWD.encode(),
        VCARD.encode(),
        b"\xff\xd8\xff" + PASSWD.encode(),
        png()[: len(png()) // 2],
        jpeg()[: len(jpeg()) // 2],
        b"GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        png_header(30_000, 30_000),
    ],
    ids=["empty", "text", "vcard", "fake jpeg", "cut png", "cut jpeg", "gif", "playlist", "concat", "bomb"],
)
async def test_no_picture(content: bytes) -> None:
    with pytest.raises(NoPicture):
        await decoded(content)


@pytest.mark.parametrize(
    ("does", "within_s"),
    [
        ("import os; os.abort()", picture.DECODE_S),
        ("import sys; sys.exit(3)", picture.DECODE_S),
        ("print('nonsense')", picture.DECODE_S),
        ("import time; time.sleep(600)", 0.05),
    ],
)
async def test_a_decoder_that_fails_costs_the_picture_alone(
    does: str, within_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "DECODE_S", within_s)
    before = psutil.Process().children()
    with pytest.raises(NoPicture):
        await decoded(jpeg(), (sys.executable, "-c", does))
    assert psutil.Process().children() == before


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (DecodedPicture("image/png", 6000, 4001), "6000 × 4001"),
        (DecodedPicture("image/png", 2100, 100), "2100 × 100"),
        (NoPicture("no"), "no JPEG or PNG"),
        (OSError("no process"), "no process"),
    ],
)
async def test_a_picture_that_telegram_would_not_take(
    store: Store, picture: DecodedPicture | Exception, said: str
) -> None:
    async def decode(content: bytes) -> DecodedPicture:
        if isinstance(picture, Exception):
            raise picture
        return picture

    with pytest.raises(CardFileRefused, match=said):
        await CardFiles(store, decode).put(LINE, "picture", "x.png", b"x")


async def test_a_picture_that_is_too_large_is_not_even_decoded(store: Store) -> None:
    async def decode(content: bytes) -> DecodedPicture:
        raise AssertionError

    with pytest.raises(CardFileRefused, match="10 MB"):
        await CardFiles(store, decode).put(LINE, "picture", "x.png", bytes(PICTURE_BYTES + 1))
    assert len(noisy_png(100_000)) > 100_000


# Where they are


async def test_a_file_takes_the_place_of_the_one_before(files: CardFiles) -> None:
    await files.put(LINE, "picture", "../../etc/one.jpg", jpeg())
    await files.put(LINE, "picture", "", jpeg(32, 32))
    about = (await files.about(LINE))["picture"]
    assert (about.name, about.size) == ("picture", len(jpeg(32, 32)))
    await files.remove(LINE, "picture")
    for asked in (files.remove(LINE, "picture"), files.get(LINE, "picture")):
        with pytest.raises(NoSuchCardFile):
            await asked
    assert await files.about(LINE) == {}


async def test_files_go_with_their_line(files: CardFiles, store: Store) -> None:
    await files.put(LINE, "picture", "one.jpg", jpeg())
    await LineRepository(store).remove(LINE)
    assert await files.about(LINE) == {}
    with pytest.raises(NoSuchLine):
        await files.put(LINE, "picture", "one.jpg", jpeg())
    assert await files.about(LINE) == {}


async def test_files_are_in_a_backup(tmp_path: Path) -> None:
    old, new = (
        Settings(asterisk=AsteriskSettings(password=SecretStr("x")), state_dir=tmp_path / name)
        for name in ("old", "new")
    )
    async with open_store(old.database) as store:
        await LineRepository(store).save(LINE, LineSettings.of({"number": LINE}).stored())
        await CardFiles(store, a_picture).put(LINE, "picture", "one.jpg", jpeg())
        await CardFiles(store).put(LINE, "contact_vcard", "acme.vcf", VCARD.encode())
        back_up(old.state_dir, tmp_path / "backup.tar.gz")
    restore(new.state_dir, tmp_path / "backup.tar.gz")
    async with open_store(new.database) as store:
        files = CardFiles(store)
        assert (await files.get(LINE, "picture")).content == jpeg()
        assert (await files.get(LINE, "contact_vcard")).content == VCARD.encode()


# On several machines


class Others(OwnFiles):
    """The other machines of a cluster; they may be away."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[str] = []

    async def keep(self, file: CardFileRow) -> None:
        self._tell(f"set {file.kind}")

    async def remove(self, line: str, kind: str) -> None:
        self._tell(f"removed {kind}")

    def _tell(self, what: str) -> None:
        if self.away:
            raise NotShared(message("Away."))
        self.told.append(what)


async def test_the_other_machines_are_told_before_a_change_counts(store: Store) -> None:
    others = Others()
    files = CardFiles(store, a_picture, shared=others)
    await files.put(LINE, "picture", "one.jpg", jpeg())
    others.away = True
    for change in (files.put(LINE, "picture", "two.jpg", jpeg(32, 32)), files.remove(LINE, "picture")):
        with pytest.raises(NotShared):
            await change
    assert (await files.about(LINE))["picture"].name == "one.jpg"
    others.away = False
    await files.remove(LINE, "picture")
    for change in (files.remove(LINE, "picture"), files.put(OTHER, "picture", "one.jpg", jpeg())):
        with pytest.raises(LineError):
            await change
    with pytest.raises(CardFileRefused):
        await files.put(LINE, "picture", "one.jpg", b"none")
    assert others.told == ["set picture", "removed picture"]


async def test_what_another_machine_has_set_is_taken_over(files: CardFiles) -> None:
    row = CardFileRow(LINE, "picture", "one.jpg", "image/jpeg", jpeg(), 7.25)
    about = AboutCardFile("picture", "one.jpg", "image/jpeg", len(jpeg()), 7.25)
    assert not await files.is_here(LINE, about)
    assert not await files.follow(row, lambda: False)
    assert not await files.is_here(LINE, about)
    assert await files.follow(row, lambda: True)
    assert await files.is_here(LINE, about)
    assert not await files.is_here(LINE, replace(about, put_at=7.5))
    assert (await files.all(), await files.content(LINE, "picture")) == ([(LINE, about)], jpeg())
    assert not await files.follow(replace(row, line=OTHER), lambda: True)
    assert (await files.has_line(LINE), await files.has_line(OTHER)) == (True, False)
    for _ in range(2):
        await files.follow_removal(LINE, "picture")
    assert await files.content(LINE, "picture") is None


# What an earlier version has kept


def earlier(path: Path, **cards: object) -> None:
    """A database of the version before, with a line for each card."""
    with closing(sqlite3.connect(path)) as db:
        before = MIGRATIONS[: MIGRATIONS.index(migration)]
        for each in before:
            each(Database(db))
        for number, card in cards.items():
            settings = {"number": number, "name": "Sales", "card": card}
            db.execute("INSERT INTO lines (number, settings) VALUES (?, ?)", [number, json.dumps(settings)])
        db.execute(f"PRAGMA user_version = {len(before)}")
        db.commit()


async def test_a_file_that_settings_named_is_not_opened_but_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A token may have named any; the rest of the line stays."""
    vcard = tmp_path / "acme.vcf"
    vcard.write_text(VCARD)
    earlier(tmp_path / "db", **{LINE: {"contact_vcard": str(vcard), "missed": True}, OTHER: {"picture": None}})
    with caplog.at_level(logging.WARNING):
        async with open_store(tmp_path / "db") as store:
            line, other = await load_lines(store)
            assert (line.name, line.card.missed, other.number) == ("Sales", True, OTHER)
            assert await CardFiles(store).about(LINE) == {}
    (said,) = [record.message for record in caplog.records]
    assert str(vcard) in said
    assert f"astergram line set {LINE} card.contact_vcard=FILE" in said


def test_no_setting_names_a_file_of_the_server() -> None:
    for key in ("contact_vcard", "picture"):
        with pytest.raises(SettingRefused, match="upload"):
            LineSettings.of({"number": LINE, "card": {key: "/etc/passwd"}})
