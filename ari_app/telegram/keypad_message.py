"""The message with the keypad: its buttons, and how their data is found again in a chat."""

import secrets

from ari_app.telegram.buttons import Button, Keyboard
from ari_app.telegram.signed_buttons import ButtonData, ButtonSigner, beginning

ROWS = ("123", "456", "789", "*0#")
PREFIX = "key"


def signer(call_id: str, person_id: int, secret: bytes) -> ButtonSigner:
    """For the keys of one call."""
    return ButtonSigner(PREFIX, call_id, person_id, secret)


def new_secret() -> bytes:
    """For the keys of a call that has none yet."""
    return secrets.token_bytes(32)


def keyboard(signer: ButtonSigner) -> Keyboard:
    """1 2 3 / 4 5 6 / 7 8 9 / * 0 #."""
    return tuple(tuple(Button(key, signer.data(key)) for key in row) for row in ROWS)


def pressed(data: str) -> tuple[ButtonData, str]:
    """What was pressed: the data, whose subject is the call, and the key. Raises ForgedButton."""
    found = ButtonData.unpack(data, PREFIX, details=1)
    return found, found.details[0]


def of_call(call_id: str) -> str:
    """How the data of every key of a call begins."""
    return beginning(PREFIX, call_id)
