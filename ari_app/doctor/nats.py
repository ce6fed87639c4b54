"""Whether the NATS servers of a cluster serve it: each is asked by itself (docs.nats.io, Client Protocol: INFO)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from yarl import URL

from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import NatsServers, Surroundings, is_loopback
from ari_app.i18n import Message, message
from ari_app.os_words import in_words

CONNECT_S = 2.0
ASK_S = 2.0
CLOSE_S = 1.0

_AWAY = message("See that it runs, and that a firewall lets TCP through to its port.")
LOGIN = message("Correct user and password under [cluster], or in the server's configuration.")
_JETSTREAM = message("Put a jetstream block into its configuration.")
_LEADER = message("More than half of the servers have to run and reach each other; each one's log says whom it misses.")


async def servers(here: Surroundings) -> list[Finding]:
    """A finding for each server, and one for what is wrong with them together; nothing without a cluster."""
    if here.nats is None:
        return []
    return [*await each_server(here.nats), *together(here.nats)]


async def each_server(nats: NatsServers) -> list[Finding]:
    """A finding for each."""
    return list(await asyncio.gather(*(_server(url, nats) for url in nats.servers)))


def together(nats: NatsServers) -> list[Finding]:
    """What is wrong with them together."""
    count = len(nats.servers)
    findings = []
    if count == 1:
        findings.append(
            advice(
                Topic.CLUSTER,
                message("There is one NATS server: while it is away, the machines know nothing of each other."),
                message("Have three, each on a machine of its own."),
            )
        )
    elif count % 2 == 0:
        findings.append(
            advice(
                Topic.CLUSTER,
                message("{count} NATS servers bear no more failures than one less.", count=count),
                message("Have three, each on a machine of its own."),
            )
        )
    if any(_is_open(url) for url in nats.servers):
        findings.append(
            advice(
                Topic.CLUSTER,
                message("The password of NATS and the numbers of those who call cross the network unencrypted."),
                message("Write the servers as tls://HOST:PORT, or have a network between the machines that is theirs."),
            )
        )
    return findings


async def _server(url: str, nats: NatsServers) -> Finding:
    from nats.aio.client import Client
    from nats.errors import Error

    client, said = Client(), list[Exception]()

    async def on_error(error: Exception) -> None:
        said.append(error)

    try:
        async with asyncio.timeout(2 * CONNECT_S):
            await client.connect(
                [url],
                user=nats.user or None,
                password=nats.password.get_secret_value() if nats.password else None,
                error_cb=on_error,
                allow_reconnect=False,
                connect_timeout=CONNECT_S,  # type: ignore[arg-type]
            )
        its = client._server_info
        if not its.get("jetstream"):
            return _fails(url, message("it runs without JetStream"), _JETSTREAM)
        try:
            await client.jetstream(timeout=ASK_S).account_info()
        except (Error, TimeoutError):
            return _fails(url, message("its JetStream does not answer: it has no leader"), _LEADER)
        sentence = message("The NATS server {server}, {version}, answers.", server=url, version=its.get("version"))
        return ok(Topic.CLUSTER, sentence)
    except Exception as error:  # noqa: BLE001 - nats-py lets through whatever its parsing comes upon
        reason = said[-1] if said else error
        if "authorization" in str(reason).lower():
            return _fails(url, message("it refuses the login"), LOGIN)
        if isinstance(reason, TimeoutError):
            return _fails(url, message("no answer within {seconds} s", seconds=round(CONNECT_S)), _AWAY)
        return _fails(url, in_words(reason) if isinstance(reason, OSError) else str(reason), _AWAY)
    finally:
        with suppress(Exception):  # nats-py's own, where it was never connected
            async with asyncio.timeout(CLOSE_S):
                await client.close()


def _is_open(url: str) -> bool:
    its = URL(url)
    return its.scheme == "nats" and not is_loopback(its.host or "")


def _fails(url: str, detail: Message | str, remedy: Message) -> Finding:
    sentence = message("The NATS server {server} can not be used: {detail}", server=url, detail=detail)
    return problem(Topic.CLUSTER, sentence, remedy)
