"""Opens what other programs are told by: AMI and webhooks, each with a queue of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ari_app.app.configured import ami_client
from ari_app.bus import EventBus
from ari_app.calls.journalled import JournalledCall
from ari_app.config import AmiSettings, Settings
from ari_app.pbx.ami import AmiOptions, AmiReports, open_ami_reports
from ari_app.pbx.reporting import Reader
from ari_app.reports.outbox import OutboxFigures
from ari_app.store.store import Store
from ari_app.webhooks.webhooks import Webhooks, open_webhooks


@dataclass(frozen=True)
class Outboxes:
    """``ami`` is None where AMI is told nothing."""

    ami: AmiReports | None
    webhooks: Webhooks

    @property
    def readers(self) -> list[Reader]:
        """Who takes what is reported."""
        return [self.webhooks.put, *([self.ami.put] if self.ami else [])]

    def figures(self) -> dict[str, OutboxFigures]:
        """By who reads them."""
        return {**({"ami": self.ami.figures} if self.ami else {}), **self.webhooks.figures}


@asynccontextmanager
async def open_outboxes(
    settings: Settings, store: Store, bus: EventBus, left: Sequence[JournalledCall]
) -> AsyncIterator[Outboxes]:
    """Programs are told also of calls that were ``left``, if they may not have been. Raises StoreUnavailable."""
    async with (
        _ami_reports(settings.ami, store, bus, left) as ami,
        open_webhooks(store, on_change=partial(bus.publish, "webhooks"), left=left) as webhooks,
    ):
        yield Outboxes(ami, webhooks)


@asynccontextmanager
async def _ami_reports(
    ami: AmiSettings | None, store: Store, bus: EventBus, left: Sequence[JournalledCall]
) -> AsyncIterator[AmiReports | None]:
    if ami is None or not ami.events:
        yield None
        return
    keys = {user: key.get_secret_value() for user, key in ami.requesters.items()}
    options = AmiOptions(ami.queue, ami.message_text, keys)
    changed = partial(bus.publish, "storage")
    async with open_ami_reports(store, ami_client(ami), options, changed, left) as reports:
        yield reports
