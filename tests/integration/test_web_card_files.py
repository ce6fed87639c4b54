"""A card's files are uploaded, on the page, by the API and on the command line; no path is ever opened."""

import html
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, FormData, UnixConnector

from ari_app import api_client
from ari_app.cli import lines as cli_lines
from ari_app.cli import parser as cli_parser
from ari_app.lines.card_files import PICTURE_BYTES
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.web.server import LARGEST_BODY
from tests.integration.test_web_lines import CYRILLIC
from tests.integration.web_helpers import Answer, Browser, browser, held_to_its_document, program
from tests.integration.web_lines import LINE, Lines, lines_site
from tests.pictures import jpeg, noisy_png, png
from tests.unit.test_card_files import Others

API, PAGE = f"/api/lines/{LINE}/card", f"/lines/{LINE}/card"
VCARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Acme\nEND:VCARD\n"
PASSWD = Path("/etc/passwd")
SECRET = PASSWD.read_bytes()


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[Lines]:
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        line = LineSettings.of({"number": LINE, "name": "Sales"})
        async with lines_site(tmp_path, telegram, [line]) as served:
            yield served


async def send(admin: Browser, kind: str, name: str, content: bytes, **options: Any) -> Answer:
    """Send a file as the page does."""
    form = FormData({"csrf": options.pop("csrf", admin.csrf)})
    form.add_field("file", io.BytesIO(content), filename=name, content_type="application/octet-stream")
    return await admin.ask("POST", f"{PAGE}/{kind}", data=form, **options)


def error_at(answer: Answer, kind: str) -> str:
    assert answer.status == 422, answer.text
    control = re.search(rf'<input id="field-{kind}"[^>]*>', answer.text)
    assert control, answer.text
    assert f'aria-describedby="about-{kind}"' in control[0]
    found = re.search(rf'id="about-{kind}">\s*<p class="error">(.*?)</p>', answer.text)
    assert found, answer.text
    return html.unescape(found[1])


# No path


async def test_no_token_can_name_a_file_of_the_server(api: Browser, lines: Lines) -> None:
    made = await (await api.ask("POST", "/api/access/tokens", json={"name": "t", "right": "write"})).json()
    async with program(lines.site, made["token"]) as somebody:
        for key in ("contact_vcard", "picture"):
            change = {"card": {key: str(PASSWD), "contact_phone": "+78005553535"}}
            answer = await somebody.ask("PATCH", f"/api/lines/{LINE}/settings", json=change)
            assert answer.status == 422
            assert [each["where"] for each in (await answer.json())["errors"]] == [f"card.{key}"]
        added = await somebody.ask("POST", "/api/lines", json={"number": "+79990000008", "card": {"picture": "/x"}})
        assert added.status == 422
        answer = await somebody.ask("PUT", f"{API}/picture?name={PASSWD}", data=SECRET)
        assert answer.status == 422
    assert lines.book.settings(LINE).card.contact_phone == ""


# The API


async def test_the_api_takes_gives_and_removes_files(api: Browser, lines: Lines) -> None:
    assert await (await api.get(API)).json() == []
    answer = await api.ask("PUT", f"{API}/picture?name=acme.png", data=png())
    about = await answer.json()
    assert (answer.status, about["kind"], about["name"]) == (200, "picture", "acme.png")
    assert (about["type"], about["size"]) == ("image/png", len(png()))
    assert (await api.ask("PUT", f"{API}/contact_vcard", data=VCARD.encode())).status == 200
    assert [each["kind"] for each in await (await api.get(API)).json()] == ["contact_vcard", "picture"]
    answer = await api.get(f"{API}/picture")
    assert (answer.headers["Content-Type"], answer.raw) == ("image/png", png())
    assert (await api.get(f"{API}/contact_vcard")).headers["Content-Disposition"] == "attachment"
    assert (await api.ask("DELETE", f"{API}/picture")).status == 204
    for method in ("GET", "DELETE"):
        assert (await api.ask(method, f"{API}/picture")).status == 404
    await lines.book.remove(LINE)
    await lines.book.add(LineSettings.of({"number": LINE}))
    assert await (await api.get(API)).json() == []


async def test_while_the_other_machines_can_not_be_told_nothing_is_changed(
    admin: Browser, api: Browser, lines: Lines
) -> None:
    await api.ask("PUT", f"{API}/picture?name=acme.png", data=png())
    others = Others()
    others.away = True
    lines.site.services.card_files._shared = others
    for answer in (
        await api.ask("PUT", f"{API}/picture", data=jpeg()),
        await api.ask("DELETE", f"{API}/picture"),
        await send(admin, "picture", "other.jpg", jpeg()),
        await admin.post(f"{PAGE}/picture/remove"),
    ):
        assert (answer.status, "Away." in answer.text) == (503, True)
    assert [each["name"] for each in await (await api.get(API)).json()] == ["acme.png"]


async def test_what_is_no_picture_is_refused_in_the_askers_language(api: Browser) -> None:
    headers = {"Accept-Language": "ru"}
    for kind, content in (("picture", VCARD.encode()), ("contact_vcard", jpeg()), ("picture", b"")):
        answer = await api.ask("PUT", f"{API}/{kind}", data=content, headers=headers)
        assert answer.status == 422
        assert CYRILLIC.search((await answer.json())["detail"])
    large = await api.ask("PUT", f"{API}/picture", data=io.BytesIO(bytes(2 * PICTURE_BYTES)))
    assert large.status == 413
    for path, status in ((f"{API}/anything", 422), ("/api/lines/+79990000009/card/picture", 404)):
        assert (await api.ask("PUT", path, data=png())).status == status


async def test_a_token_that_may_only_read_uploads_nothing(api: Browser, lines: Lines) -> None:
    made = await (await api.ask("POST", "/api/access/tokens", json={"name": "t", "right": "read"})).json()
    async with program(lines.site, made["token"]) as reader:
        assert (await reader.ask("PUT", f"{API}/picture", data=png())).status == 403
        assert (await reader.get(f"{API}/picture")).status == 404


async def test_schemathesis_finds_no_answer_outside_of_the_document(lines: Lines, tmp_path: Path) -> None:
    # Which bytes are a picture, no schema can say.
    await held_to_its_document(lines.site, tmp_path, f"^{FILES}", "--exclude-checks", "positive_data_acceptance")


FILES = r"/api/lines/\{number\}/card"


# The page


async def test_the_page_takes_shows_and_removes_files(admin: Browser, lines: Lines) -> None:
    picture = noisy_png(2 * LARGEST_BODY)
    answer = await send(admin, "picture", "acme.png", picture)
    assert (answer.status, answer.path) == (200, PAGE)
    assert "acme.png" in answer.text
    assert f'src="{PAGE}/picture?' in answer.text
    shown = await admin.get(f"{PAGE}/picture")
    assert (shown.headers["Content-Type"], shown.raw) == ("image/png", picture)
    await send(admin, "contact_vcard", "<b>.vcf", VCARD.encode())
    page = await admin.get(PAGE)
    assert "<b>" not in page.text
    assert (await admin.get(f"{PAGE}/contact_vcard")).headers["Content-Disposition"] == "attachment"
    answer = await admin.post(f"{PAGE}/picture/remove")
    assert (answer.path, "acme.png" in answer.text) == (PAGE, False)
    assert "The file is removed." in answer.text
    assert (await admin.get(f"{PAGE}/picture")).status == 404
    assert (await admin.post(f"{PAGE}/picture/remove")).status == 200


async def test_the_page_says_at_its_field_what_is_wrong_with_a_file(admin: Browser) -> None:
    russian = {"headers": {"Accept-Language": "ru"}}
    assert CYRILLIC.search(error_at(await send(admin, "picture", "x.jpg", SECRET, **russian), "picture"))
    answer = await send(admin, "contact_vcard", "x.vcf", SECRET, **russian)
    assert CYRILLIC.search(error_at(answer, "contact_vcard"))
    assert "root:" not in answer.text
    assert f'action="{PAGE}"' in answer.text  # the form above it goes on
    assert "10 MB" in error_at(await send(admin, "picture", "x.jpg", bytes(PICTURE_BYTES + 1)), "picture")
    assert error_at(await admin.post(f"{PAGE}/picture", {"file": "/etc/passwd"}), "picture") == "Choose a file first."
    assert (await send(admin, "picture", "x.jpg", bytes(2 * PICTURE_BYTES))).status == 413


async def test_only_who_is_signed_in_and_meant_it_uploads(admin: Browser, lines: Lines) -> None:
    assert (await send(admin, "picture", "x.png", png(), csrf="wrong")).status == 403
    async with browser(lines.site) as visitor:
        answer = await send(visitor, "picture", "x.png", png(), allow_redirects=False)
        assert (answer.status, answer.headers["Location"][:6]) == (303, "/login")
        assert (
            await send(visitor, "picture", "x.png", noisy_png(2 * LARGEST_BODY), allow_redirects=False)
        ).status == 303
    assert await lines.site.services.card_files.about(LINE) == {}


# The command line


async def astergram(lines: Lines, *arguments: str) -> None:
    """`astergram ARGUMENTS`, on the running program."""
    options = cli_parser.parse(arguments)
    connector = UnixConnector(str(lines.site.socket))
    async with ClientSession(api_client.BASE, connector=connector) as session:
        await cli_lines.run(options, api_client.Api(session))


async def test_the_command_line_sends_files(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "acme.png").write_bytes(png())
    (folder / "acme.vcf").write_text(VCARD)
    (folder / "line.toml").write_text('name = "Support"\n[card]\nmissed = true\ncontact_vcard = "acme.vcf"\n')
    files = lines.site.services.card_files
    await astergram(lines, "line", "set", LINE, "--file", str(folder / "line.toml"))
    monkeypatch.chdir(folder)
    await astergram(lines, "line", "set", LINE, "card.picture=acme.png")
    settings = lines.book.settings(LINE)
    assert (settings.name, settings.card.missed) == ("Support", True)
    assert {kind: each.name for kind, each in (await files.about(LINE)).items()} == {
        "contact_vcard": "acme.vcf",
        "picture": "acme.png",
    }
    await astergram(lines, "line", "show", LINE)
    shown = capsys.readouterr().out
    assert "# card.picture: acme.png" in shown
    with pytest.raises(api_client.RequestRefused, match=r"no-such.png: No such file"):
        await astergram(lines, "line", "set", LINE, "name=Other", "card.picture=no-such.png")
    assert lines.book.settings(LINE).name == "Support"
    with pytest.raises(api_client.RequestRefused, match=r"line.toml: .*no JPEG or PNG"):
        await astergram(lines, "line", "set", LINE, "card.picture=line.toml")
    await astergram(lines, "line", "set", LINE, "card.picture=", "card.contact_vcard=null")
    await astergram(lines, "line", "set", LINE, "card.picture=")  # which is gone already
    assert await files.about(LINE) == {}
    await astergram(lines, "line", "add", "+79990000008", "card.picture=acme.png", "--no-signin")
    assert list(await files.about("+79990000008")) == ["picture"]
