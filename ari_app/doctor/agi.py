"""Whether a dialplan can ask Astergram by AGI()."""

from __future__ import annotations

from ari_app.doctor.findings import Finding, Topic, ok, problem
from ari_app.doctor.server import AriServer, not_loaded
from ari_app.doctor.surroundings import AgiAddress, Surroundings, is_loopback
from ari_app.i18n import message
from ari_app.networks import address_of

MODULE = "res_agi"


def asking(server: AriServer, here: Surroundings) -> list[Finding]:
    """Whether Asterisk has AGI(), and can reach FastAGI; nothing where it is not served."""
    if here.agi is None:
        return []
    found = [not_loaded(Topic.DIALPLAN, name) for name in server.lacks(MODULE)]
    if not here.asterisk_is_here:
        found += _from_elsewhere(here.agi, here.asterisk_host)
    return found or [
        ok(
            Topic.DIALPLAN,
            message("A dialplan can ask by AGI(agi://{host}:{port}/...).", host=agi_host(here), port=here.agi.port),
        )
    ]


def agi_host(here: Surroundings) -> str:
    """Where Asterisk reaches FastAGI."""
    return "127.0.0.1" if here.asterisk_is_here else here.media_host


def _from_elsewhere(agi: AgiAddress, asterisk: str) -> list[Finding]:
    if is_loopback(agi.host):
        return [
            problem(
                Topic.DIALPLAN,
                message("Asterisk is on another machine, and FastAGI listens at {host}: AGI() fails.", host=agi.host),
                message("Set [agi] host to 0.0.0.0, and allow to Asterisk's address."),
            )
        ]
    try:
        allowed = any(address_of(asterisk) in network for network in agi.allow)
    except ValueError:  # a name, and nobody knows from which address its owner asks
        allowed = bool(agi.allow)
    if allowed:
        return []
    return [
        problem(
            Topic.DIALPLAN,
            message("FastAGI answers no other machine, and Asterisk is on one: AGI() fails.")
            if not agi.allow
            else message("Asterisk's address {address} is none of those that FastAGI answers.", address=asterisk),
            message("Add Asterisk's address to allow in [agi]."),
        )
    ]
