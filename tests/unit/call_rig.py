"""A call with nothing real around it: Asterisk, Telegram and the media process answer as they are told to.

ARI is `fake_ari`, behind a real client; Telegram is `fake_telegram`, behind a real `Phone`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.events import STASIS_START
from ari_app.asterisk.media_codecs import MediaCodecs
from ari_app.calls.audio import AudioSettings
from ari_app.calls.call import Call
from ari_app.calls.events import CallEvent
from ari_app.calls.outcome import Direction
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.telegram.errors import NotReady
from ari_app.telegram.peers import Callee, Destination, Person
from ari_app.telegram.phone import Offer, OutgoingCall, Phone
from ari_app.telegram.profile import Callers
from ari_app.telegram.session import Session
from ari_app.telegram.texts import MessageTemplates
from media.messages import VERSION
from media.types import AriLogin, Codecs, MediaError, MediaLost, MediaStats
from tests.unit.fake_ari import FakeAri, connected, eventually, fake_ari
from tests.unit.fake_telegram import ANNA, ENGINE, PEER, MediaKeys, Telegram, requested

LINE = "+79990000001"
PASSES_S = 10.0
"""A generous limit: what is tested takes milliseconds."""


class FakeMedia(MediaKeys):
    """A media process; ``connects``: whether Telegram's media comes up."""

    pid = started = 0
    path = Path("/nowhere")
    messages = VERSION

    def __init__(self) -> None:
        self.connects = True
        self.error: MediaError | None = None
        self.attached: tuple[str, int] | str = ""
        self.codecs: Codecs | None = None
        self.hangs_up: tuple[str, ...] = ()
        self.transport: str | None = None
        self.quiet_ms = 0
        self._loss: asyncio.Future[MediaLost] = asyncio.get_running_loop().create_future()

    def lose(self, reason: str) -> None:
        """It is gone."""
        self._loss.set_result(MediaLost(reason))

    async def lost(self) -> MediaLost:
        return await asyncio.shield(self._loss)

    async def connect(self, *_: Any) -> None:
        if self.error:
            raise self.error

    async def connected(self) -> None:
        if not self.connects:
            await asyncio.Event().wait()

    async def in_asterisk(self, *channels: str, bridge: str = "") -> None:
        self.hangs_up = (*channels, bridge) if bridge else channels

    async def listen_rtp(self, host: str) -> tuple[str, int]:
        return host, 4000

    async def attach_rtp(self, host: str, port: int, codecs: Codecs) -> None:
        self.attached, self.codecs = (host, port), codecs

    async def attach_websocket(self, url: str, codecs: Codecs) -> None:
        self.attached, self.codecs = url, codecs

    async def signals(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def stats(self) -> MediaStats:
        return MediaStats(transport=self.transport, quiet_ms=self.quiet_ms)


class FakePool:
    """Gives the media processes in ``media``, the last one again and again."""

    def __init__(self) -> None:
        self.media = [FakeMedia()]
        self.error: MediaError | None = None
        self.open = 0
        self.transport = "rtp"
        self.gone = False
        self.ended_left = 0
        self.hang_up: Callable[[], object] = lambda: None
        self.known: set[str] | None = None

    @asynccontextmanager
    async def process(self, call_id: str, ari: AriLogin | None = None) -> AsyncIterator[FakeMedia]:
        if self.error:
            raise self.error
        self.open += 1
        try:
            yield self.media.pop(0) if len(self.media) > 1 else self.media[0]
        finally:
            self.open -= 1

    @asynccontextmanager
    async def adopted(
        self, call_id: str, pid: int, path: Path, started: int, ari: AriLogin | None = None
    ) -> AsyncIterator[FakeMedia]:
        if self.gone:
            raise MediaError("it is gone")
        async with self.process(call_id) as media:
            media.transport = self.transport
            yield media

    async def end_unknown(self, known: set[str]) -> None:
        self.known = known

    @asynccontextmanager
    async def left_alone(self, pid: int, started: int) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.ended_left += 1
            self.hang_up()


class FakeLimits:
    """What Telegram lets the line do."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None

    def check(self) -> None:
        if self.refusal:
            raise self.refusal


@dataclass
class FakeLine:
    """A line that is online, and finds whoever it is asked for."""

    phone: Phone
    number: str = LINE
    context: str = "from-telegram"
    max_calls: int = 1
    account_code: str = ""
    callers: Callers = Callers()  # noqa: RUF009 - frozen
    templates: MessageTemplates = field(default_factory=lambda: MessageTemplates("Company", "Sales", LINE))
    limits: FakeLimits = field(default_factory=FakeLimits)
    found: list[Callee | Exception] = field(
        default_factory=lambda: [Callee(Person(ANNA, first_name="Anna", phone="+79990000002"), PEER)]
    )
    refusals: list[Exception] = field(default_factory=list)
    online: object | None = "connected"

    def destination(self, dialled: str) -> Destination:
        return Destination.parse(dialled, "")

    def require_online(self) -> None:
        if self.online is None:
            raise NotReady("not signed in")

    async def find(self, dialled: Destination, *, fresh: bool = False) -> Callee:
        answer = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def adopted(self, peer_id: int, call_id: int, access_hash: int, date: float) -> Any:
        return self.phone.adopted(peer_id, call_id, access_hash)

    def was_asked_for(self, peer_id: int) -> None:
        self.phone.was_asked_for(peer_id)

    def call(self, peer: Any, keys: Any) -> AbstractAsyncContextManager[OutgoingCall]:
        if self.refusals:
            raise self.refusals.pop(0)
        return self.phone.call(peer, keys)


class FakeKeypads:
    """No message goes anywhere."""

    def __init__(self) -> None:
        self.shown = 0
        self.hidden = 0

    @asynccontextmanager
    async def shown_to(self, *_: Any) -> AsyncIterator[None]:
        self.shown += 1
        try:
            yield
        finally:
            self.hidden += 1

    def adopted(self, *_: Any) -> AbstractAsyncContextManager[None]:
        return self.shown_to()


@dataclass
class CallRig:
    """One line and what its calls are made of."""

    ari: FakeAri
    client: AriClient
    telegram: Telegram
    phone: Phone
    offers: list[Offer]
    pool: FakePool = field(default_factory=FakePool)
    keypads: FakeKeypads = field(default_factory=FakeKeypads)
    connect_s: float = 5.0
    away_s: float = 8.0

    def __post_init__(self) -> None:
        self.line: Any = FakeLine(self.phone)
        self.codecs = MediaCodecs(self.client, "rtp")

    @property
    def media(self) -> FakeMedia:
        """The media process of the next call."""
        return self.pool.media[0]

    @property
    def resources(self) -> CallResources:
        audio = AudioSettings(cast(Any, self.pool), self.codecs, "rtp", "127.0.0.1", self.connect_s, self.away_s)
        return CallResources(self.client, audio, ring_s=30.0)

    async def offered(self) -> Offer:
        """Anna calls the line."""
        await self.telegram.tells(requested())
        return self.offers[-1]

    async def dialplan(self, state: str) -> str:
        """Wait for the dialplan leg, and let the dialplan answer it ("Up"), or not yet ("Down"); its channel's id."""
        await eventually(lambda: bool(self.ari.channels.keys() - self.media_channels))
        (channel_id,) = self.ari.channels.keys() - self.media_channels
        if state == "Up":
            await self.enters(channel_id)
        return channel_id

    @property
    def media_channels(self) -> set[str]:
        return {each for each, channel in self.ari.channels.items() if "channelvars" in channel}

    async def enters(self, channel_id: str) -> None:
        """A channel is up, and in Stasis."""
        self.ari.channels[channel_id]["state"] = "Up"
        await self.ari.event(STASIS_START, channel=self.ari.channels[channel_id], args=[])

    async def hangs_up(self, channel_id: str, cause: int = 16) -> None:
        """A channel is over."""
        channel = self.ari.channels.pop(channel_id)
        await self.ari.event("ChannelDestroyed", channel=channel, cause=cause, cause_txt="")


@asynccontextmanager
async def call_rig() -> AsyncIterator[CallRig]:
    """All of it."""
    telegram, offers = Telegram(), list[Offer]()
    phone = Phone(ENGINE, offers.append)
    async with fake_ari() as fake, connected(fake) as client, phone, phone.attached(Session(telegram)):
        await telegram.asked_for("messages.getDhConfig")
        yield CallRig(fake, client, telegram, phone, offers)


@asynccontextmanager
async def handled(call: Call, handler: Callable[[CallScope], Any]) -> AsyncIterator[CallScope]:
    """A call that is being handled while inside, and is over when it is left."""
    scope = CallScope(call, close_s=1.0)
    task = asyncio.create_task(scope.run(handler(scope)))
    try:
        async with asyncio.timeout(PASSES_S):
            yield scope
            await task
    finally:
        task.cancel()
        await asyncio.wait({task})


def new_call(direction: Direction) -> Call:
    return Call("1", direction, LINE, str(ANNA))


def flow(call: Call) -> list[type[CallEvent]]:
    """The kinds of its events, in order."""
    return [type(each.event) for each in call.events]
