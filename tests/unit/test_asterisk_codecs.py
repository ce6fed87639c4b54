"""The codecs of media channels, by the modules that an Asterisk runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_app.asterisk import media_codecs
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.media_codecs import BEST, MediaCodecs, NoMediaCodec, Transport, best_codecs
from ari_app.backoff import Backoff
from ari_app.tasks import guarded_tasks
from media.types import Codecs

from .fake_ari import connected, eventually, fake_ari

OPUS, G722, ALAW = "codec_opus", "codec_g722", "codec_alaw"


@pytest.mark.parametrize(
    ("modules", "rtp", "websocket"),
    [
        ([OPUS, G722, ALAW], Codecs("opus", "g722"), Codecs("opus", "opus")),
        (["codec_opus_open_source", G722], Codecs("opus", "g722"), Codecs("opus", "opus")),
        ([OPUS, ALAW], Codecs("opus", "alaw"), Codecs("opus", "opus")),
        ([G722, ALAW, "format_ogg_opus", "res_format_attr_opus"], Codecs("g722", "g722"), Codecs("g722", "g722")),
        ([ALAW], Codecs("alaw", "alaw"), Codecs("alaw", "alaw")),
        ([OPUS], None, Codecs("opus", "opus")),
        (["codec_gsm", "codec_resample"], None, None),
    ],
)
def test_the_best(modules: list[str], rtp: Codecs | None, websocket: Codecs | None) -> None:
    assert (best_codecs(modules, "rtp"), best_codecs(modules, "websocket")) == (rtp, websocket)


@asynccontextmanager
async def learning(client: AriClient, transport: Transport = "rtp") -> AsyncIterator[MediaCodecs]:
    codecs = MediaCodecs(client, transport)
    async with guarded_tasks() as tasks:
        tasks.supervise(codecs.run, "codecs")
        yield codecs


def refuses(status: int, times: int) -> object:
    left = [status] * times
    return lambda request: left.pop() if left and request == "GET /asterisk/modules" else None


async def best_is(codecs: MediaCodecs, wanted: Codecs | None) -> None:
    """Learned, however often it takes."""

    def now() -> Codecs | None:
        try:
            return codecs.best
        except NoMediaCodec:
            return None

    await eventually(lambda: now() == wanted)


async def test_they_are_learned_at_each_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_ari() as fake, connected(fake) as client:
        fake.modules = [ALAW]
        async with learning(client) as codecs:
            assert codecs.best == BEST["rtp"], "until something else is known"
            await best_is(codecs, Codecs("alaw", "alaw"))
            fake.modules = [G722]
            await fake.cut()
            await best_is(codecs, Codecs("g722", "g722"))
            fake.modules = []
            await fake.cut()
            await best_is(codecs, None)
            with pytest.raises(NoMediaCodec, match="load codec_g722"):
                _ = codecs.best


async def test_a_module_that_is_loaded_later_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_codecs, "EVERY_S", 0.02)
    async with fake_ari() as fake, connected(fake) as client:
        fake.modules = []
        async with learning(client) as codecs:
            await best_is(codecs, None)
            fake.modules = [OPUS, G722]
            await best_is(codecs, BEST["rtp"])


async def test_what_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_codecs, "RETRY", Backoff(first_s=0.01, last_s=0.02))
    async with fake_ari() as fake, connected(fake) as client:
        fake.modules = [ALAW]
        fake.refuse = refuses(500, 3)  # type: ignore[assignment]
        async with learning(client) as codecs:
            await best_is(codecs, Codecs("alaw", "alaw"))
            assert fake.asked("GET /asterisk/modules") == 4


async def test_an_asterisk_that_does_not_tell_is_taken_to_lack_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with fake_ari() as fake, connected(fake) as client:
        fake.modules = []
        fake.refuse = refuses(404, 1)  # type: ignore[assignment]
        async with learning(client, "websocket") as codecs:
            await eventually(lambda: "res_ari_asterisk.so" in caplog.text)
            assert codecs.best == BEST["websocket"]


async def test_a_call_does_not_wait_for_it() -> None:
    async with fake_ari() as fake, connected(fake) as client:
        fake.stalls = lambda request: request == "GET /asterisk/modules"
        async with learning(client) as codecs:
            await eventually(lambda: fake.stalled == 1)
            assert codecs.best == BEST["rtp"]
