"""Signalling between the media engines: what fails there ends no call whose media lives."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from ari_app.calls import audio as audio_module
from ari_app.calls import outcome
from ari_app.calls.audio import AudioSettings, audio_lost, connect_telegram
from ari_app.calls.call import Call
from ari_app.calls.events import CallEvent, SignallingFailed, SignallingRestored
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.scope import CallScope
from ari_app.telegram.connections import Connections
from ari_app.telegram.errors import CallDiscarded, CallUnknown, ServerError, Unreachable
from media.types import MediaError, MediaLost

PASSES_S = 5.0  # a generous limit: what is tested takes milliseconds
NOWHERE = Connections((), ("9.0.0",), p2p_allowed=True, custom_parameters=None)


class Media:
    """A media process that is connected at once, and has something to say to the other side's."""

    def __init__(self, says: list[bytes], refuses: Exception | None = None) -> None:
        self.says: asyncio.Queue[bytes] = asyncio.Queue()
        for data in says:
            self.says.put_nowait(data)
        self.heard: list[bytes] = []
        self.hears = asyncio.Event()
        self.refuses = refuses
        self.gone = asyncio.Event()

    async def connect(self, *arguments: Any) -> None:
        pass

    async def connected(self) -> None:
        pass

    async def lost(self) -> MediaLost:
        await self.gone.wait()
        return MediaLost("ICE failed")

    async def signals(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.says.get()

    async def signal(self, data: bytes) -> None:
        if self.refuses and not self.heard:
            self.heard.append(b"refused")
            raise self.refuses
        self.heard.append(data)
        self.hears.set()


class Control:
    """Telegram's call: each message that is sent is answered from a script, whose last answer goes on."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers) or [None]
        self.tried: list[bytes] = []
        self.sent: list[bytes] = []
        self.over = False
        self.says: asyncio.Queue[bytes] = asyncio.Queue()
        self.changed = asyncio.Event()

    async def send_signal(self, data: bytes) -> None:
        self.tried.append(data)
        self.changed.set()
        error = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if error:
            raise error
        self.sent.append(data)

    async def signals(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.says.get()

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PASSES_S):
            while not reached():
                self.changed.clear()
                await self.changed.wait()


Handler = Callable[[Call], Coroutine[Any, Any, None]]


NONE: Any = None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_module, "SIGNAL_AGAIN_S", 0.01)


async def talked(control: Control, media: Media, while_talking: Handler) -> tuple[Call, Ending]:
    """A call that is talking while something happens, and that its caller then ends."""
    call = Call("1", Direction.OUT, "+79990000001", "anna")
    scope = CallScope(call)

    async def handler() -> None:
        scope.end_when(audio_lost(call, media))  # type: ignore[arg-type]
        settings = AudioSettings(NONE, NONE, "rtp", "127.0.0.1", connect_s=5.0, away_s=8.0)
        assert await connect_telegram(scope, settings, media, control, NOWHERE)  # type: ignore[arg-type]
        call.mark_media_up()
        await while_talking(call)
        call.end(outcome.asterisk_ended(16, Direction.OUT, talking=True))

    async with asyncio.timeout(2 * PASSES_S):
        await scope.run(handler())
    assert call.ending is not None
    return call, call.ending


def flow(call: Call) -> list[CallEvent]:
    """The events of signalling."""
    return [each.event for each in call.events if isinstance(each.event, SignallingFailed | SignallingRestored)]


@pytest.mark.parametrize("passing", [ServerError("Timeout"), Unreachable("no answer")])
async def test_a_message_is_sent_again_when_telegram_is_back(passing: Exception) -> None:
    control = Control(passing, passing, passing, None)

    async def handler(call: Call) -> None:
        await control.until(lambda: len(control.sent) == 2)

    call, ending = await talked(control, Media([b"1", b"2"]), handler)
    assert ending.status is Status.ANSWER
    assert ending.cause == 16
    assert control.sent == [b"1", b"2"]
    assert len(flow(call)) == 2  # when it began, and when it was over


async def test_a_message_that_telegram_refuses_is_left_out() -> None:
    control = Control(CallUnknown("CALL_PEER_INVALID"), None)

    async def handler(call: Call) -> None:
        await control.until(lambda: control.sent == [b"2"])

    call, ending = await talked(control, Media([b"1", b"2"]), handler)
    assert ending.cause == 16
    assert "CALL_PEER_INVALID" in str(flow(call)[0])


async def test_an_unexpected_error_ends_no_call_either() -> None:
    control = Control(sqlite3.OperationalError("database or disk is full"), None)

    async def handler(call: Call) -> None:
        await control.until(lambda: control.sent == [b"2"])

    _, ending = await talked(control, Media([b"1", b"2"]), handler)
    assert ending.cause == 16


async def test_refused_for_ever_it_says_so_once() -> None:
    control = Control(CallUnknown("CALL_PEER_INVALID"))

    async def handler(call: Call) -> None:
        await control.until(lambda: len(control.tried) == 5)

    call, _ = await talked(control, Media([b"1", b"2", b"3", b"4", b"5"]), handler)
    assert len(flow(call)) == 1


async def test_what_is_too_old_is_not_sent_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_module, "SIGNAL_S", 0.0)
    control = Control(Unreachable("no answer"), Unreachable("no answer"), None)

    async def handler(call: Call) -> None:
        await control.until(lambda: bool(control.sent))

    await talked(control, Media([b"1", b"2", b"3"]), handler)
    assert control.sent == [b"3"]


async def test_nothing_is_sent_for_a_call_that_is_over() -> None:
    control = Control(CallDiscarded("CALL_ALREADY_DECLINED"))
    control.over = True

    async def handler(call: Call) -> None:
        await control.until(lambda: bool(control.tried))
        await asyncio.sleep(0.05)

    call, ending = await talked(control, Media([b"1", b"2"]), handler)
    assert control.tried == [b"1"]
    assert flow(call) == []
    assert ending.cause == 16


async def test_a_message_that_our_engine_refuses_is_left_out() -> None:
    control, media = Control(), Media([], refuses=MediaError("ntgcalls refused it"))

    async def handler(call: Call) -> None:
        control.says.put_nowait(b"1")
        control.says.put_nowait(b"2")
        async with asyncio.timeout(PASSES_S):
            while b"2" not in media.heard:
                media.hears.clear()
                await media.hears.wait()

    call, ending = await talked(control, media, handler)
    assert ending.cause == 16
    assert "ntgcalls refused it" in str(flow(call)[0])


async def test_lost_media_still_ends_the_call_as_answered() -> None:
    media = Media([])

    async def handler(call: Call) -> None:
        media.gone.set()
        await call.ended()

    _, ending = await talked(Control(), media, handler)
    assert (ending.status, int(ending.cause)) == (Status.ANSWER, 38)
