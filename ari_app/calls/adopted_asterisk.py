"""What a call that was left has in Asterisk: its bridge, its media channel and the PBX's channel are adopted."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import adopted_bridge
from ari_app.asterisk.errors import AriError, AriFailed, AriNotFound, AriTimeout, AriUnreachable, best_effort
from ari_app.asterisk.external_media import ExternalMediaLeg, adopted_media_leg
from ari_app.asterisk.legs import IncomingLeg, Leg, adopted_dialplan_leg, adopted_incoming_leg
from ari_app.asterisk.resources import Bridge
from ari_app.calls.cdr import OutgoingRow
from ari_app.calls.conversation import attach_leg
from ari_app.calls.outbound import return_to_dialplan
from ari_app.calls.parts import LegPart
from ari_app.calls.scope import CallScope

PASSING = (AriTimeout, AriUnreachable, AriFailed)
"""Asterisk may do next time what it was asked for."""

P = TypeVar("P")


class AsteriskAdoption:
    """Each part is None until it is adopted, and where it can't be; `troubles` say why.

    ``leg_is_gone``: the PBX has hung up meanwhile. ``was_transferred``: another channel is in the leg's place. ``app``:
    the Stasis application that they are in, where that is known.
    """

    def __init__(self, scope: CallScope, ari: AriClient, app: str = "") -> None:
        self.external: ExternalMediaLeg | None = None
        self.leg: Leg | None = None
        self.row: OutgoingRow | None = None
        self.leg_is_gone = self.was_transferred = self.done = False
        self.troubles: list[str] = []
        self._scope = scope
        self._call = scope.call
        self._ari = ari
        self._app = app or ari.app
        self._bridge: Bridge | None = None

    async def run(self) -> None:
        """Adopt what is not adopted yet. Raises `PASSING`: then it may be run again."""
        parts = self._call.parts
        self.troubles.clear()
        if self._app not in self._ari.apps:
            self.troubles.append(f"its Stasis application is {self._app}, and asterisk.app is {self._ari.app} now")
        if its := parts.audio:
            self._bridge = self._bridge or await self._adopted(adopted_bridge(self._ari, its.bridge_id))
            self.external = self.external or await self._adopted(adopted_media_leg(self._ari, its.channel_id))
            if self._bridge and its.channel_id not in self._bridge.channels:
                self.troubles.append("its media channel is not in its bridge")
        if parts.leg:
            await self._adopt_leg(parts.leg, self._bridge)
        self.done = True

    async def _adopt_leg(self, its: LegPart, bridge: Bridge | None) -> None:
        """The PBX's channel, or the one in its place by a transfer that nobody was there to see."""
        others = set(bridge.channels) - set(self._call.parts.asterisk_ids) if bridge else set()
        channel_id, self.was_transferred = its.channel_id, False
        if bridge and channel_id not in bridge.channels and len(others) == 1:
            channel_id, self.was_transferred = others.pop(), True
        try:
            self.leg = leg = await self._scope.enter(self._door(its, channel_id))
        except AriNotFound:
            self.leg_is_gone = True
            return
        except PASSING:
            raise
        except AriError as error:
            return self.troubles.append(str(error))
        leg.linkedid = its.linkedid
        if isinstance(leg, IncomingLeg):
            self.row = row = OutgoingRow(leg, self._call)
            with best_effort(f"call {self._call.id}: its CDR"):
                await row.begin()
            self._scope.on_end(partial(return_to_dialplan, leg, row))
        else:
            attach_leg(self._scope, leg)
        if bridge and channel_id not in bridge.channels:
            self.troubles.append("its channel is not in its bridge")

    async def _adopted(self, door: AbstractAsyncContextManager[P]) -> P | None:
        try:
            return await self._scope.enter(door)
        except PASSING:
            raise
        except AriError as error:
            self.troubles.append(str(error))
            return None

    def _door(self, its: LegPart, channel_id: str) -> AbstractAsyncContextManager[Leg]:
        if its.kind == "dialplan":
            return adopted_dialplan_leg(self._ari, channel_id)
        way_back = its.way_back if self.was_transferred or its.transferred_away else None
        return adopted_incoming_leg(self._ari, channel_id, way_back, self._app)
