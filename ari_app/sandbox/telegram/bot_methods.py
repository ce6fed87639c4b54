"""Methods of the HTTP Bot API (https://core.telegram.org/bots/api#available-methods): private chats and inline mode."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telethon.tl import types

from .bot_arguments import Arguments
from .bot_errors import BotApiError, bad_request, translated
from .bot_mail import BotMail
from .bot_markup import formatted, keyboard
from .bot_views import BotViews
from .bots import Bot, Bots
from .callbacks import Callbacks
from .files import Files
from .inline import Inline, InlineAnswer
from .messages import MAX_TEXT, Messages
from .rpc import RpcError
from .store import Store, digits
from .tl import read
from .updates import Updates

log = logging.getLogger(__name__)

MAX_POLL_S = 50
MAX_UPDATES = 100
MAX_RESULTS = 50
MAX_RESULT_ID = 64
MAX_NOTIFICATION = 200
DEFAULT_CACHE_S = 300
# What a bot says about itself goes nowhere here.
HARMLESS: dict[str, Any] = {
    name: True
    for name in (
        *("setmycommands", "deletemycommands", "setmyname", "setmydescription", "setmyshortdescription"),
        *("setchatmenubutton", "setmydefaultadministratorrights", "logout", "close"),
    )
} | {"getmycommands": []}


@dataclass(frozen=True)
class BotServices:
    """The services that the methods build on."""

    store: Store
    bots: Bots
    updates: Updates
    messages: Messages
    files: Files
    mail: BotMail
    views: BotViews
    inline: Inline
    callbacks: Callbacks


class BotMethods:
    """Performs methods for a bot; `call` finds them by their names in lower case."""

    def __init__(self, services: BotServices) -> None:
        self._store = services.store
        self._bots = services.bots
        self._updates = services.updates
        self._messages = services.messages
        self._files = services.files
        self._mail = services.mail
        self._views = services.views
        self._inline = services.inline
        self._callbacks = services.callbacks
        self._methods: dict[str, Callable[[Bot, Arguments], Any]] = {
            "getme": lambda bot, arguments: self._views.me(bot),
            "getwebhookinfo": self._get_webhook_info,
            "deletewebhook": self._delete_webhook,
            "answerinlinequery": self._answer_inline_query,
            "answercallbackquery": self._answer_callback_query,
            "editmessagetext": self._edit_message_text,
            "editmessagereplymarkup": self._edit_message_reply_markup,
            "sendmessage": self._send_message,
            "sendcontact": self._send_contact,
            "sendphoto": self._send_photo,
            "deletemessage": self._delete_message,
            "sendchataction": self._send_chat_action,
        }

    async def call(self, bot: Bot, method: str, arguments: Arguments) -> Any:
        """The result of a method, ready for JSON. Raises `BotApiError`."""
        name = method.lower()
        if name == "getupdates":
            return await self._get_updates(bot, arguments)
        if name in HARMLESS:
            return HARMLESS[name]
        if name not in self._methods:
            log.warning("%s is not implemented by the local Telegram's Bot API; answered 404", method)
            raise BotApiError(404, "method not found")
        try:
            return self._methods[name](bot, arguments)
        except RpcError as error:
            raise translated(error) from None

    # Updates

    async def _get_updates(self, bot: Bot, arguments: Arguments) -> Any:
        limit = min(max(arguments.number("limit", MAX_UPDATES), 1), MAX_UPDATES)
        timeout_s = min(arguments.number("timeout", 0), MAX_POLL_S)
        kinds = arguments.data("allowed_updates")
        return await self._mail.take(bot.id, arguments.number("offset", 0), limit, timeout_s, kinds)

    def _get_webhook_info(self, bot: Bot, arguments: Arguments) -> Any:
        return {"url": "", "has_custom_certificate": False, "pending_update_count": self._mail.count(bot.id)}

    def _delete_webhook(self, bot: Bot, arguments: Arguments) -> bool:
        if arguments.flag("drop_pending_updates"):
            self._mail.clear(bot.id)
        return True

    # Answers

    def _answer_inline_query(self, bot: Bot, arguments: Arguments) -> bool:
        results = arguments.data("results") or []
        if len(results) > MAX_RESULTS:
            raise bad_request("RESULTS_TOO_MUCH")
        answer = InlineAnswer(
            results=[_inline_result(result) for result in results],
            cache_time=arguments.number("cache_time", DEFAULT_CACHE_S),
            is_personal=arguments.flag("is_personal"),
            next_offset=arguments.text("next_offset") or None,
        )
        self._inline.answer(bot, arguments.text("inline_query_id"), answer)
        return True

    def _answer_callback_query(self, bot: Bot, arguments: Arguments) -> bool:
        text, url = arguments.text("text"), arguments.text("url")
        if len(text) > MAX_NOTIFICATION:
            raise bad_request("MESSAGE_TOO_LONG")
        answer = types.messages.BotCallbackAnswer(
            cache_time=arguments.number("cache_time", 0),
            alert=arguments.flag("show_alert"),
            has_url=bool(url),
            message=text or None,
            url=url or None,
        )
        self._callbacks.answer(bot, arguments.text("callback_query_id"), answer)
        return True

    # Edits

    def _edit_message_text(self, bot: Bot, arguments: Arguments) -> Any:
        text, entities = _formatted(arguments, "text", "entities")
        return self._edit(bot, arguments, {"message": text, "entities": entities})

    def _edit_message_reply_markup(self, bot: Bot, arguments: Arguments) -> Any:
        return self._edit(bot, arguments, {})

    def _edit(self, bot: Bot, arguments: Arguments, changed: dict[str, Any]) -> Any:
        # As on Telegram, an edit that names no keyboard takes the keyboard away.
        changed["reply_markup"] = keyboard(arguments.data("reply_markup"))
        if "inline_message_id" in arguments:
            target = self._views.inline_message(arguments.text("inline_message_id"))
            copies = self._messages.copies(*target) if target else []
            if target is None or not copies or read(copies[0]["body"]).via_bot_id != bot.id:
                raise bad_request("MESSAGE_ID_INVALID")
            self._messages.change(*target, changed)
            return True
        row = self._own_message(bot, arguments, "message to edit not found")
        if not read(row["body"]).out:
            raise bad_request("message can't be edited")
        return self._views.message(bot, self._messages.change(bot.id, row["id"], changed).message)

    def _own_message(self, bot: Bot, arguments: Arguments, missing: str) -> dict[str, Any]:
        person = self._person(arguments)
        row = self._messages.row(bot.id, arguments.number("message_id"))
        if row is None or row["peer"] != person:
            raise bad_request(missing)
        return row

    # Messages

    def _send_message(self, bot: Bot, arguments: Arguments) -> Any:
        text, entities = _formatted(arguments, "text", "entities")
        return self._send(bot, arguments, message=text, entities=entities)

    def _send_contact(self, bot: Bot, arguments: Arguments) -> Any:
        phone = digits(arguments.text("phone_number"))
        known = self._store.user_by_phone(phone)
        names = (arguments.text(name) for name in ("first_name", "last_name", "vcard"))
        media = types.MessageMediaContact(phone, *names, user_id=known.id if known else 0)
        return self._send(bot, arguments, message="", media=media)

    def _send_photo(self, bot: Bot, arguments: Arguments) -> Any:
        data, file_id = arguments.file("photo"), arguments.text("photo")
        if data is None and not file_id.isdecimal():
            raise bad_request("the local Telegram sends photos that are uploaded, or sent before: no URL")
        photo = self._files.keep(data) if data is not None else self._files.kept(int(file_id))
        caption, entities = "", None
        if "caption" in arguments:
            caption, entities = _formatted(arguments, "caption", "caption_entities")
        media = types.MessageMediaPhoto(photo=photo)
        return self._send(bot, arguments, message=caption, entities=entities, media=media)

    def _send(self, bot: Bot, arguments: Arguments, **content: Any) -> Any:
        person = self._reachable(bot, arguments)
        content["reply_markup"] = keyboard(arguments.data("reply_markup"))
        own = self._messages.deliver(bot.id, person, lambda copy: types.Message(**copy, **content))
        return self._views.message(bot, own.message)

    def _person(self, arguments: Arguments) -> int:
        """The other side of a private chat that exists."""
        user = self._store.user(arguments.number("chat_id"))
        if user is None:
            raise bad_request("chat not found")
        return user.id

    def _reachable(self, bot: Bot, arguments: Arguments) -> int:
        """The other side of a private chat, when the bot may write to them."""
        user = self._store.user(self._person(arguments))
        assert user is not None
        if user.is_bot:
            raise BotApiError(403, "bot can't send messages to bots")
        if user.deleted:
            raise RpcError("INPUT_USER_DEACTIVATED")
        if self._store.is_blocked(user.id, bot.id):
            raise RpcError("USER_IS_BLOCKED")
        if not self._bots.is_started(bot.id, user.id):
            raise BotApiError(403, "bot can't initiate conversation with a user")
        return user.id

    def _delete_message(self, bot: Bot, arguments: Arguments) -> bool:
        row = self._own_message(bot, arguments, "message to delete not found")
        self._messages.delete(bot.id, [row["id"]], revoke=True)
        return True

    def _send_chat_action(self, bot: Bot, arguments: Arguments) -> bool:
        person = self._reachable(bot, arguments)
        self._updates.push_short(person, types.UpdateUserTyping(bot.id, types.SendMessageTypingAction()))
        return True


def _formatted(arguments: Arguments, text: str, entities: str) -> tuple[str, list[Any] | None]:
    found = formatted(arguments.text(text), arguments.text("parse_mode"), arguments.data(entities) or [])
    if len(found[0]) > MAX_TEXT:
        raise bad_request("MESSAGE_TOO_LONG")
    return found


def _inline_result(result: dict[str, Any]) -> Any:
    content = result.get("input_message_content") or {}
    if result.get("type") != "article" or "message_text" not in content:
        raise bad_request("the local Telegram knows only inline results of type article with an input text message")
    if not 1 <= len(str(result.get("id", "")).encode()) <= MAX_RESULT_ID:
        raise bad_request("RESULT_ID_INVALID")
    text, entities = formatted(content["message_text"], content.get("parse_mode", ""), content.get("entities", []))
    message = types.BotInlineMessageText(
        message=text, entities=entities, reply_markup=keyboard(result.get("reply_markup"))
    )
    names = {name: result.get(name) for name in ("title", "description", "url")}
    return types.BotInlineResult(id=str(result["id"]), type="article", send_message=message, **names)
