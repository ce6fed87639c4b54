"""A call's audio: its media process between Telegram and Asterisk's external media leg."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import bridged
from ari_app.asterisk.external_media import ExternalMediaLeg, rtp_media_leg, websocket_media_leg
from ari_app.asterisk.legs import Leg
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.outcome import Ending
from ari_app.telegram.connections import Connections
from ari_app.telegram.phone import PhoneCall
from media.supervisor import MediaPool, MediaProcess

Transport = Literal["rtp", "websocket"]


@dataclass(frozen=True)
class AudioSettings:
    """How audio goes between Telegram and Asterisk; `media_host` is this machine as Asterisk reaches it.

    ``away_s``: how long Asterisk may be away from a call.
    """

    pool: MediaPool
    transport: Transport
    media_host: str
    connect_s: float
    away_s: float


async def open_audio(call: Call, settings: AudioSettings) -> MediaProcess:
    """A media process of the call's (or its attempt's) own; if it is lost, so is the call."""
    call.audio = audio = await call.open(settings.pool.process(call.id))
    call.ends_with(audio_lost(call, audio))
    return audio


async def join_asterisk(call: Call, ari: AriClient, settings: AudioSettings, audio: MediaProcess, leg: Leg) -> None:
    """Put a leg and the media process into one bridge; from here on, whatever Asterisk says is kept."""
    if settings.transport == "rtp":
        external = await call.open(rtp_media_leg(ari, await audio.listen_rtp(settings.media_host)))
        await audio.attach_rtp(*external.media_address)
    else:
        external = await call.open(websocket_media_leg(ari))
        await audio.attach_websocket(external.media_url)
    call.ends_with(external_gone(call, external))
    leg.on_transfer = lambda channel: call.step("asterisk", f"transferred to {channel}")
    await call.open(bridged(ari, leg, external))
    call.step("asterisk", f"bridged, audio over {settings.transport}")


async def connect_telegram(
    call: Call, settings: AudioSettings, audio: MediaProcess, phone_call: PhoneCall, connections: Connections
) -> bool:
    """Connect Telegram's media; False where it does not come up in time."""
    call.alongside(_signals_to_telegram(phone_call, audio))
    call.alongside(_signals_from_telegram(phone_call, audio))
    try:
        async with asyncio.timeout(settings.connect_s):
            await audio.connect(
                connections.servers,
                connections.library_versions,
                connections.p2p_allowed,
                connections.custom_parameters,
            )
            await audio.connected()
    except TimeoutError:
        call.step("media", f"not connected within {settings.connect_s:g} s")
        return False
    call.step("media", "connected")
    return True


async def audio_lost(call: Call, audio: MediaProcess) -> Ending:
    """The media process, or the path to Telegram, is gone."""
    return outcome.audio_lost(str(await audio.lost()), call.talking)


async def external_gone(call: Call, external: ExternalMediaLeg) -> Ending:
    """Asterisk has closed the external media channel, which nobody but us should."""
    return outcome.audio_lost(f"Asterisk closed its media channel ({await external.hung_up()})", call.talking)


async def _signals_to_telegram(phone_call: PhoneCall, audio: MediaProcess) -> None:
    async for data in audio.signals():
        await phone_call.send_signal(data)


async def _signals_from_telegram(phone_call: PhoneCall, audio: MediaProcess) -> None:
    async for data in phone_call.signals():
        await audio.signal(data)
