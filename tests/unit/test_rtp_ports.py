"""For how many calls Asterisk has RTP ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_app.asterisk import rtp_ports
from ari_app.asterisk.media_codecs import Transport
from ari_app.asterisk.rtp_ports import RtpPorts
from ari_app.tasks import guarded_tasks
from tests.unit.fake_ami import FakeAmi, Message, client, error, fake_ami, success
from tests.unit.fake_ari import connected, eventually, fake_ari

RTP_CONF = ["Category-000000: general", "Line-000000-000000: rtpstart=10000", "Line-000000-000001: rtpend=10099"]


def configured(*lines: str, right: str = "GetConfig") -> object:
    """Answers with such an rtp.conf, to a user with such a right."""

    def answer(action: Message) -> list[str] | None:
        match action["Action"]:
            case "ListCommands":
                return ["Response: Success", f"{right}: Get it.  (Priv: config,all)"]
            case "GetConfig":
                return ["Response: Success", *lines]
        return success(action)

    return answer


@asynccontextmanager
async def learning(fake: FakeAmi, transport: Transport = "rtp") -> AsyncIterator[RtpPorts]:
    async with fake_ari() as ari, connected(ari) as ari_client, guarded_tasks() as tasks:
        ports = RtpPorts(ari_client, lambda: client(fake), transport)
        tasks.supervise(ports.run, "RTP ports")
        yield ports


@pytest.mark.parametrize(
    ("lines", "transport", "calls"),
    [(RTP_CONF, "rtp", 25), (RTP_CONF, "websocket", 50), ([], "rtp", 6500), (RTP_CONF[:2], "rtp", 5250)],
)
async def test_it_is_learned(lines: list[str], transport: Transport, calls: int) -> None:
    async with fake_ami() as fake:
        fake.answer = configured(*lines)  # type: ignore[assignment]
        async with learning(fake, transport) as ports:
            assert ports.calls is None
            await eventually(lambda: ports.calls == calls)


async def test_who_may_not_read_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtp_ports, "EVERY_S", 0.01)
    async with fake_ami() as fake:
        fake.answer = configured(right="ShowDialPlan")  # type: ignore[assignment]
        async with learning(fake) as ports:
            await eventually(lambda: [each["Action"] for each in fake.actions].count("ListCommands") >= 2)
            assert ports.calls is None
    assert not any(each["Action"] == "GetConfig" for each in fake.actions)


async def test_it_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtp_ports, "EVERY_S", 0.01)
    async with fake_ami() as fake:
        fake.answer = error("Authentication failed", "Login")
        async with learning(fake) as ports:
            await eventually(lambda: len([each for each in fake.actions if each["Action"] == "Login"]) >= 2)
            assert ports.calls is None
            fake.answer = configured(*RTP_CONF)  # type: ignore[assignment]
            await eventually(lambda: ports.calls == 25)
            fake.answer = error("Authentication failed", "Login")
            asked = len(fake.actions)
            await eventually(lambda: len(fake.actions) > asked + 2)
            assert ports.calls == 25, "as it was"
