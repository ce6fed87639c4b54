"""Where Astergram is wired together: lines, Asterisk, media processes and the desk."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import reconcile
from ari_app.asterisk.errors import AriError, AriRefused
from ari_app.asterisk.events import CONNECTED, Arrival, Event
from ari_app.asterisk.legs import incoming_leg
from ari_app.calls.audio import AudioSettings
from ari_app.calls.desk import Desk, LineFull
from ari_app.calls.inbound import inbound
from ari_app.calls.outbound import give_back, outbound
from ari_app.calls.outcome import Direction, failed
from ari_app.calls.request import Request, line_for
from ari_app.config import Settings
from ari_app.tasks import background_tasks
from ari_app.telegram.errors import NotReady
from ari_app.telegram.line import Account, Line, Server
from ari_app.telegram.peers import MalformedDestination
from ari_app.telegram.phone import Offer
from media.supervisor import MediaPool
from media.types import EngineProtocol, MediaSettings

log = logging.getLogger(__name__)


class Astergram:
    """The running program; made by `running(settings)`."""

    def __init__(
        self, settings: Settings, ari: AriClient, pool: MediaPool, engine: EngineProtocol, tasks: asyncio.TaskGroup
    ) -> None:
        self.desk = Desk()
        self.ari = ari
        self._tasks = tasks
        self._ring_s = settings.calls.ring_s
        self._audio = AudioSettings(
            pool=pool,
            transport=settings.asterisk.transport,
            media_host=settings.asterisk.media_host,
            connect_s=settings.calls.connect_s,
        )
        self.lines = [
            Line(
                account(settings, each.number),
                engine,
                self._offered,
                name=each.name,
                context=each.context,
                max_calls=each.max_calls,
            )
            for each in settings.lines
        ]

    async def settled(self) -> None:
        """Wait until Asterisk and each line have been tried once.

        What is away is tried again without an end; raises AriRefused where only the administrator can mend it.
        """
        try:
            await self.ari.wait_connected()
        except AriRefused:
            raise
        except AriError as error:
            log.warning("Asterisk is not there yet: %s", error)
        for line in self.lines:
            await line.settled()

    async def take_events(self, events: asyncio.Queue[Event]) -> None:
        """Take the events of the ARI application, for as long as it runs."""
        while True:
            event = await events.get()
            if isinstance(event, Arrival):
                self._start(self._outgoing(event), f"call from channel {event.channel_id}")
            elif event.type == CONNECTED:
                self._start(self._reconcile(), "reconcile")

    def _offered(self, line: Line, offer: Offer) -> None:
        self._start(self._incoming(line, offer), f"call from {offer.peer_id} to {line.number}")

    def _start(self, story: Coroutine[Any, Any, None], what: str) -> None:
        async def told() -> None:
            try:
                await story
            except Exception:
                # One story must not end the TaskGroup of the others.
                log.exception("%s: an error nobody expected", what)

        self._tasks.create_task(told(), name=what)

    async def _reconcile(self) -> None:
        """Remove what a former run of this program left in Asterisk."""
        try:
            await reconcile(self.ari)
        except AriError as error:
            log.warning("could not look for channels and bridges left behind: %s", error)

    async def _incoming(self, line: Line, offer: Offer) -> None:
        async with line.phone.offer(offer):
            try:
                async with self.desk.admit(Direction.IN, line.number, str(offer.peer_id), line.max_calls) as call:
                    await call.run(inbound(call, line, offer, self.ari, self._audio))
            except LineFull as full:
                log.info("call from %s refused: %s", offer.peer_id, full)
                await offer.discard(full.ending.discard)

    async def _outgoing(self, arrival: Arrival) -> None:
        async with incoming_leg(self.ari, arrival) as leg:
            try:
                request = Request.parse(leg.args)
                line = line_for(request, self.lines, self.desk.busy())
                async with self.desk.admit(Direction.OUT, line.number, request.destination, line.max_calls) as call:
                    ring_s = request.timeout_s or self._ring_s
                    await call.run(outbound(call, line, request.destination, leg, self.ari, self._audio, ring_s))
            except (LineFull, MalformedDestination, NotReady) as refusal:
                log.warning("call of %s to %s refused: %s", leg.caller_number, ",".join(leg.args), refusal)
                await give_back(leg, refusal.ending if isinstance(refusal, LineFull) else failed(refusal))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Astergram]:
    """Astergram at work; leaving ends every call with its reason, then lets go of all else."""
    async with AsyncExitStack() as stack:
        media = MediaSettings(orphan_grace_s=settings.media.orphan_s)
        pool = await stack.enter_async_context(
            MediaPool(settings.state_dir / "media", warm=settings.media.warm, settings=media)
        )
        engine = await pool.protocol()
        asterisk = settings.asterisk
        ari = AriClient(asterisk.url, asterisk.user, asterisk.password.get_secret_value(), asterisk.app)
        # Before the client connects, which is an event too.
        arrivals = asyncio.Queue[Event]()
        stack.enter_context(ari.events.attached("", arrivals.put_nowait))
        await stack.enter_async_context(ari)
        holding = await stack.enter_async_context(background_tasks())
        calls = await stack.enter_async_context(background_tasks())
        app = Astergram(settings, ari, pool, engine, calls)
        calls.create_task(app.take_events(arrivals), name="events of Asterisk")
        for line in app.lines:
            holding.create_task(line.run(), name=f"line {line.number}")
        yield app


def account(settings: Settings, number: str) -> Account:
    """What the settings say of one line's account."""
    telegram = settings.telegram
    key = telegram.public_key_file
    return Account(
        number=number,
        api_id=telegram.api_id,
        api_hash=telegram.api_hash.get_secret_value(),
        session=settings.session(number),
        server=Server(
            dc_id=telegram.dc_id,
            host=telegram.host,
            port=telegram.port,
            public_key=key.read_text() if key else "",
            test_mode=telegram.test_mode,
        ),
    )
