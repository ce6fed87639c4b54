"""Examines an installation: every check runs, and none can hide another."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable

from ari_app.asterisk.errors import AriError
from ari_app.doctor import (
    agi,
    ari,
    machine,
    manager,
    nats,
    other_asterisks,
    reach,
    running_dialplan,
    server,
    turn,
    updates,
)
from ari_app.doctor.findings import Finding, Grade, Topic, advice, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import message

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 20.0
"""Longer than the requests of any check take together, each with its own timeout."""

DIALPLAN_TOPICS = (Topic.AMI, Topic.DIALPLAN)
_ORDER = {topic: place for place, topic in enumerate(Topic)}

Check = Callable[[], Awaitable[list[Finding]]]


class Doctor:
    """Knows how to look; ``surroundings`` is asked at each examination, ``clock`` gives unix time."""

    def __init__(self, surroundings: Callable[[], Surroundings], clock: Callable[[], float] = time.time) -> None:
        self.surroundings = surroundings
        self._clock = clock

    async def examine(self) -> list[Finding]:
        """Look at everything, ordered by topic. Changes nothing, and never raises for what it finds."""
        here = self.surroundings()
        found = await _together(
            {
                Topic.ARI: [lambda: self._over_ari(here)],
                Topic.AMI: [lambda: self._over_ami(here)],
                Topic.TELEGRAM: [
                    lambda: reach.telegram(here),
                    lambda: reach.bot_api(here),
                    lambda: turn.relay(here, self._clock()),
                ],
                Topic.CLUSTER: [lambda: nats.servers(here), lambda: other_asterisks.others(here)],
                Topic.TIME: [lambda: _at_once(reach.clock, here), lambda: _in_thread(machine.synchronised)],
                Topic.MACHINE: [
                    *(
                        functools.partial(_in_thread, check, here)
                        for check in (machine.disk, machine.modes, machine.open_files, machine.memory)
                    ),
                    lambda: updates.newer(here),
                ],
            }
        )
        return sorted(found, key=lambda finding: _ORDER[finding.topic])

    async def examine_dialplan(self) -> list[Finding]:
        """Look at the dialplan alone, and at what it takes to look at it; as `examine`."""
        found = await self._over_ami(self.surroundings(), whole=True)
        return sorted((each for each in found if each.topic in DIALPLAN_TOPICS), key=lambda each: _ORDER[each.topic])

    async def _over_ari(self, here: Surroundings) -> list[Finding]:
        async with ari.requests_to(here) as rest:
            access = await ari.access(rest, here)
            if access.grade is not Grade.OK:
                return [access]
            try:
                found = await server.read_server(rest)
            except AriError as error:
                return [access, _broken(Topic.MODULES, error)]
            seen = await _together(
                {
                    Topic.ARI: [
                        lambda: _at_once(server.version, found),
                        lambda: ari.rights(rest, here),
                        lambda: ari.application(rest, here),
                    ],
                    Topic.MODULES: [lambda: _at_once(server.modules, found)],
                    Topic.CODECS: [lambda: _at_once(server.codecs, found, here)],
                    Topic.TRANSPORT: [lambda: _at_once(server.transport, found, here)],
                    Topic.DIALPLAN: [lambda: _at_once(agi.asking, found, here)],
                    Topic.TIME: [lambda: ari.clock(rest, self._clock)],
                }
            )
            return [access, *seen]

    async def _over_ami(self, here: Surroundings, *, whole: bool = False) -> list[Finding]:
        if here.ami is None:
            return [manager.NOT_CONFIGURED]
        try:
            async with manager.opened(here.ami) as ami:
                rights = await manager.rights(ami)
                if "ShowDialPlan" not in await ami.allowed_actions():
                    unseen = message("The dialplan was not checked: the AMI user may not read it.")
                    return [*rights, advice(Topic.DIALPLAN, unseen)]
                checks: list[Check] = [
                    lambda: running_dialplan.incoming(ami, here),
                    lambda: running_dialplan.outgoing(ami, here),
                ]
                if whole:
                    checks.append(lambda: running_dialplan.included(ami))
                seen = await _together(
                    {Topic.DIALPLAN: checks, Topic.TRANSPORT: [lambda: manager.rtp_ports(ami, here)]}
                )
                return [*rights, *seen]
        except AriError as error:
            return [manager.no_access(error, here.ami)]


async def _together(checks: dict[Topic, list[Check]]) -> list[Finding]:
    """Run checks at the same time; what one finds, or that it failed, comes in their order."""
    results = await asyncio.gather(*(_guarded(topic, check) for topic, each in checks.items() for check in each))
    return [finding for findings in results for finding in findings]


async def _guarded(topic: Topic, check: Check) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return [advice(topic, message("A check took longer than {seconds} s.", seconds=round(CHECK_TIMEOUT_S)))]
    except Exception as error:  # one failing check must not hide the others
        logger.warning("An examination of %s failed", topic, exc_info=True)
        return [_broken(topic, error)]


def _broken(topic: Topic, error: Exception) -> Finding:
    return problem(
        topic,
        message("A check failed: {detail}", detail=str(error) or type(error).__name__),
        message("Run diagnostics again; if it fails again, see the log."),
    )


async def _at_once(check: Callable[..., list[Finding]], *given: object) -> list[Finding]:
    return check(*given)


async def _in_thread(check: Callable[..., list[Finding]], *given: object) -> list[Finding]:
    return await asyncio.to_thread(check, *given)
