"""What becomes of a call whose packets from Asterisk get lost, or come late: what was concealed, and the delay.

The audio goes as in a call of Astergram's, but the media process is driven from here, which tells how deep its jitter
buffer is: person, media process, a forwarder that loses packets, Asterisk's Echo(), and back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import bridged
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.external_media import ExternalMediaLeg, rtp_media_leg, websocket_media_leg
from ari_app.asterisk.legs import dialplan_leg
from ari_app.asterisk.media_codecs import BEST, Transport
from ari_app.sandbox.bench.bare import connected
from ari_app.sandbox.bench.echo import echoes_ms, said_and_heard, write_talk_of
from ari_app.sandbox.bench.figures import median, percentile
from ari_app.sandbox.bench.forwarder import UdpForwarder, forwarder
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import ECHO, Rig
from ari_app.sandbox.bench.sizes import NONE, Impairment
from ari_app.sandbox.ports import HOST
from ari_app.tasks import background_tasks
from media.process import MediaProcess
from media.types import MediaStats

APP = "bench"
ANSWER_S = 10.0  # for the dialplan to answer
SAMPLE_S = 0.5  # between two looks at the jitter buffer
SEED = 11


async def measure(rig: Rig, found: Found) -> None:
    """One call after the other, first without any loss, by both transports."""
    said, talks = rig.folder / "loss-talk.wav", rig.sizes.talks
    talk_s = await asyncio.to_thread(write_talk_of, said, rig.sizes.talk_s)
    asterisk = (await rig.stage()).asterisk
    cases: list[tuple[Transport, Impairment]] = [("rtp", NONE), ("websocket", NONE)]
    cases += [("rtp", impairment) for impairment in rig.sizes.impairments]
    async with AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, APP) as ari:
        await ari.wait_connected()
        for number, (transport, impairment) in enumerate(cases):
            rig.say(f"{transport}, {impairment.name}")
            heard = rig.folder / f"loss-{number}.wav"
            async with _echoing(rig, ari, transport, impairment, said, heard) as (person, media, network):
                samples = list[MediaStats]()
                async with background_tasks() as tasks:
                    tasks.create_task(_sample(media, samples), name="looks at the jitter buffer")
                    began_s = await said_and_heard(person, talk_s, talks)
                samples.append(await media.stats())
            delays = await asyncio.to_thread(echoes_ms, said, talk_s, talks, heard, began_s)
            _row(found, transport, impairment, network, samples, delays)
    _conclude(found)


@asynccontextmanager
async def _echoing(
    rig: Rig, ari: AriClient, transport: Transport, impairment: Impairment, said: Path, heard: Path
) -> AsyncIterator[tuple[MediaProcess, MediaProcess, UdpForwarder | None]]:
    """A person who talks to Asterisk's echo; the media process in between, and the network behind it."""
    pool, codecs = (await rig.stage()).people_pool, BEST[transport]
    versions = (await pool.protocol()).library_versions
    caller = CallerId("Bench", "100")
    async with pool.process("person") as person, pool.process("media") as media, AsyncExitStack() as stack:
        leg = await stack.enter_async_context(
            dialplan_leg(ari, extension="100", context=ECHO, caller_id=caller, formats=codecs.from_asterisk)
        )
        async with asyncio.timeout(ANSWER_S):
            await leg.answered()
        network: UdpForwarder | None = None
        external: ExternalMediaLeg
        if transport == "rtp":
            network = await stack.enter_async_context(forwarder(impairment, SEED))
            address = await media.listen_rtp(HOST)
            external = await stack.enter_async_context(
                rtp_media_leg(ari, network.for_asterisk, format=codecs.from_asterisk)
            )
            network.between(external.media_address, address)
            await media.attach_rtp(*network.for_media, codecs)
        else:
            external = await stack.enter_async_context(websocket_media_leg(ari, format=codecs.from_asterisk))
            await media.attach_websocket(external.media_url, codecs)
        await stack.enter_async_context(bridged(ari, leg, external))
        await person.attach_files(said, heard, loop=True)
        await stack.enter_async_context(connected(person, media, versions))
        yield person, media, network


async def _sample(media: MediaProcess, samples: list[MediaStats]) -> None:
    while True:
        await asyncio.sleep(SAMPLE_S)  # sampling, not waiting
        samples.append(await media.stats())


def _row(
    found: Found,
    transport: Transport,
    impairment: Impairment,
    network: UdpForwarder | None,
    samples: list[MediaStats],
    delays: list[float],
) -> None:
    last = samples[-1]
    found.row(
        "packets from Asterisk",
        transport=transport,
        impairment=impairment.name,
        packets=last.from_asterisk.packets,
        dropped=network.dropped if network else 0,
        lost=last.from_asterisk.lost,
        late=last.from_asterisk.late,
        concealed_ms=last.concealed_ms,
        jitter_ms=median([each.jitter_ms for each in samples], 1),
        buffer_ms=median([each.buffer_ms for each in samples if each.buffer_ms], 0),
        target_ms=median([each.target_ms for each in samples], 0),
        echo_p50_ms=round(percentile(delays, 50)) if delays else None,
        echo_p99_ms=round(percentile(delays, 99)) if delays else None,
        marks=len(delays),
    )


def _conclude(found: Found) -> None:
    """What the jitter buffer holds while the network is calm."""
    for row in found.tables["packets from Asterisk"]:
        if row["impairment"] == NONE.name:
            found.put(f"jitter_buffer_ms.{row['transport']}", row["buffer_ms"])


PART = Part(
    "loss", "packets lost and late on Asterisk's side", ("jitter_buffer_ms.rtp", "jitter_buffer_ms.websocket"), measure
)
