"""What calls are made of."""

from dataclasses import dataclass

from ari_app.asterisk.ari import AriClient
from ari_app.calls.audio import AudioSettings


@dataclass
class CallResources:
    """As the configuration file was read last, for the next call.

    ``ring_s``: how long a person's Telegram may ring, unless the dialplan asks for less.
    """

    ari: AriClient
    audio: AudioSettings
    ring_s: float
