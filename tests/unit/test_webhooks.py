"""Webhooks whole: what is sent and how it is signed, receivers of every kind, restarts, and what can be set."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ari_app.backoff import Backoff
from ari_app.lines.settings import SettingRefused
from ari_app.pbx.events import (
    ReportedEvent,
    TelegramCallEnded,
    TelegramCallOffered,
    TelegramMessage,
    TelegramResponse,
    TelegramStarted,
)
from ari_app.reports.outbox import OutboxFigures
from ari_app.store.store import Store, open_store
from ari_app.store.webhooks import DeliveryRow, WebhookRow
from ari_app.tasks import guarded_tasks
from ari_app.webhooks.payload import TYPES, body_of, sent_kinds, type_of
from ari_app.webhooks.queue import DeliveryQueue
from ari_app.webhooks.sender import open_sender, signed
from ari_app.webhooks.webhooks import UnknownWebhook, Webhooks
from tests.unit.fake_ari import eventually
from tests.unit.storage_trouble import locked
from tests.unit.webhook_receiver import receiver

NOW = 1_790_000_000.0
PASSES_S = 20.0
AT_ONCE = Backoff(0.001, 0.001)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


@asynccontextmanager
async def webhooks(
    store: Store, request_s: float = PASSES_S, retry: Backoff = AT_ONCE, most: int = 100
) -> AsyncIterator[Webhooks]:
    async with open_sender(request_s=request_s) as sender, guarded_tasks() as tasks, asyncio.timeout(PASSES_S):
        its = Webhooks(store, sender, tasks, new_queue=partial(DeliveryQueue, most=most, retry=retry))
        await its.load()
        yield its


def offered(call: str) -> TelegramCallOffered:
    return TelegramCallOffered(event_time=NOW, call_id=call, line="+79990000001")


def ended(call: str) -> TelegramCallEnded:
    return TelegramCallEnded(event_time=NOW, call_id=call, line="+79990000001", status="ANSWER", duration=62.4)


def test_the_signature_is_the_specifications() -> None:
    """The example of its libraries."""
    hook = WebhookRow("1", "", (), True, False, NOW, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent = DeliveryRow(
        *(1, "1", "msg_p5jXN8AQM9LWM0D4loKWxJek", "test", "", '{"test": 2432232314}'), made_at=0, since=0, next_at=0
    )
    assert signed(hook.secret, sent, 1614265330.7) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_an_event_is_json_with_its_fields() -> None:
    said = json.loads(body_of(ended("1"), with_text=False))
    assert (said["type"], said["timestamp"]) == ("call.ended", "2026-09-21T14:13:20.000Z")
    assert (said["data"]["call_id"], said["data"]["duration"], said["data"]["setup_ms"]) == ("1", 62.4, None)
    assert "event_time" not in said["data"]


def test_types_are_named_as_the_specification_recommends() -> None:
    assert {"call.offered", "callback.requested", "line.status", "message", "started"} <= set(TYPES)
    assert len(TYPES) == len(set(TYPES)) == len(list(sent_kinds()))


async def test_what_happens_is_sent_signed(store: Store) -> None:
    async with receiver() as its, webhooks(store) as hooks:
        hook = await hooks.add({"url": its.url})
        hooks.put(offered("1"))
        hooks.put(ended("1"))
        await eventually(lambda: hooks.delivered == 2)
        assert hooks.figures == {f"webhook {hook.id}": OutboxFigures(waiting=0, sent=2, lost=0, given_up=0)}
        assert [each["type"] for each in its.verified(hook.secret)] == ["call.offered", "call.ended"]
        headers, _ = its.requests[0]
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("Astergram/")
        assert hook.secret not in str(its.requests)
        [second, first] = await hooks.deliveries(hook.id)
        assert (first.state, first.attempts, first.status, first.answer) == ("delivered", 1, 200, "x" * 500)
        assert (first.type, second.type) == ("call.offered", "call.ended")


async def test_what_is_told_of_a_failure_quotes_no_address(store: Store) -> None:
    """An address may hold a secret, and every viewer is told of the trouble."""

    async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(no_http, "127.0.0.1", 0) as its, webhooks(store) as hooks:
        port = its.sockets[0].getsockname()[1]
        hook = await hooks.add({"url": f"http://127.0.0.1:{port}/hook/a-secret?key=a-secret"})
        hooks.put(offered("1"))
        await eventually(lambda: hooks.one(hook.id).queue.error != "")
        assert "no HTTP" in hooks.one(hook.id).queue.error
        assert "a-secret" not in str(hooks.trouble)


async def test_only_what_was_chosen_is_sent_and_texts_only_where_that_is_set(store: Store) -> None:
    async with receiver() as its, webhooks(store) as hooks:
        await hooks.add({"url": its.url, "events": ("message",)})
        await hooks.add({"url": f"{its.url}/all", "message_text": True})
        await hooks.add({"url": its.url, "enabled": False})
        hooks.put(TelegramMessage(line="+79990000001", text="Call me"))
        hooks.put(TelegramStarted(version="1"))
        hooks.put(TelegramResponse(action_id="1"))
        await eventually(lambda: hooks.delivered == 3)
        texts = sorted(each["data"].get("text", "") for each in its.bodies)
        assert texts == ["", "", "Call me"]
        assert len(set(its.ids)) == 2, "an event has one id, wherever it goes"


async def test_a_call_that_was_not_kept_before_a_kill_is_told_of_once(store: Store) -> None:
    async with receiver() as its:
        async with webhooks(store) as hooks:
            hook = await hooks.add({"url": its.url})
            await hooks.add({"url": f"{its.url}/other", "events": ("message",)})
            known, unkept = (replace(offered(call), event_time=hook.made_at + 1) for call in ("1", "2"))
            hooks.put(known)
            await eventually(lambda: hooks.delivered == 1)
            await store.written()
        async with webhooks(store) as hooks:
            await hooks.restore([known, unkept, offered("from before the webhook")])
            hooks.put(ended("2"))
            await eventually(lambda: hooks.delivered == 2)
            told = [(each["type"], each["data"]["call_id"]) for each in its.bodies]
            assert told == [("call.offered", "1"), ("call.offered", "2"), ("call.ended", "2")]


FAILURES: dict[str, Callable[[int], Any]] = {
    "fails": lambda place: 500 if place < 3 else 200,
    "closes": lambda place: "close" if place < 3 else 200,
    "sleeps": lambda place: "sleep" if place < 2 else 200,
    "leads elsewhere": lambda place: 302 if place < 2 else 204,
}


@pytest.mark.parametrize("how", FAILURES)
async def test_a_receiver_that(how: str, store: Store) -> None:
    async with receiver() as its, webhooks(store, request_s=0.2 if how == "sleeps" else PASSES_S) as hooks:
        its.answer, its.headers = FAILURES[how], {"Location": "/elsewhere"}
        hook = await hooks.add({"url": its.url})
        hooks.put(offered("1"))
        hooks.put(ended("1"))
        await eventually(lambda: hooks.delivered == 2)
        assert len(set(its.ids)) == 2, "a repeated event has the same id"
        assert [each["type"] for each in its.bodies][-2:] == ["call.offered", "call.ended"]
        [_, first] = await hooks.deliveries(hook.id)
        assert (first.state, first.error) == ("delivered", "")
        assert first.attempts > 1
        assert not hooks.trouble


async def test_a_receiver_that_sleeps_holds_up_neither_another_one_nor_another_call(store: Store) -> None:
    async with receiver() as sleeps, receiver() as its, webhooks(store) as hooks:
        sleeps.answer = lambda place: "sleep" if place == 0 else 200
        await hooks.add({"url": sleeps.url})
        await hooks.add({"url": its.url})
        hooks.put(offered("1"))
        await eventually(lambda: bool(sleeps.requests))
        for event in (ended("1"), offered("2"), ended("2")):
            hooks.put(event)
        await eventually(lambda: hooks.delivered == 6)
        assert [each["data"]["call_id"] for each in sleeps.bodies] == ["1", "2", "2"]


async def test_nobody_there_is_told_of(store: Store) -> None:
    async with webhooks(store, retry=Backoff(60, 60)) as hooks:
        await hooks.add({"url": "http://127.0.0.1:1/hook"})
        hooks.put(offered("1"))
        await eventually(lambda: hooks.trouble is not None)
        assert str(hooks.trouble) == "The webhook 127.0.0.1 takes no events: Connection refused."
        assert (hooks.waiting, hooks.lost) == (1, 0)


async def test_a_restart_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    """Also of what was being sent: it comes again, with the same id."""
    path = tmp_path / "astergram.db"
    async with receiver() as its:
        its.answer = lambda place: "sleep"
        async with open_store(path) as store, webhooks(store) as hooks:
            hook = await hooks.add({"url": its.url})
            for event in (offered("1"), ended("1"), offered("2")):
                hooks.put(event)
            await eventually(lambda: len(its.requests) == 2)
        before = list(its.ids)
        its.answer = lambda place: 200
        async with open_store(path) as store, webhooks(store) as hooks:
            await eventually(lambda: hooks.delivered == 3)
            ids = [each.id for each in await hooks.deliveries(hook.id)]
            assert ids == sorted(set(ids), reverse=True)
        assert set(before) < set(its.ids[2:])
        of_first = [each["type"] for each in its.bodies[2:] if each["data"]["call_id"] == "1"]
        assert of_first == ["call.offered", "call.ended"]
        assert [each.secret for each in await _rows(path)] == [hook.secret]


async def _rows(path: Path) -> list[WebhookRow]:
    async with open_store(path) as store, webhooks(store) as hooks:
        return [each.row for each in hooks.all()]


async def test_nobody_waits_for_the_database(tmp_path: Path) -> None:
    path = tmp_path / "astergram.db"
    async with receiver() as its, open_store(path) as store, webhooks(store) as hooks:
        hook = await hooks.add({"url": its.url})
        async with locked(store, path):
            for number in range(50):
                hooks.put(offered(str(number)))
            await eventually(lambda: hooks.delivered == 50)
            assert len(store.queue) == 1
        await eventually(lambda: not len(store.queue))
        assert {each.state for each in await hooks.deliveries(hook.id, limit=100)} == {"delivered"}


async def test_what_there_is_no_room_for_is_counted_and_shown(store: Store) -> None:
    async with webhooks(store, most=3, retry=Backoff(60, 60)) as hooks:
        hook = await hooks.add({"url": "http://127.0.0.1:1/hook"})
        for _ in range(6):
            hooks.put(offered("1"))
        assert (hooks.lost, hooks.waiting) == (3, 3)
        assert len(await hooks.deliveries(hook.id, "lost")) == 3


async def test_one_that_is_off_keeps_what_waits(store: Store) -> None:
    async with receiver() as its, webhooks(store) as hooks:
        its.answer = lambda place: 500
        hook = await hooks.add({"url": its.url})
        hooks.put(offered("1"))
        await eventually(lambda: len(its.requests) > 2)
        await hooks.change(hook.id, {"enabled": False})
        its.answer = lambda place: 200
        hooks.put(offered("2"))
        assert hooks.waiting == 1
        await hooks.change(hook.id, {"enabled": True})
        await eventually(lambda: hooks.delivered == 1)
        assert its.bodies[-1]["data"]["call_id"] == "1"


async def test_one_that_is_removed_takes_its_deliveries_along(store: Store) -> None:
    async with webhooks(store) as hooks:
        hook = await hooks.add({"url": "http://127.0.0.1:1/hook"})
        hooks.put(offered("1"))
        await hooks.remove(hook.id)
        hooks.put(offered("2"))
        with pytest.raises(UnknownWebhook):
            await hooks.deliveries(hook.id)
        await store.written()
        assert await store.run(lambda db: db.table("webhook_deliveries").count) == 0


async def test_a_test_is_sent_and_sent_again(store: Store) -> None:
    async with receiver() as its, webhooks(store) as hooks:
        hook = await hooks.add({"url": its.url, "events": ("message",)})
        sent = hooks.test(hook.id)
        await eventually(lambda: hooks.delivered == 1)
        await hooks.send_again(hook.id, sent.id)
        await eventually(lambda: hooks.delivered == 2)
        assert its.ids == [sent.event_id] * 2
        assert its.bodies[0]["type"] == "test"
        with pytest.raises(UnknownWebhook):
            await hooks.send_again(hook.id, 1)


async def test_another_secret_signs_from_now_on(store: Store) -> None:
    async with receiver() as its, webhooks(store) as hooks:
        first = await hooks.add({"url": its.url})
        second = await hooks.renew_secret(first.id)
        assert first.secret != second.secret
        hooks.put(offered("1"))
        await eventually(lambda: hooks.delivered == 1)
        its.verified(second.secret)
        assert first.secret not in repr(first)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"url": ""}, "url"),
        ({"url": "crm.example.com/hook"}, "url"),
        ({"url": "ftp://crm.example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://crm.example.com:99999/"}, "url"),
        ({"url": "https://user:password@crm.example.com/"}, "url"),
        ({"url": f"https://crm.example.com/{'x' * 2000}"}, "url"),
        ({"url": "https://crm.example.com/", "events": ("call.melted",)}, "events"),
    ],
)
async def test_what_makes_no_sense_is_refused(changes: dict[str, Any], where: str, store: Store) -> None:
    async with webhooks(store) as hooks:
        with pytest.raises(SettingRefused) as refused:
            await hooks.add(changes)
        assert [each.key for each in refused.value.wrong] == [where]
        assert hooks.all() == []


async def test_a_worker_that_fails_is_begun_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.tasks.RESTART", AT_ONCE)
    async with receiver() as its, webhooks(store) as hooks:
        send, calls = hooks._sender.send, 0

        async def fails_first(hook: WebhookRow, delivery: DeliveryRow) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise RuntimeError("on fire")
            return await send(hook, delivery)

        hooks._sender = replace(hooks._sender)
        object.__setattr__(hooks._sender, "send", fails_first)
        await hooks.add({"url": its.url})
        hooks.put(offered("1"))
        await eventually(lambda: hooks.delivered == 1)


@pytest.mark.parametrize("kind", list(sent_kinds()), ids=type_of)
def test_every_event_can_be_sent(kind: type[ReportedEvent]) -> None:
    assert json.loads(body_of(kind(event_time=NOW), with_text=True))["type"] == type_of(kind)
