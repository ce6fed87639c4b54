"""People's languages on two machines of a cluster, with a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from ari_app.calls.languages import Languages, open_languages
from ari_app.cluster.engine import NatsEngine
from ari_app.cluster.shared_languages import PURPOSE, EngineLanguages
from ari_app.cluster.shared_settings import Cipher
from ari_app.sandbox.nats import PrivateNats
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from tests.integration.test_cluster_engine import a_machine, eventually

ANNA, BORIS = 5_000_000_002, 5_000_000_003
DAY_S, PATIENCE_S = 86400.0, 60.0
BUCKET = "astergram-languages"


class Kept:
    """For how long a language is known."""

    days = 400

    def seconds(self) -> float:
        return self.days * DAY_S


@asynccontextmanager
async def a_machine_with(folder: Path, nats: PrivateNats, name: str, kept: Kept) -> AsyncIterator[Languages]:
    async with a_machine(nats, name) as engine, open_store(folder / f"{name}.db") as store, guarded_tasks() as tasks:
        languages = await open_languages(store)
        shared = EngineLanguages(engine.bucket(BUCKET, kept.seconds), Cipher("ours", PURPOSE), kept.seconds)
        languages.share(shared)
        tasks.supervise(shared.send, "send")
        tasks.supervise(partial(shared.watch, languages), "watch")
        yield languages


async def speaks(languages: Languages, person_id: int, language: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while languages.of(person_id) != language:  # noqa: ASYNC110 - nobody else waits for it
            await asyncio.sleep(0.05)


async def kept_in_nats(engine: NatsEngine) -> float | None:
    """For how long, in seconds."""
    stream = (await engine.connection()).jetstream()
    return (await (await stream.key_value(BUCKET)).status()).ttl


async def test_what_one_learns_the_other_one_knows_and_who_is_erased_stays_so(
    tmp_path: Path, one: PrivateNats, engine: NatsEngine
) -> None:
    kept = Kept()
    async with a_machine_with(tmp_path, one, "a", kept) as a:
        a.learn(ANNA, "ru")
        async with a_machine_with(tmp_path, one, "b", kept) as b:
            await speaks(b, ANNA, "ru")
            b.learn(ANNA, "pt-br")
            await speaks(a, ANNA, "pt-br")
        await one.kill(0)
        a.learn(BORIS, "en")
        a.forget(ANNA)
        await one.start(0)
        async with a_machine_with(tmp_path, one, "b", kept) as b:  # whose database has her
            assert b.of(ANNA) == "pt-br"
            await speaks(b, BORIS, "en")
            b.forget(ANNA)  # as it is ordered to
            a.learn(BORIS, "de")
            await speaks(b, BORIS, "de")
            b.learn(BORIS, "fr")
            await speaks(a, BORIS, "fr")
            assert not a.of(ANNA) and not b.of(ANNA)
        async with a_machine_with(tmp_path, one, "c", kept) as c:
            await speaks(c, BORIS, "fr")
            assert set(c.all()) == {BORIS}


async def test_nats_keeps_one_for_as_long_as_is_set(tmp_path: Path, one: PrivateNats, engine: NatsEngine) -> None:
    kept = Kept()
    async with a_machine_with(tmp_path, one, "a", kept) as a, a_machine_with(tmp_path, one, "b", kept) as b:
        a.learn(ANNA, "ru")
        await speaks(b, ANNA, "ru")
        assert await kept_in_nats(engine) == 400 * DAY_S
        kept.days = 30
        a.learn(ANNA, "en")
        await speaks(b, ANNA, "en")
        assert await kept_in_nats(engine) == 30 * DAY_S


async def test_a_bucket_of_another_machine_keeps_what_it_has(one: PrivateNats, engine: NatsEngine) -> None:
    bucket = engine.bucket(BUCKET, lambda: 400 * DAY_S)
    assert await eventually(bucket, "1") is None
    await bucket.write("1", b"a", 0)
    async with a_machine(one, "b") as other:
        read = await eventually(other.bucket(BUCKET, lambda: 20 * DAY_S), "1")
        assert read and read.value == b"a"
        assert await kept_in_nats(engine) == 20 * DAY_S
