"""Whether the Asterisks of a cluster's other machines can be used from here, as this machine places their calls."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from ari_app.asterisk.ari import ari_base
from ari_app.asterisk.errors import AriError, AriNotFound, AriRefused
from ari_app.asterisk.resources import Applications
from ari_app.asterisk.rest import Rest
from ari_app.doctor.ari import may_write, requests_at
from ari_app.doctor.findings import Finding, Topic, ok, problem
from ari_app.doctor.surroundings import MachineAsterisk, Surroundings, is_loopback
from ari_app.i18n import Message, message


async def others(here: Surroundings) -> list[Finding]:
    """A finding for each that is known, and one for the audio of their calls; nothing without any."""
    found = await asyncio.gather(*(_other(its, here) for its in here.other_asterisks))
    return [*found, *audio(here)]


def audio(here: Surroundings) -> list[Finding]:
    """Whether they would send RTP to themselves."""
    host = here.media_host_elsewhere or here.media_host
    machines = [its.machine for its in here.other_asterisks if its.transport == "rtp" and not is_loopback(its.host)]
    if not machines or not is_loopback(host):
        return []
    sentence = message(
        "The Asterisks of {machines} would send the audio of calls that this machine places to themselves: its address "
        "for them is {host}.",
        machines=", ".join(machines),
        host=host,
    )
    return [
        problem(
            Topic.CLUSTER,
            sentence,
            message("Set media_host under [cluster] to the address at which they reach this machine."),
        )
    ]


async def _other(its: MachineAsterisk, here: Surroundings) -> Finding:
    if is_loopback(its.host) and ari_base(its.url).origin() == ari_base(here.ari_url).origin():
        return _fails(
            its,
            message("that is this machine's own"),
            message(
                "Set asterisk_url under [cluster] on {machine} to the address at which the others reach its Asterisk.",
                machine=its.machine,
            ),
        )
    async with requests_at(its.url, its.user, its.password) as rest:
        try:
            await rest.call("GET /asterisk/ping")
            if not await may_write(rest):
                return _fails(its, message("the ARI user {user} may only read", user=its.user), _read_only(its))
            return await _application(rest, its, here)
        except AriRefused:
            return _fails(its, message("it refuses the ARI user {user}", user=its.user), _login(its))
        except AriError as error:
            if isinstance(error, AriNotFound) or error.status == HTTPStatus.NOT_FOUND:
                return _fails(its, message("an HTTP server answers, which has no ARI"), _no_ari(its))
            return _fails(its, str(error), _away(its))


async def _application(rest: Rest, its: MachineAsterisk, here: Surroundings) -> Finding:
    if not here.holds_app:
        sentence = message(
            "The Asterisk of machine {machine} answers at {url}, and accepts the user {user}.",
            machine=its.machine,
            url=its.url,
            user=its.user,
        )
        return ok(Topic.CLUSTER, sentence)
    if its.app not in {found["name"] for found in await Applications(rest).list()}:
        return _fails(
            its,
            message("it answers, and Astergram is not connected to it as the Stasis application {app}", app=its.app),
            message(
                "It tries again every half a minute, and its log says why it is not: what stands between the two has "
                "to let WebSockets through."
            ),
        )
    sentence = message(
        "The Asterisk of machine {machine} answers at {url}, and Astergram is connected to it as the Stasis "
        "application {app}.",
        machine=its.machine,
        url=its.url,
        app=its.app,
    )
    return ok(Topic.CLUSTER, sentence)


def _fails(its: MachineAsterisk, detail: Message | str, remedy: Message) -> Finding:
    sentence = message(
        "The Asterisk of machine {machine}, at {url}, can not be used from here: {detail}",
        machine=its.machine,
        url=its.url,
        detail=detail,
    )
    return problem(Topic.CLUSTER, sentence, remedy)


def _away(its: MachineAsterisk) -> Message:
    return message(
        "On {machine}, bindaddr in http.conf has to be an address that this machine reaches, a firewall has to let it "
        "through to that port, and asterisk_url under [cluster] has to name both. If {machine} is gone for "
        "good: astergram cluster forget {machine}",
        machine=its.machine,
    )


def _login(its: MachineAsterisk) -> Message:
    return message(
        "On {machine}, make the password of [{user}] in ari.conf and the one in [asterisk] the same, and restart "
        "Astergram, which tells the others.",
        machine=its.machine,
        user=its.user,
    )


def _read_only(its: MachineAsterisk) -> Message:
    return message(
        "On {machine}, set read_only = no for [{user}] in ari.conf. Then: asterisk -rx 'module reload res_ari.so'",
        machine=its.machine,
        user=its.user,
    )


def _no_ari(its: MachineAsterisk) -> Message:
    return message(
        "On {machine}, set enabled = yes in ari.conf, and load res_ari.so and res_ari_asterisk.so. If http.conf has a "
        "prefix, put it behind the port in asterisk_url under [cluster].",
        machine=its.machine,
    )
