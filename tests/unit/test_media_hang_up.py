"""A media process without a controller hangs its call up in Asterisk."""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from media import hang_up as module
from media.hang_up import hang_up
from media.types import AriLogin
from tests.unit.fake_ari import APP, FakeAri, fake_ari, within

LEG, MEDIA, BRIDGE = "1700.1", "astergram-telegram-1;2", "astergram-telegram-2"


@pytest.fixture
async def ari(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeAri]:
    """An Asterisk with a call of two channels in a bridge; it has time to answer, also on a busy machine."""
    monkeypatch.setattr(module, "REQUEST_S", 60.0)
    monkeypatch.setattr(module, "HANG_UP_S", 60.0)
    async with fake_ari() as fake:
        for channel in (LEG, MEDIA):
            fake.channels[channel] = {"id": channel, "state": "Up", "dialplan": within("Stasis", APP)}
        fake.bridges[BRIDGE] = {"id": BRIDGE, "channels": [LEG, MEDIA]}
        yield fake


def login(ari: FakeAri) -> AriLogin:
    return AriLogin(ari.url, "user", "secret")


async def test_all_that_is_in_its_bridge(ari: FakeAri) -> None:
    await hang_up(login(ari), (), BRIDGE)
    assert ari.channels == ari.bridges == {}
    assert ari.queries[f"DELETE /channels/{LEG}"] == {"reason": "congestion"}


async def test_channels_that_are_in_no_bridge_yet(ari: FakeAri) -> None:
    await hang_up(login(ari), (LEG,), "")
    assert [*ari.channels] == [MEDIA]
    assert [*ari.bridges] == [BRIDGE]


async def test_a_channel_that_is_not_answered_yet(ari: FakeAri) -> None:
    ari.channels[LEG]["dialplan"] = within("AppDial2", "(Outgoing Line)")
    await hang_up(login(ari), (LEG,), "")
    assert [*ari.channels] == [MEDIA]


async def test_what_is_gone_is_no_error(ari: FakeAri, caplog: pytest.LogCaptureFixture) -> None:
    del ari.channels[LEG]
    await hang_up(login(ari), ("gone",), BRIDGE)
    await hang_up(login(ari), ("gone",), BRIDGE)
    assert ari.channels == ari.bridges == {}
    assert caplog.messages == []


async def test_a_channel_that_its_dialplan_has_again_is_left_alone(ari: FakeAri) -> None:
    ari.channels[LEG]["dialplan"] = within("Dial", "PJSIP/trunk")
    await hang_up(login(ari), (LEG, MEDIA), "")
    assert [*ari.channels] == [LEG]


@pytest.mark.parametrize("request_", [f"GET /bridges/{BRIDGE}", f"DELETE /channels/{LEG}", f"DELETE /bridges/{BRIDGE}"])
async def test_what_asterisk_refuses_is_tried_again(
    ari: FakeAri, request_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    ari.refuse = lambda asked: HTTPStatus.SERVICE_UNAVAILABLE if asked == request_ and ari.asked(asked) == 1 else None
    await hang_up(login(ari), (), BRIDGE)
    assert ari.channels == ari.bridges == {}
    assert ari.asked(request_) == 2


async def test_an_asterisk_that_does_not_answer_is_given_up(
    ari: FakeAri, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "HANG_UP_S", 0.5)
    monkeypatch.setattr(module, "REQUEST_S", 0.1)
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    ari.stalls = lambda asked: True
    caplog.set_level(logging.DEBUG)
    await hang_up(login(ari), (LEG,), "")
    assert "is not hung up in Asterisk" in caplog.messages[-1]
    assert ari.stalled
    assert "secret" not in caplog.text


async def test_an_asterisk_that_is_gone_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "HANG_UP_S", 0.3)
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    await hang_up(AriLogin("http://127.0.0.1:9/ari", "user", "secret"), (LEG,), BRIDGE)
    assert "is not hung up in Asterisk" in caplog.messages[-1]
    assert "secret" not in caplog.text
