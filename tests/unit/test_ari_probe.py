"""A WebSocket that is open, and told nothing: it is noticed, and made anew."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from ari_app.asterisk import websocket
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriUnreachable
from ari_app.asterisk.reconnecting import ConnectionState
from tests.unit.fake_ari import WAIT_S, FakeAri, connected, eventually, fake_ari

HEARTBEAT_S = 0.05


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeAri]:
    monkeypatch.setattr(websocket, "PROBE_TIMEOUT_S", 0.1)
    async with fake_ari() as fake:
        yield fake


async def goes_on(fake: FakeAri, client: AriClient) -> None:
    """It is asked again and again, and stays connected by that."""
    connects, probes = client.connects, fake.probes
    await eventually(lambda: fake.probes >= probes + 3)
    assert (client.state, client.connects) == (ConnectionState.CONNECTED, connects)


async def test_an_application_that_is_told_nothing_connects_again(fake: FakeAri) -> None:
    async with connected(fake, heartbeat_s=HEARTBEAT_S) as client, asyncio.timeout(WAIT_S):
        await goes_on(fake, client)
        fake.untold = True
        await client.wait_state(ConnectionState.WAITING)
        assert isinstance(client.last_error, AriUnreachable)
        assert "tells the Stasis application 'telegram' nothing, though its WebSocket is open" in str(client.last_error)
        fake.untold = False
        await client.wait_connected(WAIT_S)
        await goes_on(fake, client)


async def test_one_event_that_does_not_come_proves_nothing(fake: FakeAri) -> None:
    """A busy machine reads it too late."""
    async with connected(fake, heartbeat_s=HEARTBEAT_S) as client, asyncio.timeout(WAIT_S):
        probes, fake.untold = fake.probes, True
        await eventually(lambda: fake.probes > probes)
        fake.untold = False
        await goes_on(fake, client)
        assert client.connects == 1


async def test_an_application_that_asterisk_does_not_know_connects_again(fake: FakeAri) -> None:
    async with connected(fake, heartbeat_s=HEARTBEAT_S) as client, asyncio.timeout(WAIT_S):
        fake.refuse_probes = HTTPStatus.NOT_FOUND
        await client.wait_state(ConnectionState.WAITING)


@pytest.mark.parametrize("status", [HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR])
async def test_a_probe_that_fails_proves_nothing(fake: FakeAri, status: HTTPStatus) -> None:
    async with connected(fake, heartbeat_s=HEARTBEAT_S) as client, asyncio.timeout(WAIT_S):
        fake.refuse_probes = status
        await goes_on(fake, client)
