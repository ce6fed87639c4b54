"""The keypad in a caller's chat: its buttons, and the signed data behind them."""

import secrets
from dataclasses import dataclass

from ari_app.telegram.buttons import Button, Keyboard, fields, is_signature, signature

ROWS = ("123", "456", "789", "*0#")
PREFIX = "key"


class ForgedKey(ValueError):
    """The data was not made by this keypad for this person."""


@dataclass(frozen=True)
class KeyData:
    """What a button carries: the call, the key, and that this program made it for this person."""

    call: str
    key: str
    signature: str

    def pack(self) -> str:
        """As Telegram keeps it behind the button."""
        return ":".join((PREFIX, self.call, self.key, self.signature))

    @staticmethod
    def of_call(call: str) -> str:
        """How the data of every button of a call begins."""
        return f"{PREFIX}:{call}:"

    @classmethod
    def unpack(cls, data: str) -> "KeyData":
        """Raises ValueError where it is none."""
        return cls(*fields(data, PREFIX, 3))


class Signer:
    """Signs the keys of one call for one person, with a secret of the call's own."""

    def __init__(self, call_id: str, person_id: int) -> None:
        self._call_id = call_id
        self._person_id = person_id
        self._secret = secrets.token_bytes(32)

    def data(self, key: str) -> str:
        """The data for a button."""
        return KeyData(self._call_id, key, self._signature(key)).pack()

    def key(self, data: KeyData, person_id: int) -> str:
        """The key, if the data is ours and this is the person; raises ForgedKey."""
        if data.call != self._call_id or person_id != self._person_id:
            raise ForgedKey("it was made for another call or another person")
        if not is_signature(data.signature, self._signature(data.key)):
            raise ForgedKey("its signature is wrong")
        return data.key

    def _signature(self, key: str) -> str:
        return signature(self._secret, PREFIX, self._call_id, str(self._person_id), key)


def keyboard(signer: Signer) -> Keyboard:
    """1 2 3 / 4 5 6 / 7 8 9 / * 0 #."""
    return tuple(tuple(Button(key, signer.data(key)) for key in row) for row in ROWS)
