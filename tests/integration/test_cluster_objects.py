"""An object store of the cluster's engine with real NATS servers, and cards' files in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.engine import NatsEngine, connected
from ari_app.cluster.engine_files import PURPOSE, EngineFiles
from ari_app.cluster.engine_objects import NatsObjects
from ari_app.cluster.shared_settings import Cipher, NotShared
from ari_app.lines.card_files import PICTURE_BYTES, CardFiles
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.nats import PrivateNats
from ari_app.store.lines import LineRepository
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from tests.pictures import jpeg
from tests.unit.test_card_files import LINE, VCARD, a_picture

PATIENCE_S = 90.0


async def names(objects: NatsObjects) -> set[str]:
    """Once the engine answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await objects.names()
            except EngineAway:
                await asyncio.sleep(0.1)


async def test_contents_are_kept_replaced_and_removed_for_good(engine: NatsEngine) -> None:
    objects = NatsObjects(engine, "files")
    assert await names(objects) == set()
    large, name = secrets.token_bytes(PICTURE_BYTES), "79990000001.picture.0f3a"
    for content in (b"small", large):
        await objects.put(name, content)
        assert await objects.get(name) == content
    await objects.put("another", b"")
    assert await names(objects) == {name, "another"}
    assert await objects.get("another") == b""
    assert await objects.get("unknown") is None
    for _ in range(2):
        await objects.remove(name)
    await objects.remove("another")
    assert await objects.get(name) is None
    assert engine.client
    assert (await engine.client.jetstream().stream_info("OBJ_files")).state.messages == 0, "nothing stays of it"
    assert not [each for each in engine.client._subs.values() if each.subject.startswith("$O")]


async def test_a_content_that_is_not_whole_is_none(engine: NatsEngine) -> None:
    objects = NatsObjects(engine, "files")
    assert await names(objects) == set()
    await objects.put("picture", secrets.token_bytes(300_000))
    assert engine.client
    stream = engine.client.jetstream()
    pieces = await stream.stream_info("OBJ_files", subjects_filter="$O.files.C.>")
    (subject,) = pieces.state.subjects or {}
    await stream.purge_stream("OBJ_files", subject=subject, keep=1)
    async with asyncio.timeout(PATIENCE_S):
        assert await objects.get("picture") is None


async def test_an_engine_that_is_away_or_has_lost_it(one: PrivateNats, engine: NatsEngine) -> None:
    objects = NatsObjects(engine, "files")
    assert await names(objects) == set()
    await objects.put("picture", b"red")
    with one.frozen(0), pytest.raises(EngineAway):
        await objects.put("picture", b"blue")
    await one.kill(0)
    for asked in (objects.names(), objects.put("x", b""), objects.get("picture"), objects.remove("picture")):
        with pytest.raises(EngineAway):
            await asked
    await one.start(0)
    assert await names(objects) == {"picture"}
    await one.kill(0)
    one.forget(0)
    await one.start(0)
    assert await names(objects) == set()


async def test_two_machines_make_it_at_the_same_time(one: PrivateNats, engine: NatsEngine) -> None:
    async with connected(one.urls, "b") as other:
        made = [NatsObjects(each, "files") for each in (engine, other) * 5]
        assert await asyncio.gather(*map(names, made)) == [set()] * 10


@asynccontextmanager
async def files_of(nats: PrivateNats, name: str, folder: Path) -> AsyncIterator[CardFiles]:
    """A machine's, once it has asked NATS."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(folder / f"{name}.db"))
        await LineRepository(store).save(LINE, LineSettings.of({"number": LINE}).stored())
        engine = await stack.enter_async_context(connected(nats.urls, name))
        objects = NatsObjects(engine, "card-files")
        shared = EngineFiles(engine.bucket("card-files"), objects, Cipher("secret", PURPOSE))
        files = CardFiles(store, a_picture, shared=shared)
        tasks = await stack.enter_async_context(guarded_tasks())
        await names(objects)
        tasks.supervise(lambda: shared.run(files), "files")
        tasks.supervise(lambda: shared.fetch(files), "fetch")
        yield files


async def has(files: CardFiles, **contents: bytes) -> None:
    """Wait until a machine has these files, and no other ones."""
    async with asyncio.timeout(PATIENCE_S):
        while {kind: await files.content(LINE, kind) for kind in await files.about(LINE)} != contents:  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.05)


async def test_files_of_two_machines(one: PrivateNats, tmp_path: Path) -> None:
    picture = jpeg() + secrets.token_bytes(1_000_000)
    async with files_of(one, "a", tmp_path) as a, files_of(one, "b", tmp_path) as b:
        await a.put(LINE, "picture", "us.jpg", picture)
        await b.put(LINE, "contact_vcard", "us.vcf", VCARD.encode())
        for each in (a, b):
            await has(each, picture=picture, contact_vcard=VCARD.encode())
        assert await a.about(LINE) == await b.about(LINE)
        assert not [each for each in one.run_dir.rglob("*") if each.is_file() and picture[-100:] in each.read_bytes()]
        await one.kill(0)
        with pytest.raises(NotShared, match="NATS has not answered"):
            await a.put(LINE, "picture", "us.jpg", jpeg())
        with pytest.raises(NotShared, match="NATS has not answered"):
            await a.remove(LINE, "picture")
        await has(a, picture=picture, contact_vcard=VCARD.encode())
        await one.start(0)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await a.remove(LINE, "picture")
                    break
                except NotShared:
                    await asyncio.sleep(0.1)
        await has(b, contact_vcard=VCARD.encode())
    # Servers that have lost everything get it from whoever has it.
    await one.kill(0)
    one.forget(0)
    await one.start(0)
    async with files_of(one, "a", tmp_path), files_of(one, "c", tmp_path) as c:
        await has(c, contact_vcard=VCARD.encode())
