"""The codecs that a call's audio may have on Asterisk's side, and how each goes in RTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from media.codecs import PACKET_MS, SAMPLE_RATE, Decoder, Encoder
from media.g7xx import AlawDecoder, AlawEncoder, G722Decoder, G722Encoder
from media.opus import OpusDecoder, OpusEncoder
from media.types import Codec


@dataclass(frozen=True)
class Format:
    """``clock``: of RTP's timestamps, in Hz."""

    payload_type: int
    clock: int
    decoder: Callable[[], Decoder]
    encoder: Callable[[], Encoder]

    @property
    def step(self) -> int:
        """What a packet adds to RTP's timestamp."""
        return self.clock * PACKET_MS // 1000


FORMATS: Mapping[Codec, Format] = {
    "opus": Format(107, SAMPLE_RATE, OpusDecoder, OpusEncoder),  # the type is Asterisk's own
    # RFC 3551, section 4.5.2: the clock was wrong in RFC 1890 and stays so, though the audio is 16 kHz.
    "g722": Format(9, 8000, G722Decoder, G722Encoder),
    "alaw": Format(8, 8000, AlawDecoder, AlawEncoder),
}
"""By Asterisk's names of them."""
