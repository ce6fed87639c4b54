"""What can be set of a webhook, and whether it makes sense."""

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from yarl import URL

from ari_app.i18n import Message, message
from ari_app.lines.settings import SettingRefused
from ari_app.store.webhooks import WebhookRow
from ari_app.webhooks.payload import TYPES
from ari_app.wrong import Wrong

SECRET_BYTES = 32  # the specification has 24 to 64
PREFIX = "whsec_"
LONGEST_URL = 2000
NO_ADDRESS = message("Enter an address that begins with https:// or http://.")


def new_secret() -> str:
    """As the specification has it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def changed(row: WebhookRow, changes: Mapping[str, Any]) -> WebhookRow:
    """A webhook with some of its fields changed. Raises SettingRefused."""
    made = replace(row, **changes)
    unknown = sorted(set(made.events) - set(TYPES))
    wrong = [Wrong("url", reason)] if (reason := _wrong_url(made.url)) else []
    wrong += [Wrong("events", message("There is no event {name}.", name=unknown[0]))] if unknown else []
    if wrong:
        raise SettingRefused(*wrong)
    return replace(made, events=tuple(each for each in TYPES if each in made.events))


def _wrong_url(text: str) -> Message | None:
    if not re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", text, re.IGNORECASE) or len(text) > LONGEST_URL:
        return NO_ADDRESS
    try:
        url = URL(text)
        named = bool(url.host) and url.port is not None
    except ValueError:
        return NO_ADDRESS
    if url.user is not None or url.password is not None:
        return message("Leave name and password out of the address: requests are signed, and it is shown.")
    return None if named else NO_ADDRESS
