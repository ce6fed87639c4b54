"""Packets of tones, in each codec, and the sound in them."""

import numpy as np

from media.codecs import PACKET_MS, SAMPLE_RATE, size_of
from media.formats import FORMATS
from media.resampler import Pcm
from media.types import Codec


def pcm_of(sound: bytes) -> Pcm:
    """Its samples."""
    return np.frombuffer(sound, np.int16)


def packets_of(pcm: Pcm, codec: Codec) -> list[bytes]:
    """Of 20 ms, without a rest at the end. 48 kHz are thinned to the codec's rate: low tones need no filter."""
    encoder = FORMATS[codec].encoder()
    sound = pcm[:: SAMPLE_RATE // encoder.rate].tobytes()
    size = size_of(PACKET_MS, encoder.rate)
    return [encoder.encode(sound[at : at + size]) for at in range(0, len(sound) - size + 1, size)]
