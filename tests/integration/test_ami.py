"""The AMI client against a real Asterisk."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ari_app.asterisk.ami import Ami, Fields
from ari_app.asterisk.errors import AriNotFound, AriRefused, AriTimeout, AriUnreachable
from ari_app.sandbox.asterisk import PrivateAsterisk

WAIT_S = 20.0


def client(asterisk: PrivateAsterisk, password: str = "") -> Ami:
    return Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, password or asterisk.ami_password)


async def test_logs_in_and_answers(asterisk: PrivateAsterisk) -> None:
    async with client(asterisk) as ami:
        await ami.ping()
        allowed = await ami.allowed_actions()
        listed = await ami.action("ShowDialPlan", Context="phones", Extension="+79990000002")
    assert {"UserEvent", "ShowDialPlan", "GetConfig", "Command"} <= allowed
    assert "Response" not in allowed
    applications = [event["Application"] for event in listed.events if "Application" in event]
    assert "Dial" in applications


async def test_answers_do_not_mix(asterisk: PrivateAsterisk) -> None:
    async with client(asterisk) as ami:
        found = await asyncio.gather(
            *(ami.action("ShowDialPlan", Context="phones", Extension=extension) for extension in ("600", "601", "602"))
        )
    assert [answer.events[0]["Extension"] for answer in found] == ["600", "601", "602"]


async def test_events_arrive(asterisk: PrivateAsterisk) -> None:
    heard: asyncio.Queue[Fields] = asyncio.Queue()
    async with client(asterisk) as ami:
        ami.on_event("UserEvent", heard.put_nowait)
        await ami.action("UserEvent", UserEvent="TelegramTest", Name="Анна")
        async with asyncio.timeout(WAIT_S):
            event = await heard.get()
    assert event["UserEvent"] == "TelegramTest"
    assert event["Name"] == "Анна"


async def test_wrong_password(asterisk: PrivateAsterisk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AriRefused, match=r"\[astergram\].*manager\.conf.*secret") as caught:
        async with client(asterisk, "not-the-secret"):
            pass
    told = caplog.text + repr(caught.value) + repr(client(asterisk, "not-the-secret"))
    assert "not-the-secret" not in told


async def test_says_what_does_not_exist(asterisk: PrivateAsterisk) -> None:
    async with client(asterisk) as ami:
        with pytest.raises(AriNotFound, match="no-such-context"):
            await ami.action("ShowDialPlan", Context="no-such-context")
        await ami.ping()


async def test_nobody_there(unused_tcp_port: int) -> None:
    with pytest.raises(AriUnreachable, match=r"manager\.conf.*enabled = yes"):
        async with Ami("127.0.0.1", unused_tcp_port, "astergram", "secret"):
            pass


async def test_http_port_is_no_ami(asterisk: PrivateAsterisk) -> None:
    with pytest.raises(AriUnreachable, match=r"does not answer as AMI"):
        async with Ami("127.0.0.1", asterisk.http_port, asterisk.ami_user, asterisk.ami_password, timeout_s=1.0):
            pass


async def test_connection_lost(asterisk: PrivateAsterisk) -> None:
    async with client(asterisk) as ami:
        await asterisk.cli("core stop now")
        with pytest.raises((AriUnreachable, AriTimeout), match=r"broke|no answer"):
            while True:
                await ami.ping()
