"""Reads the configuration file again while the program runs: what can be taken over then, and what needs a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ari_app.calls.capacity import AdmissionLimits

if TYPE_CHECKING:
    from ari_app.calls.registry import CallRegistry
    from ari_app.calls.resources import CallResources
    from ari_app.config import Settings
    from ari_app.lines.installation import Installation, InstallationSettings
    from media.pool import MediaPool

RELOADED = frozenset(
    (
        "log_level",
        "company",
        "timezone",
        "telegram.api_id",
        "telegram.api_hash",
        "telegram.proxy",
        "bot.token",
        "asterisk.away_s",
        "calls.ring_s",
        "calls.connect_s",
        "calls.max_calls",
        "calls.cpu_percent",
        "calls.drain_offers",
        "calls.on_stop",
        "media.warm",
        "media.orphan_s",
        "media.turn_server",
        "media.turn_user",
        "media.turn_password",
        "media.turn_secret",
        "media.turn_use",
        "calls.history_days",
        "web.audit_days",
        "retention.details_days",
        "retention.cards_days",
        "retention.languages_days",
        "retention.contacts_days",
        "retention.deliveries_days",
        "retention.events_days",
        "retention.alerts_days",
    )
)
"""What holds from the next call on; all else needs a restart."""


class Reload:
    """``settings`` are those of the start; the others are what follows the file."""

    def __init__(
        self,
        settings: Settings,
        registry: CallRegistry,
        resources: CallResources,
        pool: MediaPool,
        installation: Installation,
    ) -> None:
        self._started = self._taken = settings
        self._registry = registry
        self._resources = resources
        self._pool = pool
        self._installation = installation

    @property
    def settings(self) -> Settings:
        """Those of the start, and what was taken over since."""
        return self._taken

    async def take(self, new: Settings, defaults: InstallationSettings) -> tuple[list[str], list[str]]:
        """Follow the file as it is now: the keys that are taken over, and those whose change needs a restart.

        ``defaults``: what it says of the installation. Raises SettingRefused where that does not go with what is set on
        the page; then nothing is taken over.
        """
        taken = [key for key in _changed(self._taken, new) if key in RELOADED]
        if taken:
            await self._installation.use_defaults(defaults)
            self._take(new)
            self._taken = new
        return taken, [key for key in _changed(self._started, new) if key not in RELOADED]

    def _take(self, new: Settings) -> None:
        logging.getLogger().setLevel(new.log_level)
        self._registry.admission.capacity.use(AdmissionLimits(new.calls.max_calls, new.calls.cpu_percent))
        self._registry.drain.leaves_offers = new.calls.drain_offers == "leave"
        its = self._resources
        its.audio = replace(its.audio, connect_s=new.calls.connect_s, away_s=new.asterisk.away_s)
        its.ring_s = new.calls.ring_s
        self._pool.use(new.media.warm, new.media.orphan_s)


def _changed(old: BaseModel, new: BaseModel, section: str = "") -> Iterator[str]:
    """The dotted keys whose values differ; a section that is there in one of them only is one key."""
    for name in type(new).model_fields:
        was, now = getattr(old, name), getattr(new, name)
        if isinstance(was, BaseModel) and isinstance(now, BaseModel):
            yield from _changed(was, now, f"{section}{name}.")
        elif was != now:
            yield section + name
