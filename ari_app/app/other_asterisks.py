"""The Asterisks of a cluster's other machines, where this one places the calls that they have no line for.

At each it has a Stasis application of its own, to which that machine moves the channel of the phone that dials. Each
machine tells the others how to reach its Asterisk, encrypted as settings are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ari_app.app.asterisk import StasisApplication, stasis_application
from ari_app.asterisk.ari import AriClient, ari_base
from ari_app.asterisk.bridging import reconciling
from ari_app.asterisk.events import StasisStart
from ari_app.asterisk.media_codecs import Transport
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.backoff import Backoff
from ari_app.bus import EventBus
from ari_app.calls.moving import application
from ari_app.calls.outbound import return_lost
from ari_app.calls.resources import CallResources
from ari_app.cluster.bucket import KeyEntry
from ari_app.cluster.shared_settings import Cipher, NotOurs, NotShared, SharedSettings, opened
from ari_app.config import Settings
from ari_app.tasks import GuardedTasks, guarded_tasks
from media.types import AriLogin

RECONNECT = Backoff(first_s=0.2, last_s=30.0, jitter=0.5)
"""A machine may be gone for good. A pause is hardly longer than it was away before, so one that was restarted is soon
found again."""

log = logging.getLogger(__name__)


class OfferedAsterisk(BaseModel):
    """How the other machines reach one's Asterisk; ``app`` is the application that its dialplan names."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    url: str
    user: str
    password: str = Field(repr=False)
    app: str
    transport: Transport

    @classmethod
    def of(cls, settings: Settings) -> OfferedAsterisk | None:
        """This machine's, if it is offered."""
        if settings.cluster is None or not settings.cluster.asterisk_url:
            return None
        its = settings.asterisk
        password = its.password.get_secret_value()
        return cls(
            url=settings.cluster.asterisk_url, user=its.user, password=password, app=its.app, transport=its.transport
        )

    @property
    def login(self) -> AriLogin:
        """For media processes."""
        return AriLogin(str(ari_base(self.url)), self.user, self.password)


class TakesChannels(Protocol):
    """Who handles what another machine's dialplan wants called."""

    def __call__(self, start: StasisStart, resources: CallResources, tasks: GuardedTasks) -> None:
        """Handle it in one of these tasks."""


class OtherAsterisks:
    """Made by `open_other_asterisks`. ``own`` is offered to the others; ``keep``: what calls that were left have."""

    def __init__(
        self,
        machine: str,
        own: OfferedAsterisk | None,
        shared: SharedSettings,
        bus: EventBus,
        on_channel: TakesChannels,
        resources: Callable[[StasisApplication, AriLogin], CallResources],
        keep: Callable[[], Collection[str]],
        tasks: GuardedTasks,
    ) -> None:
        self._machine = machine
        self._own = own.model_dump_json() if own else None
        self._shared = shared
        self._bus = bus
        self._on_channel = on_channel
        self._make_resources = resources
        self._keep = keep
        self._tasks = tasks
        self._offered: dict[str, OfferedAsterisk | None] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._open: dict[str, CallResources] = {}
        self._opened = asyncio.Event()

    def reached(self) -> tuple[str, ...]:
        """The machines whose Asterisk is connected."""
        return tuple(name for name, its in self._open.items() if its.ari.state is ConnectionState.CONNECTED)

    async def resources(self, machine: str, within_s: float) -> CallResources | None:
        """For calls at a machine's Asterisk; None where it is not known within this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while machine not in self._open:
                    self._opened.clear()
                    await self._opened.wait()
        return self._open.get(machine)

    def offers(self) -> dict[str, OfferedAsterisk]:
        """What the other machines offer, by their names."""
        return {name: its for name, its in sorted(self._offered.items()) if its}

    async def all(self) -> Mapping[str, str]:
        """What this machine offers."""
        return {self._machine: self._own} if self._own else {}

    async def follow(self, name: str, value: str | None) -> None:
        """What a machine offers; its connection is made anew where that is something else."""
        if name == self._machine:
            if value != self._own:  # the others have been told by an earlier run
                self._tasks.spawn(self._correct(), "what the cluster is told of this machine's Asterisk")
            return None
        try:
            offered = OfferedAsterisk.model_validate_json(value) if value else None
        except ValidationError as error:
            log.error("the Asterisk of machine %s is left out: another version? %s", name, error)  # noqa: TRY400 - it is the other's
            return None
        if offered == self._offered.get(name):
            return None
        self._offered[name] = offered
        if name in self._changed:
            return self._changed[name].set()
        self._changed[name] = asyncio.Event()
        self._tasks.supervise(partial(self._serve, name), f"Asterisk of machine {name}")
        return None

    async def _correct(self) -> None:
        """Once what there is has been taken note of."""
        with suppress(NotShared):  # the next watch tells of it again
            await self._shared.keep(self._machine, self._own)

    async def _serve(self, name: str) -> None:
        changed = self._changed[name]
        while True:
            changed.clear()
            async with self._connected(name, self._offered[name]):
                await changed.wait()

    @asynccontextmanager
    async def _connected(self, name: str, offered: OfferedAsterisk | None) -> AsyncIterator[None]:
        """Calls there end where it is left."""
        if offered is None:
            yield
            return
        app = application(offered.app, self._machine)
        ari = AriClient(
            offered.url,
            offered.user,
            offered.password,
            app,
            moved_from=offered.app,
            machine=name,
            backoff=RECONNECT,
        )
        async with stasis_application(ari, offered.transport) as its, guarded_tasks() as tasks:
            resources = self._make_resources(its, offered.login)
            on_channel = partial(self._on_channel, resources=resources, tasks=tasks)
            tasks.supervise(its.codecs.run, f"codecs of {name}'s Asterisk")
            tasks.supervise(partial(reconciling, ari, self._keep, return_lost), f"what is left in {name}'s Asterisk")
            tasks.supervise(partial(its.take_events, on_channel, self._bus), f"events of {name}'s Asterisk")
            self._open[name] = resources
            self._opened.set()
            try:
                yield
            finally:
                del self._open[name]


def others_in(entries: Iterable[KeyEntry], secret: str, own: str) -> dict[str, OfferedAsterisk]:
    """What other machines than ``own`` offer, by their names, of what NATS has; what can't be read is left out."""
    cipher, found = Cipher(secret), dict[str, OfferedAsterisk]()
    for entry in entries:
        with suppress(NotOurs, ValidationError):  # the running program says so in its log
            name, value = opened(cipher, entry)
            if value and name != own:
                found[name] = OfferedAsterisk.model_validate_json(value)
    return dict(sorted(found.items()))


@asynccontextmanager
async def open_other_asterisks(
    settings: Settings,
    shared: SharedSettings,
    bus: EventBus,
    on_channel: TakesChannels,
    resources: Callable[[StasisApplication, AriLogin], CallResources],
    keep: Callable[[], Collection[str]],
) -> AsyncIterator[OtherAsterisks]:
    """Leaving ends the calls that are placed there."""
    machine = settings.cluster.machine if settings.cluster else ""
    async with guarded_tasks() as tasks:
        own = OfferedAsterisk.of(settings)
        its = OtherAsterisks(machine, own, shared, bus, on_channel, resources, keep, tasks)
        tasks.supervise(partial(shared.run, its), "Asterisks of the cluster")
        yield its
