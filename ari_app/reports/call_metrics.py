"""What calls come to, counted for Prometheus as they happen."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from ari_app.calls.call import Call
from ari_app.calls.drain import DrainState
from ari_app.calls.events import CallEvent, Connected, PbxAnswered, Resumed, TelegramAnswered, TelegramRinging
from ari_app.calls.outcome import Direction
from ari_app.calls.progress import Milestones
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason
from media.types import MediaStats

SETUP_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 45.0, 90.0)
"""Media connects in tenths of a second; a person answers within the 90 s for which Telegram rings."""
TALK_BUCKETS_S = (5.0, 15.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0)
JITTER_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""From what a LAN has to what no jitter buffer covers."""
PROGRESS = (TelegramRinging, PbxAnswered, TelegramAnswered, Connected)
"""The events with which a call has one more milestone."""
LABELS = ("line", "direction")


@dataclass(frozen=True)
class AudioSums:
    """The audio of several calls. ``packets``: from Asterisk; ``lost``: those that came too late or never."""

    seconds: float = 0.0
    packets: int = 0
    lost: int = 0
    concealed_s: float = 0.0
    ticks_late: int = 0

    @classmethod
    def of(cls, stats: MediaStats) -> "AudioSums":
        """Of one call."""
        flow = stats.from_asterisk
        return cls(
            stats.connected_ms / 1000, flow.packets, flow.lost + flow.late, stats.concealed_ms / 1000, stats.ticks_late
        )

    def __add__(self, other: "AudioSums") -> "AudioSums":
        return AudioSums(
            self.seconds + other.seconds,
            self.packets + other.packets,
            self.lost + other.lost,
            self.concealed_s + other.concealed_s,
            self.ticks_late + other.ticks_late,
        )


class CallMetrics(Collector):
    """A `LineListener`; ``live`` gives the calls that are not over. No label names a person, nor has their number."""

    def __init__(self, registry: CollectorRegistry, live: Callable[[], Iterable[Call]]) -> None:
        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(name, said, labels, registry=registry)

        def histogram(name: str, said: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, said, labels, buckets=buckets, registry=registry)

        self._calls = counter("astergram_calls", "Calls that are over, refused ones too.", *LABELS, "status")
        self._refused = counter("astergram_calls_refused", "Calls that were not taken on.", *LABELS, "reason")
        self._redials = counter("astergram_redials", "Attempts repeated because no audio came up.")
        self._cards = counter("astergram_cards_sent", "Business cards.", "line", "reason")
        self._messages = counter("astergram_messages_received", "Texts that were not dialled.", "line")
        self._times = {
            name: (
                histogram(f"astergram_call_{name}_seconds", said, SETUP_BUCKETS_S, "direction"),
                read,
            )
            for name, said, read in TIMES
        }
        self._talk = histogram("astergram_call_talk_seconds", "Talk, of answered calls.", TALK_BUCKETS_S, *LABELS[1:])
        self._jitter = histogram(
            "astergram_call_jitter_seconds",
            "Highest jitter of a call's audio from Asterisk (RFC 3550).",
            JITTER_BUCKETS_S,
        )
        self._live = live
        self._over = AudioSums()
        self._known: dict[str, set[str]] = {}  # of live calls, the times that have been observed
        for direction in Direction:  # known from the start, so that the first call is an increase
            for each, _ in self._times.values():
                each.labels(direction.value)
            self._talk.labels(direction.value)
        registry.register(self)

    def happened(self, call: Call, event: CallEvent) -> None:
        """Observe how long it took; a milestone counts once, whatever is tried again."""
        if isinstance(event, Resumed):  # an earlier run has observed what was before
            self._known[call.id] = {name for name, _ in self._reached(call)}
        elif isinstance(event, PROGRESS):
            known = self._known.setdefault(call.id, set())
            for name, seconds in self._reached(call):
                if name not in known:
                    known.add(name)
                    self._times[name][0].labels(call.direction.value).observe(seconds)

    def ended(self, call: Call) -> None:
        """Count it."""
        self._known.pop(call.id, None)
        if call.ending is None:
            return
        labels = (call.line, call.direction.value)
        self._calls.labels(*labels, call.ending.status.value).inc()
        if call.refused:
            self._refused.labels(*labels, type(call.ending.reason).__name__).inc()
        self._redials.inc(call.redials)
        if call.talking:
            self._talk.labels(call.direction.value).observe(call.talked_s)
        if call.stats:
            self._over += AudioSums.of(call.stats)
            self._jitter.observe(call.samples.jitter_ms / 1000)

    def card_sent(self, line: str, person: Person, reason: CardReason) -> None:
        """Count it."""
        self._cards.labels(line, reason.value).inc()

    def message_received(self, line: str, person: Person, text: str) -> None:
        """Count it."""
        self._messages.labels(line).inc()

    def drained(self, state: DrainState, calls: int) -> None:
        """A gauge tells it."""

    def _reached(self, call: Call) -> Iterator[tuple[str, float]]:
        for name, (_, read) in self._times.items():
            if (seconds := read(call.milestones, call.direction)) is not None:
                yield name, seconds

    def collect(self) -> Iterator[Metric]:
        """The audio of the calls that are over, and of those now as it was measured last."""
        sums = sum((AudioSums.of(call.stats) for call in self._live() if call.stats), self._over)
        for name, said, value in (
            ("audio_seconds", "Audio between Telegram and Asterisk.", sums.seconds),
            ("audio_packets", "Packets of audio from Asterisk.", sums.packets),
            ("audio_packets_lost", "Packets from Asterisk that came too late or never.", sums.lost),
            ("audio_concealed_seconds", "Sound towards Telegram that was guessed.", sums.concealed_s),
            ("audio_ticks_late", "Ticks of 10 ms that came late: the machine was too busy.", sums.ticks_late),
        ):
            yield CounterMetricFamily(f"astergram_{name}", said, value)


TIMES: tuple[tuple[str, str, Callable[[Milestones, Direction], float | None]], ...] = (
    ("post_dial_delay", "From dialling until it rings.", Milestones.post_dial_delay_s),
    ("time_to_answer", "From the first ring until whoever is called answered.", Milestones.to_answer_s),
    ("media_connect", "From the answer until both sides hear each other.", Milestones.to_audio_s),
)
