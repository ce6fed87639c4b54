"""Texts and inline keyboards between the Bot API's JSON and TL, both ways.

https://core.telegram.org/bots/api#inlinekeyboardmarkup and https://core.telegram.org/bots/api#formatting-options
"""

from __future__ import annotations

from typing import Any

from telethon.extensions import html, markdown
from telethon.tl import types

from .bot_errors import bad_request

MAX_CALLBACK_DATA = 64
STYLES = {"primary": "bg_primary", "danger": "bg_danger", "success": "bg_success"}
ENTITIES: dict[str, type] = {
    "mention": types.MessageEntityMention,
    "hashtag": types.MessageEntityHashtag,
    "bot_command": types.MessageEntityBotCommand,
    "url": types.MessageEntityUrl,
    "email": types.MessageEntityEmail,
    "phone_number": types.MessageEntityPhone,
    "bold": types.MessageEntityBold,
    "italic": types.MessageEntityItalic,
    "underline": types.MessageEntityUnderline,
    "strikethrough": types.MessageEntityStrike,
    "spoiler": types.MessageEntitySpoiler,
    "blockquote": types.MessageEntityBlockquote,
    "code": types.MessageEntityCode,
    "pre": types.MessageEntityPre,
    "text_link": types.MessageEntityTextUrl,
}
ENTITY_NAMES = {cls: name for name, cls in ENTITIES.items()}
FORMATS: dict[str, Any] = {"html": html, "markdown": markdown, "markdownv2": markdown}


def keyboard(markup: dict[str, Any] | None) -> Any:
    """An InlineKeyboardMarkup as TL; None for none. Raises `BotApiError`."""
    rows = (markup or {}).get("inline_keyboard")
    if markup and rows is None:
        raise bad_request("the local Telegram knows only inline keyboards as a reply markup")
    if not rows:
        return None
    return types.ReplyInlineMarkup(
        rows=[types.KeyboardInlineButtonRow([_button(button) for button in row]) for row in rows]
    )


def _button(button: dict[str, Any]) -> Any:
    if not button.get("text"):
        raise bad_request("can't parse inline keyboard button: Text buttons must not be empty")
    style = STYLES.get(button.get("style", ""))
    return types.KeyboardInlineButton(
        text=button["text"],
        type=_action(button),
        style=types.KeyboardButtonStyle(**{style: True}) if style else None,
    )


def _action(button: dict[str, Any]) -> Any:
    if "callback_data" in button:
        data = button["callback_data"].encode()
        if not 1 <= len(data) <= MAX_CALLBACK_DATA:
            raise bad_request("BUTTON_DATA_INVALID")
        return types.InlineButtonTypeCallback(data)
    if "url" in button:
        return types.InlineButtonTypeUrl(button["url"])
    if "switch_inline_query" in button:
        return types.InlineButtonTypeSwitchInline(button["switch_inline_query"])
    if "switch_inline_query_current_chat" in button:
        return types.InlineButtonTypeSwitchInline(button["switch_inline_query_current_chat"], same_peer=True)
    raise bad_request("can't parse inline keyboard button: the local Telegram knows callback, url and switch buttons")


def keyboard_json(markup: Any) -> dict[str, Any] | None:
    """A TL inline keyboard as an InlineKeyboardMarkup; None for anything else."""
    if not isinstance(markup, types.ReplyInlineMarkup):
        return None
    return {"inline_keyboard": [[_button_json(button) for button in row.buttons] for row in markup.rows]}


def _button_json(button: Any) -> dict[str, Any]:
    action = button.type
    if isinstance(action, types.InlineButtonTypeCallback):
        return {"text": button.text, "callback_data": action.data.decode(errors="replace")}
    if isinstance(action, types.InlineButtonTypeUrl):
        return {"text": button.text, "url": action.url}
    place = "switch_inline_query_current_chat" if action.same_peer else "switch_inline_query"
    return {"text": button.text, place: action.query}


def formatted(text: str, parse_mode: str, entities: list[dict[str, Any]]) -> tuple[str, list[Any] | None]:
    """A text and its TL entities, from a parse mode or from a list of MessageEntity. Raises `BotApiError`."""
    if parse_mode:
        parser = FORMATS.get(parse_mode.lower())
        if parser is None:
            raise bad_request("unsupported parse_mode")
        text, found = parser.parse(text)
    else:
        found = [_entity(entity) for entity in entities if entity["type"] in ENTITIES]
    if not text.strip():
        raise bad_request("message text is empty")
    return text, found or None


def _entity(entity: dict[str, Any]) -> Any:
    more = {name: entity[name] for name in ("url", "language") if name in entity}
    if entity["type"] == "pre":
        more.setdefault("language", "")
    return ENTITIES[entity["type"]](offset=entity["offset"], length=entity["length"], **more)


def entities_json(entities: list[Any] | None) -> list[dict[str, Any]]:
    """TL entities as a list of MessageEntity; kinds that a bot's keypad has no use for are left out."""
    known = [entity for entity in entities or () if type(entity) in ENTITY_NAMES]
    return [_entity_json(entity) for entity in known]


def _entity_json(entity: Any) -> dict[str, Any]:
    found = {"type": ENTITY_NAMES[type(entity)], "offset": entity.offset, "length": entity.length}
    return found | {name: value for name in ("url", "language") if (value := getattr(entity, name, None))}
