"""Details of a call by real NATS servers, from the machine that has it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from ari_app.cluster.call_details import CallDetails
from ari_app.cluster.engine import connected
from ari_app.cluster.members import address_of
from ari_app.reports.history import History
from ari_app.reports.whole_calls import WholeCalls, told_of
from ari_app.sandbox.nats import PrivateNats
from ari_app.store.calls import CallRepository, Details
from ari_app.store.shared_calls import SharedCall, SharedCallRepository, StreamProgress
from ari_app.store.store import open_store
from tests.integration.web_calls import a_call

PATIENCE_S = 90.0


async def test_a_call_of_another_machine_is_whole_unless_that_is_away(tmp_path: Path) -> None:
    call, machines = a_call(1, 1000.0), {"a": address_of("a"), "b": address_of("b")}
    # As many events and samples as a call can have.
    event = '{"at_s": 1.0, "type": "CallOffered", "caller": "%s"}' % ("x" * 128)
    columns = ", ".join(
        f'"{name}": [{", ".join(["1234567.5"] * 240)}]'
        for name in ("at_s", "jitter_ms", "to_telegram_dbfs", "from_telegram_dbfs")
    )
    columns += f', "lost": [{", ".join(["1234567"] * 240)}], "concealed_ms": [{", ".join(["1234567"] * 240)}]'
    details = Details(f"[{', '.join([event] * 301)}]", "{}", f"{{{columns}}}")

    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        opened = stack.enter_async_context
        nats = await opened(PrivateNats(tmp_path / "nats", servers=1))
        stores = {name: await opened(open_store(tmp_path / f"{name}.db")) for name in machines}
        CallRepository(stores["b"]).save(call, details)
        theirs = SharedCall(a_call(1, 1000.0, machine="b"), 1)
        await SharedCallRepository(stores["a"]).receive("calls", [theirs], StreamProgress("1"))

        async def machine(name: str) -> tuple[WholeCalls, Any]:
            stack_of_it = await stack.enter_async_context(AsyncExitStack())
            engine = await stack_of_it.enter_async_context(connected(nats.urls, name))
            history = History(stores[name])
            calls = CallDetails(engine, lambda: machines, partial(told_of, history))
            calls.serve()
            await engine.connected.wait()
            return WholeCalls(history, calls), stack_of_it

        b, b_stack = await machine("b")
        a, _ = await machine("a")
        found = await a.one(call.id)
        while found and found.missing:  # the other one may not be there yet
            found = await a.one(call.id)
        ours = await b.one(call.id)
        assert found
        assert ours
        assert (len(found.events), len(found.samples), found.call.machine) == (301, 240, "b")
        assert (found.events, found.samples) == (ours.events, ours.samples)
        await b_stack.aclose()
        found = await a.one(call.id)
        assert found
        assert "on machine b, which does not answer" in str(found.missing)
