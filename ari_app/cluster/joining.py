"""A machine that joins a cluster: where the servers are, whether its name is free, and its secret the right one.

NATS has a word that is sealed with the secret, from the first machine on: before anything is set there is nothing else
that a right secret could be told from a wrong one by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from nats.aio.client import Client
from nats.errors import NoRespondersError

from ari_app.cluster.bucket import Conflict, EngineAway, KeyEntry
from ari_app.cluster.engine import CLOSE_S, CONNECT_S, NatsEngine
from ari_app.cluster.members import MACHINE, address_of
from ari_app.cluster.shared_settings import Cipher, NotOurs

KEY, WORD = "secret", "astergram"
QUIET_S = 1.0
"""What a bucket has comes at once; then nothing does."""
ASK_S = 2.0


@dataclass(frozen=True)
class Named:
    """A server, by itself: who it is, and where it says that clients find it and the others of its cluster."""

    id: str
    urls: tuple[str, ...]


async def all_servers(servers: Sequence[str], user: str = "", password: str = "") -> tuple[list[str], list[str]]:
    """These servers and the others of their cluster, each once; and what they name and can't be reached.

    A server names each address of its machine, and has the same id at all of them. Raises EngineAway for one of these.
    """
    found: dict[str, str] = {}
    away: list[str] = []
    waiting, seen = list(servers), set(servers)
    while waiting:
        url = waiting.pop(0)
        try:
            its = await _named(url, user, password)
        except Exception as error:
            if url in servers:
                raise EngineAway(f"{url}: {str(error) or type(error).__name__}") from error
            away.append(url)
            continue
        found.setdefault(its.id, url)
        waiting += [each for each in its.urls if each not in seen]
        seen.update(its.urls)
    return list(found.values()), away


async def _named(url: str, user: str, password: str) -> Named:
    """Whatever nats-py comes upon is raised."""
    client = Client()

    async def on_error(error: Exception) -> None:
        """It is raised, too."""

    try:
        async with asyncio.timeout(2 * CONNECT_S):
            await client.connect(
                [url],
                user=user or None,
                password=password or None,
                error_cb=on_error,
                allow_reconnect=False,
                connect_timeout=CONNECT_S,  # type: ignore[arg-type]
            )
        info, scheme = client._server_info, url.partition("://")[0]
        return Named(str(info["server_id"]), tuple(f"{scheme}://{each}" for each in info.get("connect_urls") or ()))
    finally:
        with suppress(Exception):  # nats-py's own, where it was never connected
            async with asyncio.timeout(CLOSE_S):
                await client.close()


async def is_free(engine: NatsEngine, machine: str) -> bool:
    """Whether no machine of the cluster that is at work has a name. Raises EngineAway."""
    await _reached(engine)
    try:
        await engine.ask(address_of(machine), "join", b"", ASK_S)
    except EngineAway as error:
        if isinstance(error.__cause__, NoRespondersError):
            return True
        if not isinstance(error.__cause__, TimeoutError):  # it listens, and leaves unanswered what it does not know
            raise
    return False


async def machines(engine: NatsEngine) -> list[str]:
    """The names of those that were ever at work in it, and are not forgotten. Raises EngineAway."""
    found = await entries(engine, "astergram-machines")
    keys = [entry.key.partition(".") for entry in found if entry.value]  # else it is forgotten
    return sorted(name for kind, _, name in keys if kind == MACHINE)


async def sealed(engine: NatsEngine) -> list[KeyEntry]:
    """What NATS has that only the cluster's secret opens; nothing where no cluster has one. Raises EngineAway."""
    found = [*await entries(engine, "astergram-cluster"), *await entries(engine, "astergram-settings")]
    return [entry for entry in found if entry.value]


def opens(secret: str, found: Sequence[KeyEntry]) -> bool:
    """Whether it is the secret of the machines that have sealed these; some may be of an earlier one."""
    cipher = Cipher(secret)
    for entry in found:
        with suppress(NotOurs):
            cipher.open(entry.key, entry.value or b"")
            return True
    return False


async def begin(engine: NatsEngine, secret: str) -> int:
    """Have a secret be that of a new cluster; as which revision. Raises EngineAway; Conflict where another one is."""
    bucket = engine.bucket("astergram-cluster")
    known = await bucket.read(KEY)
    if known and known.value:
        raise Conflict(KEY)
    return await bucket.write(KEY, Cipher(secret).seal(KEY, WORD), known.revision if known else 0)


async def take_back(engine: NatsEngine, revision: int) -> None:
    """Nothing has come of it after all. Raises EngineAway, Conflict."""
    await engine.bucket("astergram-cluster").write(KEY, b"", revision)


async def entries(engine: NatsEngine, bucket: str) -> list[KeyEntry]:
    """All that a bucket has. Raises EngineAway."""
    await _reached(engine)
    return [entry async for entry in engine.bucket(bucket).watch(QUIET_S)]


async def _reached(engine: NatsEngine) -> None:
    try:
        await engine.connection()
    except (ConnectionError, TimeoutError) as error:
        raise EngineAway(engine.trouble or "no connection") from error
