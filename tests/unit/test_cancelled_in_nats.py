"""Whoever is cancelled while NATS answers is: asyncio.wait_for, by which nats-py waits, may swallow it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.js.errors import KeyNotFoundError

from ari_app.cluster.engine import NatsEngine
from ari_app.cluster.engine_objects import NatsObjects
from ari_app.cluster.engine_stream import NatsStream
from ari_app.tasks import GuardedTasks, cancellation_kept


class Answer:
    """What comes just when whoever waits for it is cancelled."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return SimpleNamespace(value=b"", revision=1, data=b"", seq=1)

    async def is_cancelled(self, task: asyncio.Task[Any]) -> bool:
        await self.asked.wait()
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()


@pytest.fixture
def engine() -> NatsEngine:
    return NatsEngine([], "a", "", "", cast(GuardedTasks, None))


async def test_a_bucket(engine: NatsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for ask in ("get", "update", "create"):
        answer, bucket = Answer(), engine.bucket("keys")
        monkeypatch.setattr(bucket, "_open", lambda ask=ask, answer=answer: _soon(SimpleNamespace(**{ask: answer})))
        asking = {"get": bucket.read("1"), "update": bucket.write("1", b"", 1), "create": bucket.write("1", b"", 0)}
        for each in asking.keys() - {ask}:
            asking[each].close()
        assert await answer.is_cancelled(asyncio.create_task(asking[ask]))


async def test_a_watch(engine: NatsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, bucket = Answer(), engine.bucket("keys")
    watcher = type("Watcher", (), {"__anext__": lambda self: answer()})()
    monkeypatch.setattr(bucket, "_open", lambda: _soon(SimpleNamespace(watchall=lambda: _soon(watcher))))

    async def watch() -> None:
        async for _ in bucket.watch(60.0):
            pass

    assert await answer.is_cancelled(asyncio.create_task(watch()))


async def test_a_stream_and_another_machine(engine: NatsEngine) -> None:
    answer = Answer()
    engine.client = cast(Any, SimpleNamespace(jetstream=lambda **_: SimpleNamespace(get_msg=answer), request=answer))
    engine.connected.set()
    assert await answer.is_cancelled(
        asyncio.create_task(NatsStream(engine, "s", lambda: 1.0, one_each=True).after(0, 9))
    )
    answer.asked.clear()
    assert await answer.is_cancelled(asyncio.create_task(engine.ask("b", "what", b"")))


async def test_large_contents(engine: NatsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.client = cast(Any, SimpleNamespace(jetstream=lambda **_: None))
    engine.connected.set()
    objects = NatsObjects(engine, "files")
    works = {"put": objects.put("1", b""), "get_info": objects.get("1"), "delete": objects.remove("1")}
    for ask, asking in works.items():
        answer = Answer()
        store = SimpleNamespace(**{ask: answer})
        monkeypatch.setattr(objects, "_open", lambda *_, store=store: _soon(store))
        assert await answer.is_cancelled(asyncio.create_task(asking))


async def test_a_time_that_is_over_is_no_cancellation() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.0):
            with cancellation_kept():
                await Answer()()
    with cancellation_kept(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.0):
            await asyncio.Event().wait()
    with pytest.raises(KeyNotFoundError), cancellation_kept():
        raise KeyNotFoundError


async def _soon(what: Any) -> Any:
    return what
