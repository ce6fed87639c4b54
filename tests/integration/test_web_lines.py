"""Lines on the admin page and in the JSON API, with lines of their own on the local Telegram."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.web.http.setting_forms import entries
from ari_app.web.lines.forms import CARD, LIMITS, LISTS, SETTINGS
from tests.integration.web_helpers import Answer, Browser, held_to_its_document, signed_in
from tests.integration.web_lines import LINE, Lines, lines_site

OTHER = "+79990000002"
HASH = "0123456789abcdef0123456789abcdef"
SCRIPT = "<script>alert(1)</script>"
GREEN_S = 15.0
CYRILLIC = re.compile("[а-яё]", re.I)


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as server:
        server.add_user(LINE, "Astergram", password="two steps", password_hint="not one")
        server.add_user(OTHER, "Anna")
        yield server


@pytest.fixture
async def lines(tmp_path: Path, telegram: LocalTelegram) -> AsyncIterator[Lines]:
    line = LineSettings.of({"number": LINE, "name": "Sales", "api_id": 7, "api_hash": HASH})
    async with lines_site(tmp_path, telegram, [line]) as served:
        yield served


async def ask(api: Browser, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """A JSON answer, with its status."""
    answer = await api.ask(method, path, **({} if body is None else {"json": body}))
    assert answer.status == status, answer.text
    return await answer.json() if answer.text else None


def errors_at(answer: Answer, field: str) -> list[str]:
    """What a page says is wrong with a field: beside it, and told to whoever hears the page in place of seeing it."""
    assert answer.status == 422, answer.text
    control = re.search(rf'<(?:input|select|textarea)[^>]* name="{re.escape(field)}"[^>]*>', answer.text)
    assert control, answer.text
    beside = re.search(r'aria-describedby="([^"]+)"', control[0])
    assert beside, control[0]
    assert 'aria-invalid="true"' in control[0]
    about = re.search(rf'id="{re.escape(beside[1])}">(.*?)</div>', answer.text, re.S)
    assert about, answer.text
    return [html.unescape(each) for each in re.findall(r'<p class="error">(.*?)</p>', about[1])]


def error_at(answer: Answer, field: str) -> str:
    """The one thing that is wrong with a field."""
    (error,) = errors_at(answer, field)
    return error


# The API


async def test_lines_are_listed_added_changed_and_removed(api: Browser) -> None:
    (sales,) = await ask(api, "GET", "/api/lines")
    assert (sales["number"], sales["name"], sales["calls"], sales["max_calls"]) == (LINE, "Sales", 0, 1)
    assert sales["lights"]["client"]["colour"] in ("red", "orange")
    added = await ask(api, "POST", "/api/lines", {"number": OTHER, "max_calls": 3}, 201)
    assert (added["name"], added["max_calls"]) == (OTHER, 3)
    await ask(api, "POST", "/api/lines", {"number": OTHER}, 409)
    changed = await ask(api, "PATCH", f"/api/lines/{OTHER}/settings", {"card": {"missed": True}, "max_calls": None})
    assert (changed["card"]["missed"], changed["max_calls"]) == (True, 1)
    assert await ask(api, "GET", f"/api/lines/{OTHER}/settings") == changed
    await ask(api, "DELETE", f"/api/lines/{OTHER}", status=204)
    assert [line["number"] for line in await ask(api, "GET", "/api/lines")] == [LINE]


async def test_a_secret_is_only_told_to_be_set(api: Browser, lines: Lines) -> None:
    settings = await ask(api, "GET", f"/api/lines/{LINE}/settings")
    assert (settings["api_id"], settings["api_hash"]) == (7, "set")
    changed = await ask(api, "PATCH", f"/api/lines/{LINE}/settings", {"api_hash": None})
    assert changed["api_hash"] is None
    refused = await ask(api, "PATCH", f"/api/lines/{LINE}/settings", {"api_hash": [HASH]}, 422)
    assert HASH not in str(refused)
    assert [each["where"] for each in refused["errors"]] == ["api_hash"]


NOT_DONE: tuple[tuple[str, str, Any, int], ...] = (
    ("GET", "/api/lines/+79990000009", None, 404),
    ("PATCH", "/api/lines/+79990000009/settings", {}, 404),
    ("DELETE", "/api/lines/+79990000009", None, 404),
    ("GET", "/api/lines/nobody", None, 422),
    ("POST", "/api/lines", {"number": "79990000002"}, 422),
    ("POST", "/api/lines", {"number": OTHER, "colour": "blue"}, 422),
    ("PATCH", f"/api/lines/{LINE}/settings", {"max_calls": 0}, 422),
    ("PATCH", f"/api/lines/{LINE}/settings", {"number": OTHER}, 422),
    ("PATCH", f"/api/lines/{LINE}/settings", {"texts": {"en": {"card": "{nobody}"}}}, 422),
    ("PATCH", f"/api/lines/{LINE}/settings", [], 422),
    ("GET", f"/api/lines/{LINE}/setup", None, 409),
    ("POST", f"/api/lines/{LINE}/setup", {"steps": ["number shown"]}, 409),
    ("POST", f"/api/lines/{LINE}/setup", {"steps": ["world peace"]}, 422),
    ("POST", f"/api/lines/{LINE}/logout", None, 409),
    ("POST", f"/api/lines/{LINE}/test-call", {"destination": "nobody at all"}, 422),
    ("GET", f"/api/lines/{LINE}/sign-in", None, 404),
    ("POST", f"/api/lines/{LINE}/sign-in/code", {"code": "1"}, 404),
    ("POST", f"/api/lines/{LINE}/sign-in", {"way": "luck"}, 422),
    (
        "POST",
        f"/api/lines/{LINE}/texts/preview",
        {"language": "en", "name": "card", "template": "{caller_nam}"},
        422,
    ),
)


async def test_what_is_not_done_is_said(api: Browser) -> None:
    for method, path, body, status in NOT_DONE:
        problem = await ask(api, method, path, body, status)
        assert problem["detail"], path


async def test_signing_in_by_code_and_password(api: Browser, lines: Lines, telegram: LocalTelegram) -> None:
    path = f"/api/lines/{LINE}/sign-in"
    view = await ask(api, "POST", path, {"way": "code"})
    assert (view["state"], view["error"]) == ("code sent", None)
    refused = await ask(api, "POST", f"{path}/code", {"code": "1"})
    assert (refused["state"], refused["refusal"]) == ("code sent", "PHONE_CODE_INVALID")
    assert "is not the code" in refused["error"]
    view = await ask(api, "POST", f"{path}/code", {"code": telegram.login_code(LINE)})
    assert (view["state"], view["password_hint"]) == ("password needed", "not one")
    refused = await ask(api, "POST", f"{path}/password", {"password": "two  steps"})
    assert (refused["state"], refused["refusal"]) == ("password needed", "PASSWORD_HASH_INVALID")
    view = await ask(api, "POST", f"{path}/password", {"password": "two steps"})
    assert view["state"] == "signed in"
    await lines.book.line(LINE).until_ready()
    assert (await ask(api, "GET", f"/api/lines/{LINE}/lights"))["client"]["colour"] == "green"
    steps = {step["step"]: step["state"] for step in await ask(api, "GET", f"/api/lines/{LINE}/setup")}
    assert steps["bot dialogue"] == "impossible"
    assert await ask(api, "POST", f"/api/lines/{LINE}/test-call", {"destination": OTHER}, 201)
    await ask(api, "POST", f"/api/lines/{LINE}/logout", status=204)
    assert telegram.devices(LINE) == []


async def test_signing_in_by_qr_code_and_its_end(api: Browser, telegram: LocalTelegram) -> None:
    path = f"/api/lines/{LINE}/sign-in"
    view = await ask(api, "POST", path, {"way": "qr"})
    assert view["state"] == "qr shown"
    assert view["qr_url"].startswith("tg://login?token=")
    await ask(api, "DELETE", path, status=204)
    await ask(api, "GET", path, status=404)


async def test_a_text_is_drawn(api: Browser) -> None:
    path, text = f"/api/lines/{LINE}/texts/preview", {"language": "ru", "name": "keypad_dialled"}
    drawn = await ask(api, "POST", path, {**text, "template": "{company}, {caller_name}: {digits}"})
    assert drawn["text"] == "Sales, Анна Иванова: 102"
    assert drawn["buttons"] == list("123456789*0#")
    said = {"language": "en", "name": "callback_reached", "template": "Bye!"}
    card = await ask(api, "POST", path, said)
    assert card["text"].endswith("\n\nBye!")
    assert card["buttons"] == []
    popped_up = await ask(api, "POST", path, {**said, "name": "callback_too_soon"})
    assert (popped_up["answer"], popped_up["buttons"]) == ("Bye!", ["📞 Call me back"])


async def test_schemathesis_finds_no_answer_outside_of_the_document(lines: Lines, tmp_path: Path) -> None:
    # What a phone number, a text's variable or a file is, no schema can say.
    beyond = ("--exclude-checks", "positive_data_acceptance")
    await held_to_its_document(lines.site, tmp_path, "^/api/lines", *beyond)


# The page


async def test_the_wizard_asks_for_the_application_where_there_is_none(tmp_path: Path, telegram: LocalTelegram) -> None:
    async with AsyncExitStack() as stack:
        lines = await stack.enter_async_context(lines_site(tmp_path, telegram, application=False))
        admin = await stack.enter_async_context(signed_in(lines.site))
        page = await admin.get("/lines/add")
        assert "my.telegram.org" in page.text
        assert 'href="https' not in page.text
        assert error_at(await admin.post("/lines/add/application", {"api_id": "12"}), "api_hash") == "It is needed."
        wrong = await admin.post("/lines/add/application", {"api_id": "twelve", "api_hash": HASH})
        assert error_at(wrong, "api_id") == "Enter a number."
        assert 'value="twelve"' in wrong.text
        assert HASH not in wrong.text
        page = await admin.post("/lines/add/application", {"api_id": "12", "api_hash": HASH})
        assert page.path == "/lines/add"
        assert 'name="number"' in page.text
        wrong = await admin.post("/lines/add", {"number": "8 999", "name": SCRIPT})
        assert "is no phone number" in error_at(wrong, "number")
        assert SCRIPT not in wrong.text
        page = await admin.post("/lines/add", {"number": LINE, "name": SCRIPT})
        assert (page.status, page.path) == (200, f"/lines/{LINE}/signin")
        assert "is a line" in error_at(await admin.post("/lines/add", {"number": LINE}), "number")


REFUSED: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("settings", {"max_calls": "many"}, "max_calls", "Enter a number."),
    ("settings", {"context": "two words"}, "context", "the name of one context"),
    ("card", {"card.callback": "queue"}, "card.callback", "Enter EXTENSION@CONTEXT"),
    ("card", {"card.contact_phone": "8 800"}, "card.contact_phone", "is no phone number"),
    ("lists", {"allow": f"{OTHER}\nnobody at all"}, "allow", "Entry 2: "),
    ("limits", {"calls_per_day": "-1"}, "calls_per_day", "At least 0, please."),
)


async def test_what_cannot_be_set_is_said_at_its_field(admin: Browser, lines: Lines) -> None:
    before = lines.book.settings(LINE)
    for tab, typed, field, said in REFUSED:
        answer = await admin.post(f"/lines/{LINE}/{tab}", typed)
        assert said in error_at(answer, field)
        assert next(iter(typed.values())).splitlines()[0] in answer.text
    assert lines.book.settings(LINE) == before


async def test_each_wrong_field_has_its_own_error(admin: Browser) -> None:
    """Three of them, in the reader's language; what was typed is not lost."""
    typed = {"card.cancelled_after_s": "soon", "card.callback": "queue", "card.contact_phone": "8 800"}
    answer = await admin.post(f"/lines/{LINE}/card", typed, headers={"Accept-Language": "ru"})
    assert error_at(answer, "card.cancelled_after_s") == "Введите число."
    assert "600@queues" in error_at(answer, "card.callback")
    assert error_at(answer, "card.contact_phone").startswith("'8 800' — не номер телефона")
    assert all(f'value="{each}"' in answer.text for each in typed.values())
    assert answer.text.count('<p class="error">') == 3


async def test_each_wrong_entry_of_a_list_is_named(admin: Browser) -> None:
    wrong = {"deny": f"{OTHER}\nanna\n@a\n+7", "allow": "+7999x"}
    answer = await admin.post(f"/lines/{LINE}/lists", wrong, headers={"Accept-Language": "ru"})
    said = [*errors_at(answer, "deny"), *errors_at(answer, "allow")]
    assert [each.partition(":")[0] for each in said] == ["Запись 2", "Запись 3", "Запись 4", "Запись 1"]
    assert not [each for each in said if not CYRILLIC.search(each.partition(":")[2])]


async def test_a_wrong_checkbox_tells_why(admin: Browser, lines: Lines) -> None:
    await lines.book.add(LineSettings.of({"number": OTHER, "default": True}))
    answer = await admin.post(f"/lines/{LINE}/settings", {"default": "on"}, headers={"Accept-Language": "ru"})
    assert CYRILLIC.search(error_at(answer, "default"))


async def test_no_reason_is_told_in_english_on_a_russian_page(admin: Browser) -> None:
    """Every field that can be wrong, wrong in several ways."""
    forms = {"settings": SETTINGS, "card": CARD, "lists": LISTS, "limits": LIMITS}
    told = 0
    for tab, form in forms.items():
        for wrong in ("ы, @/", "-1", "1e400", "{"):
            fields = {entry.key: wrong for entry in entries(form) if entry.kind != "switch"}
            answer = await admin.post(f"/lines/{LINE}/{tab}", fields, headers={"Accept-Language": "ru"})
            errors = [html.unescape(each) for each in re.findall(r'<p class="error">(.*?)</p>', answer.text)]
            assert not [each for each in errors if not CYRILLIC.search(each.replace(wrong, ""))], errors
            told += len(errors)
    assert told > 40


async def test_the_api_says_what_is_wrong_with_each_setting(api: Browser) -> None:
    wrong = {"max_calls": 0, "deny": ["anna"], "card": {"callback": "queue"}, "texts": {"en": {"card": "{x}"}}}
    headers = {"Accept-Language": "ru"}
    answer = await api.ask("PATCH", f"/api/lines/{LINE}/settings", json=wrong, headers=headers)
    assert answer.status == 422
    errors = {each["where"]: each["reason"] for each in (await answer.json())["errors"]}
    assert errors.keys() == {"max_calls", "deny.0", "card.callback", "texts.en.card"}
    assert not [each for each in errors.values() if not CYRILLIC.search(each)], errors
    answer = await api.ask("POST", f"/api/lines/{LINE}/setup", json={"steps": 5}, headers=headers)
    assert CYRILLIC.search((await answer.json())["errors"][0]["reason"])


async def test_each_form_sets_what_it_shows(admin: Browser, lines: Lines) -> None:
    """And leaves alone what it doesn't, among it a secret whose field was left empty."""
    await admin.post(f"/lines/{LINE}/card", {"card.missed": "on", "card.card_every_s": "60", "card.callback": "600@q"})
    await admin.post(f"/lines/{LINE}/lists", {"deny": f"@name\r\n\r\n{OTHER}", "only_contacts": "on"})
    await admin.post(f"/lines/{LINE}/limits", {"calls_per_day": "50", "flood_margin_s": "2.5"})
    typed = {"name": "Support", "callers": "101\r\n102", "default": "on", "api_id": "8", "language": "ru"}
    page = await admin.post(f"/lines/{LINE}/settings", typed)
    assert (page.status, page.path) == (200, f"/lines/{LINE}/settings")
    settings = lines.book.settings(LINE)
    assert (settings.card.missed, settings.card.no_answer, settings.card.card_every_s) == (True, False, 60)
    assert (settings.card.callback, settings.deny, settings.only_contacts) == ("600@q", ("@name", OTHER), True)
    assert (settings.calls_per_day, settings.flood_margin_s, settings.peer_flood_s) == (50, 2.5, 86400)
    assert (settings.name, settings.callers, settings.default, settings.api_id) == ("Support", ("101", "102"), True, 8)
    assert settings.api_hash
    assert settings.api_hash.get_secret_value() == HASH
    assert HASH not in page.text
    await admin.post(f"/lines/{LINE}/settings", {"remove_api_hash": "on"})
    assert lines.book.settings(LINE).api_hash is None


async def test_texts_are_kept_or_refused_all_together(admin: Browser, lines: Lines) -> None:
    path = f"/lines/{LINE}/texts/en"
    answer = await admin.post(path, {"card": "Hi\r\nthere", "keypad": "{x}", "card_button": "b" * 65})
    assert "{x} is no variable" in error_at(answer, "keypad")
    assert "longer than the 64" in error_at(answer, "card_button")
    assert lines.book.settings(LINE).texts.en.card != "Hi\nthere"
    await admin.post(path, {"card": "Hi\r\nthere", "auto_answer": ""})
    texts = lines.book.settings(LINE).texts
    assert (texts.en.card, texts.en.auto_answer) == ("Hi\nthere", "")
    assert texts.ru.card.startswith("Здравствуйте")
    answer = await admin.post(path, {"reset": "card", "card": "Hi", "keypad": f"{SCRIPT} not saved"})
    assert "&lt;script&gt;alert(1)&lt;/script&gt; not saved" in answer.text
    texts = lines.book.settings(LINE).texts
    assert texts.en.card.startswith("Hello")
    assert SCRIPT not in texts.en.keypad


async def test_what_is_being_typed_outlives_news(admin: Browser, telegram: LocalTelegram) -> None:
    """The part with the code's field is sent again only when it has changed."""
    path = f"/lines/{LINE}/signin"
    page = await admin.post(f"{path}/code")
    assert page.path == path
    seen = re.search(r'name="seen" value="(\w+)"', page.text)
    assert seen
    assert (await admin.get(f"{path}/view?seen={seen[1]}")).status == 204
    refused = await admin.post(f"{path}/enter", {"code": "12 34"})
    assert "is not the code" in error_at(refused, "code")
    assert 'value="12 34"' in refused.text
    changed = await admin.get(f"{path}/view?seen={seen[1]}")
    assert (changed.status, "is not the code" in changed.text) == (200, True)


async def test_a_code_that_has_expired_is_followed_by_a_new_one(admin: Browser, telegram: LocalTelegram) -> None:
    """Also where Telegram names no further way to send it."""
    path = f"/lines/{LINE}/signin"
    await admin.post(f"{path}/code")
    await admin.post(f"{path}/resend")
    page = await admin.post(f"{path}/resend")
    assert f'action="{path}/resend"' not in page.text  # by phone call: the last way
    assert f'action="{path}/code"' not in page.text
    telegram.refuse("auth.signIn", "PHONE_CODE_EXPIRED")
    expired = await admin.post(f"{path}/enter", {"code": "12345"})
    assert "has expired: ask for a new one" in error_at(expired, "code")
    assert f'action="{path}/code"' in expired.text
    assert f'action="{path}/resend"' not in expired.text
    page = await admin.post(f"{path}/code")
    assert 'name="code"' in page.text
    assert "has expired" not in page.text
    page = await admin.post(f"{path}/enter", {"code": telegram.login_code(LINE)})
    assert "Two-step password" in page.text


async def test_a_line_that_there_is_not_has_no_page(admin: Browser) -> None:
    for tab in ("", "/settings", "/texts/ru", "/card", "/lists", "/limits", "/signin", "/setup", "/try"):
        assert (await admin.get(f"/lines/+79990000009{tab}")).status == 404


async def test_reset_keeps_the_settings(admin: Browser, lines: Lines) -> None:
    before = lines.book.settings(LINE)
    assert (await admin.post(f"/lines/{LINE}/reset")).path == f"/lines/{LINE}"
    assert lines.book.settings(LINE) == before
    answer = await admin.post(f"/lines/{LINE}/logout")
    assert "could not be logged out" in answer.text
    assert (await admin.post(f"/lines/{LINE}/remove")).path == "/lines"
    assert len(lines.book) == 0
