"""Parts of the local Telegram's bot side with no network: keyboards, texts, errors, mailboxes, inline message ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from telethon.tl import types

from ari_app.sandbox.telegram import BotApiError, RpcError, bot_mail
from ari_app.sandbox.telegram.bot_errors import translated
from ari_app.sandbox.telegram.bot_mail import BotMail
from ari_app.sandbox.telegram.bot_markup import entities_json, formatted, keyboard, keyboard_json
from ari_app.sandbox.telegram.bot_views import BotViews
from ari_app.sandbox.telegram.bots import Bots
from ari_app.sandbox.telegram.forwards import keeps_keyboard
from ari_app.sandbox.telegram.store import Store
from ari_app.sandbox.telegram.tl import read

BUTTONS: list[dict[str, Any]] = [
    {"text": "1", "callback_data": "signed:1"},
    {"text": "site", "url": "https://example.org/"},
    {"text": "share", "switch_inline_query": "card"},
    {"text": "here", "switch_inline_query_current_chat": ""},
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("button", BUTTONS, ids=lambda button: button["text"])
def test_a_keyboard_there_and_back(button: dict[str, Any]) -> None:
    markup = {"inline_keyboard": [[button], [button, button]]}
    assert keyboard_json(read(bytes(keyboard(markup)))) == markup


@pytest.mark.parametrize(
    ("button", "error"),
    [
        ({"text": "1", "callback_data": "я" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "1", "callback_data": ""}, "BUTTON_DATA_INVALID"),
        ({"text": "", "callback_data": "1"}, "must not be empty"),
        ({"text": "1", "pay": True}, "callback, url and switch"),
    ],
)
def test_a_keyboard_that_telegram_refuses(button: dict[str, Any], error: str) -> None:
    with pytest.raises(BotApiError, match=error):
        keyboard({"inline_keyboard": [[button]]})


def test_no_keyboard() -> None:
    assert keyboard(None) is None
    assert keyboard({"inline_keyboard": []}) is None
    assert keyboard_json(types.ReplyKeyboardHide()) is None
    with pytest.raises(BotApiError, match="only inline keyboards"):
        keyboard({"keyboard": [[{"text": "1"}]]})


def test_texts() -> None:
    text, entities = formatted('<b>да</b> <a href="https://example.org/">тут</a>', "HTML", [])
    assert text == "да тут"
    shown = entities_json(entities)
    assert shown == [
        {"type": "bold", "offset": 0, "length": 2},
        {"type": "text_link", "offset": 3, "length": 3, "url": "https://example.org/"},
    ]
    assert formatted(text, "", shown)[1] == entities
    with pytest.raises(BotApiError, match="message text is empty"):
        formatted(" ", "", [])
    with pytest.raises(BotApiError, match="parse_mode"):
        formatted("x", "BBCode", [])


def test_errors_in_the_words_of_the_bot_api() -> None:
    throttled = BotApiError(429, retry_after=3)
    assert (throttled.description, throttled.retry_after) == ("Too Many Requests: retry after 3", 3)
    assert BotApiError(401).description == "Unauthorized"
    assert BotApiError(400, "Bad Request: chat not found").description == "Bad Request: chat not found"
    assert translated(RpcError("USER_IS_BLOCKED")).description == "Forbidden: bot was blocked by the user"
    assert translated(RpcError("MESSAGE_ID_INVALID")).description == "Bad Request: MESSAGE_ID_INVALID"


async def test_a_mailbox(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = BotMail(store)
    for text in ("a", "b", "c"):
        mail.put(1, "message", {"text": text})
    first = await mail.take(1, 0, 2, 0, None)
    assert [update["message"]["text"] for update in first] == ["a", "b"]
    assert await mail.take(2, 0, 9, 0, None) == []
    (third,) = await mail.take(1, first[-1]["update_id"] + 1, 9, 0, None)
    mail.put(1, "message", {"text": "d"})
    assert [update["message"]["text"] for update in await mail.take(1, -1, 9, 0, None)] == ["d"]
    mail.clear(1)

    waiting = asyncio.create_task(mail.take(1, 0, 9, 30, ["callback_query"]))
    await asyncio.sleep(0)
    mail.put(1, "message", {"text": "not asked for"})
    mail.put(1, "callback_query", {"data": "1"})
    assert [update["callback_query"]["data"] for update in await waiting] == ["1"]
    monkeypatch.setitem(bot_mail.KEEP_S, "callback_query", -1.0)
    mail.clear(1)
    mail.put(1, "callback_query", {"data": "too old"})
    assert (await mail.take(1, 0, 9, 0.01, []), mail.count(1)) == ([], 0)

    again = BotMail(store)
    again.put(1, "message", {})
    assert (await again.take(1, 0, 9, 0, None))[0]["update_id"] > third["update_id"] + 2


def test_inline_message_ids(store: Store) -> None:
    views = BotViews(store, Bots(store))
    named = views.inline_message_id(5_000_000_001, 7)
    assert views.inline_message(named) == (5_000_000_001, 7)
    assert "=" not in named
    forged = views.inline_message_id(5_000_000_001, 8)[:20] + named[20:]
    for wrong in (forged, named[:-4], "", "кто?"):
        assert views.inline_message(wrong) is None


@pytest.mark.parametrize(
    ("button", "via_bot_id", "kept"),
    [(BUTTONS[0], 1, False), (BUTTONS[1], None, True), (BUTTONS[2], None, False), (BUTTONS[2], 1, True)],
)
def test_which_keyboards_are_forwarded(button: dict[str, Any], via_bot_id: int | None, kept: bool) -> None:
    markup = keyboard({"inline_keyboard": [[BUTTONS[1], button]]})
    message = types.Message(1, types.PeerUser(1), via_bot_id=via_bot_id, reply_markup=markup)
    assert keeps_keyboard(message) is kept
    assert not keeps_keyboard(types.Message(1, types.PeerUser(1)))
