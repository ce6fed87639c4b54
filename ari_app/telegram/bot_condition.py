"""Whether the bot can be used, and what an administrator is told of it."""

from dataclasses import dataclass
from enum import Enum

from ari_app.i18n import Message, message
from ari_app.telegram.bot_api import BotApiError, BotProxyFailed


class BotState(Enum):
    """Whether the bot can be used; the worst first."""

    NO_TOKEN = "not set up"  # noqa: S105
    REFUSED = "refused"
    CONNECTING = "connecting"
    CONFLICT = "used by another program"
    NO_INLINE = "without inline mode"
    READY = "ready"


@dataclass(frozen=True)
class Condition:
    """A state, with what has happened and what to do."""

    state: BotState
    sentence: Message

    @property
    def usable(self) -> bool:
        """Whether Telegram takes requests of the bot's."""
        return self.state in (BotState.READY, BotState.NO_INLINE)


NO_TOKEN = Condition(
    BotState.NO_TOKEN,
    message(
        "There is no bot, so callers get no keypad, and cards no button: make one at @BotFather and enter its token."
    ),
)
CONNECTING = Condition(BotState.CONNECTING, message("Connecting to Telegram's Bot API."))
REFUSED = Condition(
    BotState.REFUSED,
    message("Telegram does not accept the bot's token: take the present one from @BotFather (/token) and enter it."),
)


def unreachable(error: BotApiError) -> Condition:
    """A request did not work, and may yet."""
    if isinstance(error, BotProxyFailed):
        return Condition(BotState.CONNECTING, error.sentence)
    said = message(
        "Waiting for Telegram's Bot API ({error}). If this lasts, see whether the network lets it through.",
        error=str(error),
    )
    return Condition(BotState.CONNECTING, said)


NO_BOT_BY_MTPROXY = message(
    "An MTProxy carries no bot, so callers get no keypad, and cards no button: for them, enter a SOCKS5 or HTTP proxy "
    "in Settings."
)


def conflict(username: str, error: BotApiError) -> Condition:
    """Somebody else fetches what is meant for it."""
    said = message(
        "Another program takes what is meant for @{bot} ({error}): stop it, or give Astergram a bot of its own.",
        bot=username,
        error=str(error),
    )
    return Condition(BotState.CONFLICT, said)


def introduced_as(username: str, inline: bool) -> Condition:
    """It has said who it is."""
    if inline:
        return Condition(BotState.READY, message("@{bot} is connected.", bot=username))
    said = message("Inline mode of @{bot} is off: switch it on at @BotFather (/setinline).", bot=username)
    return Condition(BotState.NO_INLINE, said)
