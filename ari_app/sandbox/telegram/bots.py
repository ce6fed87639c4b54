"""Bots: accounts that a program holds by a token (https://core.telegram.org/bots/api#authorizing-your-bot)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from .store import Store

SECRET_BYTES = 26  # 35 characters after the colon, as BotFather's tokens have
ROW = "SELECT users.*, token, inline, feedback FROM users JOIN bots ON bots.id = users.id WHERE NOT deleted"


@dataclass(frozen=True)
class Bot:
    """A bot; `token` is what its program presents to the Bot API.

    `inline` is BotFather's /setinline, `feedback` its /setinlinefeedback (whether the bot hears which of its results
    was sent, as `chosen_inline_result`).
    """

    id: int
    username: str
    token: str
    name: str
    inline: bool
    feedback: bool


class Bots:
    """Every bot, and who has started it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, username: str, token: str | None, inline: bool, name: str, feedback: bool) -> Bot:
        """Create a bot, or update the one with that username; with no token it keeps its own.

        Raises `ValueError` for a token that does not begin with a bot's id, or with somebody else's.
        """
        username = username.removeprefix("@")
        known = self._store.user_by_username(username)
        if known is not None and not known.is_bot:
            raise ValueError(f"@{username} is the username of a person; give the bot another one")
        bot_id = known.id if known else None
        if token is not None:
            bot_id = self._id_of(token, bot_id)
        user = self._store.put_user(bot_id, "", name, "", username, "")
        old = self.get(user.id)
        token = token or (old.token if old else _new_token(user.id))
        self._store.put("bots", {"id": user.id, "token": token, "inline": int(inline), "feedback": int(feedback)})
        return self.named(username)

    def _id_of(self, token: str, known_id: int | None) -> int:
        number, colon, secret = token.partition(":")
        if not (number.isdecimal() and colon and secret):
            raise ValueError("a bot's token is its id, a colon and a secret, for example 123456:secret")
        bot_id = int(number)
        taken = self._store.user(bot_id) is not None if known_id is None else known_id != bot_id
        if taken:
            raise ValueError(f"the token begins with {bot_id}, which is not the id of this bot")
        return bot_id

    def get(self, user_id: int) -> Bot | None:
        """A bot by its id."""
        return _bot(self._store.one(f"{ROW} AND users.id = ?", user_id))

    def by_token(self, token: str) -> Bot | None:
        """A bot by its token."""
        return _bot(self._store.one(f"{ROW} AND token = ?", token))

    def named(self, username: str) -> Bot:
        """A bot by its username, with or without @. Raises `LookupError` when there is none."""
        bot = _bot(self._store.one(f"{ROW} AND lower(username) = ?", username.removeprefix("@").lower()))
        if bot is None:
            raise LookupError(f"no bot is called {username}: call add_bot first")
        return bot

    def set_inline(self, username: str, on: bool) -> None:
        """Switch inline mode, as BotFather's /setinline does."""
        self._store.put("bots", {"id": self.named(username).id, "inline": int(on)})

    def revoke_token(self, username: str) -> Bot:
        """Give a bot a new token; the old one is good no more."""
        bot = self.named(username)
        self._store.put("bots", {"id": bot.id, "token": _new_token(bot.id)})
        return self.named(username)

    def start(self, bot_id: int, user_id: int) -> None:
        """Note that a person wrote to a bot, so that it may write to them."""
        self._store.put("started", {"bot": bot_id, "user_id": user_id})

    def is_started(self, bot_id: int, user_id: int) -> bool:
        """Whether a person has ever written to a bot."""
        return self._store.one("SELECT 1 FROM started WHERE bot = ? AND user_id = ?", bot_id, user_id) is not None


def _new_token(bot_id: int) -> str:
    return f"{bot_id}:{secrets.token_urlsafe(SECRET_BYTES)}"


def _bot(row: dict[str, Any] | None) -> Bot | None:
    if row is None:
        return None
    flags = {"inline": bool(row["inline"]), "feedback": bool(row["feedback"])}
    return Bot(id=row["id"], username=row["username"], token=row["token"], name=row["first_name"], **flags)
