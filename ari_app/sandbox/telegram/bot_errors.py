"""Errors of the HTTP Bot API, in its own words (https://github.com/tdlib/telegram-bot-api, `fail_query_with_error`)."""

from __future__ import annotations

from .rpc import RpcError

PREFIXES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
PREFIXES |= {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway"}

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
OTHER_POLL = "terminated by other getUpdates request; make sure that only one bot instance is running"

TRANSLATED: dict[str, tuple[int, str]] = {
    "MESSAGE_NOT_MODIFIED": (400, NOT_MODIFIED),
    "QUERY_ID_INVALID": (400, QUERY_TOO_OLD),
    "USER_IS_BLOCKED": (403, "bot was blocked by the user"),
    "INPUT_USER_DEACTIVATED": (403, "user is deactivated"),
}


class BotApiError(Exception):
    """A refusal of the Bot API: an HTTP status, a description, and for 429 the seconds to wait."""

    def __init__(self, code: int, description: str = "", retry_after: int | None = None) -> None:
        if retry_after is not None and not description:
            description = f"retry after {retry_after}"
        prefix = PREFIXES.get(code, "")
        worded = description if description.startswith(prefix) else f"{prefix}: {description}"
        super().__init__(f"{code} {worded if description else prefix}")
        self.code = code
        self.description = worded if description else prefix
        self.retry_after = retry_after


def bad_request(description: str) -> BotApiError:
    """A 400 with Telegram's prefix."""
    return BotApiError(400, description)


def translated(error: RpcError) -> BotApiError:
    """How the Bot API words an error of MTProto."""
    return BotApiError(*TRANSLATED.get(error.name, (400, error.name)))
