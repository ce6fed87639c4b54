"""The jitter buffer between Asterisk's packets and Telegram's clock.

Packets go in as they come; 10 ms of sound come out with every tick, whatever came in. Asterisk sends nothing while it
is silent: a gap in the sequence numbers is a loss (concealed), one in the timestamps alone is a pause (silence).

All lengths inside are samples at 48 kHz. How long a packet waits before it is played is held near a target that follows
the network's jitter. What is above it is left out of the pauses, so that speech is never cut.

By hand: aiortc's only puts packets in order, and neither conceals a loss nor follows the clock of another network.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from media.codecs import (
    SAMPLE_BYTES,
    SAMPLE_RATE,
    SILENCE,
    TICK_BYTES,
    TICK_MS,
    TICK_SAMPLES,
    CodecError,
    Decoder,
)
from media.depth import SerialNumber, TargetWait
from media.silence import KEPT_AFTER_TICKS, KEPT_TICKS, SilenceDetector, crossfade
from media.types import FlowStats, MediaStats

_MS = SAMPLE_RATE // 1000

TOO_LONG, TOO_SHORT = 5 * _MS, 10 * _MS
"""How far the wait may be from the target before something is done: together more than the tick that it is about."""
SQUEEZE = 80 * _MS
"""How far above it may be before, with no pause in sight, ticks are blended in the middle of sound."""
SQUEEZE_EVERY = 10
"""Ticks from one blending to the next: 10 % faster at most."""
MAX_CONCEALED = 60 * _MS
"""The decoders' guesses have faded to nothing by then."""
MAX_KEPT = 2000 * _MS
"""The most sound that is ever kept, while waiting for Telegram or after a stall; beyond it the oldest goes."""
LEAD_IN_MS = 200
"""Silence after Telegram media has connected here: at the other end it connects a moment later."""
MAX_PAUSE = 500 * _MS
"""The longest pause that a jump of the timestamp can make while there is sound to play after it."""
SMOOTHING = 1 / 16
"""Weight of one packet in the mean wait: it follows within a third of a second."""
REMEMBERED = 256
"""Sequence numbers remembered to tell a duplicate from a late packet."""
MAX_DROPOUT = 3000
"""A larger step of the sequence number is a new stream, not a loss (RFC 3550, appendix A.1)."""
MAX_LATE_RUN = 10
"""So many late packets in a row are a new stream, whose numbers start lower."""


class _Packet(NamedTuple):
    seq: int
    timestamp: int
    samples: int
    payload: bytes
    at: float
    """In seconds, when it came."""


@dataclass(slots=True)
class _Counts:
    received: int = 0
    bytes: int = 0
    lost: int = 0
    late: int = 0
    reordered: int = 0
    duplicates: int = 0
    undecodable: int = 0
    overflows: int = 0
    silent_ticks: int = 0
    skipped_ticks: int = 0
    inserted_ticks: int = 0
    concealed: int = 0
    """Samples."""


class JitterBuffer:
    """Packets in, ticks out. Until ``release``, the newest ``MAX_KEPT`` is kept and silence comes out.

    ``lead_in_ms`` is silence that comes out after the release; what may be kept is longer by as much.
    """

    def __init__(self, decoder: Decoder, lead_in_ms: int = 0) -> None:
        self._max_kept = MAX_KEPT + lead_in_ms * _MS
        self._decoder = decoder
        self._target = TargetWait()
        self._pauses = SilenceDetector()
        self.released = False
        """Whether it may play."""
        self._lead_in = lead_in_ms // TICK_MS
        self._backlog = 0.0
        self._rest = b""  # decoded, but less than a tick
        self._mean_wait = 0.0
        self._now = 0.0
        self._ticks_to_squeeze = 0
        self._counts = _Counts()
        self.new_stream()

    def put(self, seq: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet with RTP's 16-bit sequence number and 32-bit timestamp at 48 kHz; ``now`` in seconds."""
        try:
            samples = self._decoder.samples(payload)
        except CodecError:
            self._counts.undecodable += 1
            return
        packet = _Packet(self._seq.unwrap(seq), self._timestamp.unwrap(timestamp), samples, payload, now)
        if self._newest is not None and packet.seq - self._newest.seq > MAX_DROPOUT:
            self.new_stream()
            self.put(seq, timestamp, payload, now)
            return
        self._counts.received += 1
        self._counts.bytes += len(payload)
        if packet.seq in self._waiting:
            self._counts.duplicates += 1
        elif self._next_seq is None or packet.seq >= self._next_seq:
            self._keep(packet)
        elif packet.seq in self._done_seqs:
            self._counts.duplicates += 1
        else:
            self._counts.late += 1
            self._late_run += 1
            if self._late_run >= MAX_LATE_RUN:
                self.new_stream()

    def skip(self, seq: int) -> None:
        """A packet of the stream that is no audio, such as a telephone event: its number is no loss."""
        self._no_audio.append(self._seq.unwrap(seq))

    def release(self) -> None:
        """Telegram can hear now: what was kept is played from its beginning, and caught up with in its pauses."""
        if self.released:
            return
        self.released = True
        self._note_backlog()

    @property
    def has_next(self) -> bool:
        """Whether the packet is here that follows the one played last."""
        return self._next_seq in self._waiting

    @property
    def decoded(self) -> bool:
        """Whether the next tick needs no packet."""
        return bool(self._ready)

    def pull(self, now: float) -> bytes:
        """The next tick: sound, a guess at what was lost, or silence. ``now``: on the clock of `put`."""
        self._now = now
        if not self._ready and not self._fill():
            self._counts.silent_ticks += 1
            return SILENCE
        tick = self._ready.popleft()
        excess = self._mean_wait - self._target.samples
        if excess <= TOO_LONG:
            self._backlog = 0.0
        if not -TOO_SHORT <= excess <= TOO_LONG:
            tick = self._regulate(tick, excess)
        self._pauses.heard(tick)
        return tick

    def stats(
        self, rejected: int = 0, foreign: int = 0, overflows: int = 0, to_asterisk: FlowStats | None = None
    ) -> MediaStats:
        """What was counted, together with the numbers of the transport that owns this buffer."""
        return MediaStats(
            from_asterisk=FlowStats(
                packets=self._counts.received,
                bytes=self._counts.bytes,
                lost=self._counts.lost,
                late=self._counts.late,
                reordered=self._counts.reordered,
                duplicates=self._counts.duplicates,
                rejected=rejected + self._counts.undecodable,
                foreign=foreign,
            ),
            to_asterisk=to_asterisk or FlowStats(),
            jitter_ms=round(self._target.jitter / _MS, 1),
            buffer_ms=int(self._mean_wait if self._playing else self._level) // _MS,
            target_ms=int(self._target.samples) // _MS,
            concealed_ms=self._counts.concealed // _MS,
            silence_ms=self._counts.silent_ticks * TICK_MS,
            backlog_ms=int(max(0.0, min(self._backlog, self._excess) if self._playing else self._level)) // _MS,
            skipped_ms=self._counts.skipped_ticks * TICK_MS,
            inserted_ms=self._counts.inserted_ticks * TICK_MS,
            overflows=overflows + self._counts.overflows,
        )

    # Keeping

    def new_stream(self) -> None:
        """The next packet begins a stream with numbers of its own; what is left of the old one is not played."""
        self._seq = SerialNumber(16)
        self._timestamp = SerialNumber(32)
        self._waiting: dict[int, _Packet] = {}  # by their sequence numbers
        self._waiting_samples = 0
        self._done_seqs: deque[int] = deque(maxlen=REMEMBERED)
        self._no_audio: deque[int] = deque(maxlen=MAX_DROPOUT)
        self._ready: deque[bytes] = deque()  # decoded ticks
        self._newest: _Packet | None = None
        self._next_seq: int | None = None
        self._next_timestamp = 0
        self._late_run = 0
        self._playing = False
        self._concealed_run = 0
        self._target.paused()

    @property
    def _excess(self) -> float:
        return self._mean_wait - self._target.samples

    @property
    def _level(self) -> int:
        return self._waiting_samples + len(self._ready) * TICK_SAMPLES + len(self._rest) // SAMPLE_BYTES

    def _keep(self, packet: _Packet) -> None:
        self._late_run = 0
        newest = self._newest
        if newest is not None and packet.seq < newest.seq:
            self._counts.reordered += 1
        else:
            if newest is not None and (
                packet.timestamp - newest.timestamp != (packet.seq - newest.seq) * newest.samples
            ):
                self._target.paused()
            self._newest = packet
        self._target.arrived(packet.timestamp, packet.at)
        self._waiting[packet.seq] = packet
        self._waiting_samples += packet.samples
        while len(self._waiting) > 1 and self._level > self._max_kept:
            self._take_out(self._oldest())
            self._counts.overflows += 1

    def _oldest(self) -> _Packet:
        return self._waiting[min(self._waiting)]

    def _take_out(self, packet: _Packet) -> None:
        del self._waiting[packet.seq]
        self._waiting_samples -= packet.samples
        self._done_seqs.append(packet.seq)
        self._next_seq = packet.seq + 1
        self._next_timestamp = packet.timestamp + packet.samples

    # Playing

    def _fill(self) -> bool:
        """Have a tick ready; False for silence."""
        if not (self._playing or self._begins()):
            return False
        self._decode(1)
        if not self._ready:
            self._guess()
        if not self._ready:
            self._fall_silent()
        return bool(self._ready)

    def _note_backlog(self) -> None:
        self._backlog = max(0.0, self._level - self._target.samples)

    def _begins(self) -> bool:
        """Begin to play, if it may and the first packet has waited long enough."""
        if not self.released:
            return False
        if self._lead_in:
            self._lead_in -= 1
            self._note_backlog()
            return False
        if not self._waiting:
            return False
        first = self._oldest()
        waited = self._waited(first)
        if waited < self._target.samples:
            return False
        if self._next_seq is not None:
            self._counts.lost += self._lost_before(first.seq)
        self._next_seq, self._next_timestamp = first.seq, first.timestamp
        self._playing = True
        self._concealed_run = 0
        self._mean_wait = waited
        return True

    def _waited(self, packet: _Packet) -> float:
        return (self._now - packet.at) * SAMPLE_RATE

    def _fall_silent(self) -> None:
        self._playing = False
        self._backlog = 0.0
        self._rest = b""

    def _decode(self, ticks: int) -> None:
        """Decode until so many ticks are ready, as far as the packets reach."""
        while len(self._ready) < ticks and self._waiting:
            first = self._oldest()
            missing = first.timestamp - self._next_timestamp
            if first.seq != self._next_seq and (lost := self._lost_before(first.seq)):
                self._conceal(lost, missing)
                self._next_seq = first.seq
            elif missing > 0:
                catching_up = self._excess > TOO_LONG
                pause = min(missing, KEPT_TICKS * TICK_SAMPLES if catching_up else MAX_PAUSE)
                self._append(bytes(pause * SAMPLE_BYTES))
                self._next_timestamp = first.timestamp
            else:
                self._take_out(first)
                self._play(first)

    def _lost_before(self, seq: int) -> int:
        """How many packets between what was played last and this one were audio, and did not come."""
        assert self._next_seq is not None
        no_audio = sum(self._next_seq <= number < seq for number in set(self._no_audio))
        return max(0, seq - self._next_seq - no_audio)

    def _play(self, packet: _Packet) -> None:
        self._concealed_run = 0
        wait = (self._now - packet.at) * SAMPLE_RATE + len(self._ready) * TICK_SAMPLES
        self._mean_wait += (wait - self._mean_wait) * SMOOTHING
        try:
            self._append(self._decoder.decode(packet.payload))
        except CodecError:
            self._counts.undecodable += 1
            self._append(self._decoder.conceal())

    def _conceal(self, packets: int, missing: int) -> None:
        """Guess what lost packets said, beyond what was guessed while they were only late; the rest stays a pause."""
        self._counts.lost += packets
        wanted = min(missing, MAX_CONCEALED)
        filled = self._concealed_run
        while filled < wanted and (guess := self._decoder.conceal()[: (wanted - filled) * SAMPLE_BYTES]):
            self._append(guess)
            self._counts.concealed += len(guess) // SAMPLE_BYTES
            filled += len(guess) // SAMPLE_BYTES
        self._next_timestamp += min(filled, max(0, missing))

    def _guess(self) -> None:
        """Something to play while nothing is there, for a short while."""
        while not self._ready and self._concealed_run < MAX_CONCEALED and (guess := self._decoder.conceal()):
            self._append(guess)
            self._concealed_run += len(guess) // SAMPLE_BYTES
            self._counts.concealed += len(guess) // SAMPLE_BYTES

    def _append(self, pcm: bytes) -> None:
        if self._rest:
            pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % TICK_BYTES
        for at in range(0, whole, TICK_BYTES):
            self._ready.append(pcm[at : at + TICK_BYTES])
        self._rest = pcm[whole:]

    # Holding the wait

    def _regulate(self, tick: bytes, excess: float) -> bytes:
        """Shorten or lengthen a pause, or in need blend two ticks, to bring the wait to its target."""
        if self._ticks_to_squeeze:
            self._ticks_to_squeeze -= 1
        if excess > TOO_LONG and self._pauses.long_enough:
            return self._skip_quiet(tick)
        if excess < -TOO_SHORT and self._pauses.long_enough and self._pauses.quiet(tick):
            self._ready.appendleft(tick)
            self._mean_wait += TICK_SAMPLES
            self._counts.inserted_ticks += 1
        elif excess - self._backlog > SQUEEZE and not self._ticks_to_squeeze:
            self._decode(1)
            if self._ready:
                self._ticks_to_squeeze = SQUEEZE_EVERY
                self._left_out()
                return crossfade(tick, self._ready.popleft())
        return tick

    def _skip_quiet(self, tick: bytes) -> bytes:
        self._ready.appendleft(tick)
        while self._excess > TOO_LONG and self._pauses.quiet(self._ready[0]):
            self._decode(1 + KEPT_AFTER_TICKS)
            ahead = list(self._ready)[1 : 1 + KEPT_AFTER_TICKS]  # fewer where the wait is short already
            if not ahead or not all(self._pauses.quiet(later) for later in ahead):
                break
            self._ready.popleft()
            self._left_out()
        return self._ready.popleft()

    def _left_out(self) -> None:
        self._counts.skipped_ticks += 1
        self._mean_wait -= TICK_SAMPLES
        self._backlog = max(0.0, self._backlog - TICK_SAMPLES)
