"""What Telegram can say to somebody who signs in, as sentences for them."""

import math
import sqlite3
from dataclasses import dataclass, replace

from ari_app.i18n import Message, message
from ari_app.telegram.account import Account
from ari_app.telegram.errors import Limited, TelegramError
from ari_app.telegram.proxy_route import ProxyFailed

NO_ANSWER = "NO_ANSWER"
FLOOD_WAIT = "FLOOD_WAIT"
SESSION_FILE = "SESSION_FILE"
MINUTE_S = 60

BANNED = message("Telegram has banned {number}: appeal in one of Telegram's own apps, or give the line another number.")
EXPIRED = message("The code for {number} has expired: ask for a new one.")
NO_ACCOUNT = message(
    "Nobody on Telegram has {number}: register it with one of Telegram's own apps first, and then sign in here."
)
WRONG_APPLICATION = message(
    "Telegram knows no application with api_id {api_id} and the api_hash that goes with it here: "
    "copy both again from my.telegram.org."
)

SENTENCES: dict[str, Message] = {
    "PHONE_CODE_INVALID": message("This is not the code that Telegram sent to {number}: check it, and enter it again."),
    "PHONE_CODE_EMPTY": message("Enter the code that Telegram sent to {number}."),
    "PHONE_CODE_EXPIRED": EXPIRED,
    "PHONE_CODE_HASH_EMPTY": EXPIRED,
    "PHONE_NUMBER_INVALID": message(
        "Telegram says that {number} is no phone number: correct the line's number; it begins with + and the country."
    ),
    "PHONE_NUMBER_BANNED": BANNED,
    "USER_DEACTIVATED_BAN": BANNED,
    "USER_DEACTIVATED": message("The Telegram account of {number} was deleted: register the number again first."),
    "PHONE_NUMBER_UNOCCUPIED": NO_ACCOUNT,
    "PHONE_NUMBER_FLOOD": message(
        "Too many codes were asked for with {number}: wait a day before the next one, or sign in by QR code."
    ),
    "PHONE_PASSWORD_FLOOD": message("Signing in to {number} was tried too often: wait a day, and then try again."),
    "PASSWORD_HASH_INVALID": message("This is not the two-step password of {number}: enter it again."),
    "PASSWORD_EMPTY": message("Enter the two-step password of {number}."),
    "PASSWORD_ALGORITHM": message(
        "Telegram asks for the two-step password of {number} in a way that this program does not know: update it."
    ),
    "API_ID_INVALID": WRONG_APPLICATION,
    "CONNECTION_API_ID_INVALID": WRONG_APPLICATION,
    "API_ID_PUBLISHED_FLOOD": message(
        "Telegram refuses api_id {api_id}, because it was published: "
        "make an application of your own at my.telegram.org."
    ),
    "SEND_CODE_UNAVAILABLE": message(
        "Telegram has no further way to send a code to {number}: "
        "enter the last one, sign in by QR code, or try again tomorrow."
    ),
    "EMAIL_SETUP_REQUIRED": message(
        "Telegram demands a login e-mail address for {number}: set it up in one of Telegram's own apps, "
        "or sign in by QR code."
    ),
    "PAYMENT_REQUIRED": message(
        "Telegram sends codes for {number} only against payment in its own apps: sign in by QR code instead."
    ),
    "UPDATE_APP_TO_LOGIN": message(
        "This version of Astergram is too old for Telegram to sign {number} in (UPDATE_APP_TO_LOGIN): update Astergram."
    ),
    SESSION_FILE: message(
        "What belongs to signing {number} in can't be kept: see that there is room on the disk, and begin again."
    ),
    NO_ANSWER: message("Telegram does not answer: check this machine's way to the Internet, and try again."),
}


@dataclass(frozen=True)
class Refusal:
    """Telegram's own word (such as PHONE_CODE_INVALID), and what to tell an administrator."""

    word: str
    sentence: Message


def refusal(word: str, account: Account) -> Refusal:
    """What to say for one of the words that have a sentence here."""
    return Refusal(word, replace(SENTENCES[word], values={"number": account.number, "api_id": account.api_id}))


def refusal_of(error: Exception, account: Account) -> Refusal:
    """What to say when a request failed with Telegram's, the session file's or the network's error."""
    if isinstance(error, sqlite3.Error):
        return refusal(SESSION_FILE, account)
    if isinstance(error, Limited) and error.seconds is not None:
        return Refusal(FLOOD_WAIT, wait(error.seconds))
    if isinstance(error, ProxyFailed):
        return Refusal(NO_ANSWER, error.sentence)
    if not (isinstance(error, TelegramError) and error.word):
        return refusal(NO_ANSWER, account)
    if error.word in SENTENCES:
        return refusal(error.word, account)
    return Refusal(error.word, message("{refusal}. Try again in a while.", refusal=str(error)))


def wait(seconds: int) -> Message:
    """How long Telegram wants to be left alone."""
    if seconds < 2 * MINUTE_S:
        return message("Telegram asks to wait {seconds} s before the next try.", seconds=seconds)
    hours, minutes = divmod(math.ceil(seconds / MINUTE_S), 60)
    if hours < 2:
        return message("Telegram asks to wait {minutes} min before the next try.", minutes=hours * 60 + minutes)
    return message("Telegram asks to wait {hours} h {minutes} min before the next try.", hours=hours, minutes=minutes)
