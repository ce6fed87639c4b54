"""A call's audio: its media process between Telegram and Asterisk's external media leg."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import bridged
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import best_effort
from ari_app.asterisk.external_media import ExternalMediaLeg, rtp_media_leg, websocket_media_leg
from ari_app.asterisk.legs import IncomingLeg, Leg
from ari_app.asterisk.media_codecs import MediaCodecs, NoMediaCodec, Transport
from ari_app.calls import events, outcome
from ari_app.calls.call import Call
from ari_app.calls.cdr import NO_ROW
from ari_app.calls.conversation import tell_channel
from ari_app.calls.events import Side
from ari_app.calls.outcome import Ending
from ari_app.calls.parts import AudioPart, LegPart, ProcessPart
from ari_app.calls.scope import Scope
from ari_app.logs import call_log
from ari_app.tasks import FAILURES
from ari_app.telegram.connections import Connections
from ari_app.telegram.errors import PASSING, TelegramError
from ari_app.telegram.phone import PhoneCall
from ari_app.telegram.relay import RelayUnknown, with_relay
from ari_app.telegram.turn_server import TurnServer
from media.pool import MediaPool, MediaProcess
from media.types import AriLogin, Codecs, MediaError, MediaLost

SIGNAL_AGAIN_S = 0.5
"""Until a message between the media engines is sent again that Telegram did not take."""
SIGNAL_S = 30.0
"""An engine repeats what is older than this by itself, or has given the path up that it was about."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioSettings:
    """How audio goes between Telegram and Asterisk; `media_host` is this machine as Asterisk reaches it.

    ``away_s``: how long Asterisk may be away from a call. ``relay`` tells one's own TURN server, if there is one.
    ``login``: that Asterisk's, where it is another machine's.
    """

    pool: MediaPool
    codecs: MediaCodecs
    transport: Transport
    media_host: str
    connect_s: float
    away_s: float
    relay: Callable[[], TurnServer | None] = lambda: None
    login: AriLogin | None = None


async def open_audio(scope: Scope, settings: AudioSettings) -> MediaProcess:
    """A media process of the scope's own; if it is lost, so is the call. Raises MediaError, NoMediaCodec."""
    call = scope.call
    codecs_for(call, settings)
    call.audio = audio = await scope.enter(settings.pool.process(call.id, settings.login))
    call.opened(process=ProcessPart.of(audio))
    scope.end_when(audio_lost(call, audio))
    return audio


def codecs_for(call: Call, settings: AudioSettings) -> Codecs:
    """Those of the call's audio in Asterisk. Raises NoMediaCodec, and logs it: nobody would hear anything."""
    try:
        return settings.codecs.best
    except NoMediaCodec as error:
        call_log(log, call.id).error("refused: %s", error)
        raise


async def join_asterisk(scope: Scope, ari: AriClient, settings: AudioSettings, audio: MediaProcess, leg: Leg) -> None:
    """Put a leg and the media process into one bridge; from here on, whatever Asterisk says is kept."""
    call, codecs = scope.call, codecs_for(scope.call, settings)
    form, variables = codecs.from_asterisk, _variables(scope.call)
    if settings.transport == "rtp":
        address = await audio.listen_rtp(settings.media_host)
        external = await scope.enter(rtp_media_leg(ari, address, format=form, variables=variables))
        await audio.attach_rtp(*external.media_address, codecs)
    else:
        external = await scope.enter(websocket_media_leg(ari, format=form, variables=variables))
        await audio.attach_websocket(external.media_url, codecs)
    await audio.in_asterisk(leg.id, external.id)
    watch_asterisk(scope, leg, external, form)
    bridge = await scope.enter(bridged(ari, leg, external))
    await audio.in_asterisk(bridge=bridge.id)  # with the channel in the leg's place after a transfer
    call.opened(audio=AudioPart(external.id, bridge.id, settings.transport, form, codecs.to_asterisk))
    call.add_event(events.Bridged(settings.transport, codecs.from_asterisk, codecs.to_asterisk))


def watch_asterisk(scope: Scope, leg: Leg, external: ExternalMediaLeg, codec: str) -> None:
    """The media channel's end is the call's, and the leg is followed where it is transferred to."""
    call = scope.call
    scope.end_when(external_gone(call, external))
    scope.end_when(not_translated(call, external, codec))
    scope.spawn(follow_transfers(call, leg))


def _variables(call: Call) -> dict[str, str]:
    """The media channel's: no CDR, and the person's caller id, which Asterisk tells to whoever is bridged with it."""
    known = CallerId(call.person.name, call.person.number) if call.person else CallerId("", "")
    return {**NO_ROW, "CALLERID(num)": known.safe_number, "CALLERID(name)": known.safe_name}


async def connect_telegram(
    scope: Scope, settings: AudioSettings, audio: MediaProcess, phone_call: PhoneCall, connections: Connections
) -> bool:
    """Connect Telegram's media; False where it does not come up in time."""
    call = scope.call
    pass_signalling(scope, phone_call, audio)
    try:
        async with asyncio.timeout(settings.connect_s):
            connections = await _by_own_relay(call, settings.relay(), connections)
            await audio.connect(
                connections.servers,
                connections.library_versions,
                connections.p2p_allowed,
                connections.custom_parameters,
            )
            await audio.connected()
    except TimeoutError:
        call.add_event(events.MediaTimedOut(settings.connect_s))
        return False
    call.add_event(events.MediaConnected())
    return True


async def _by_own_relay(call: Call, relay: TurnServer | None, connections: Connections) -> Connections:
    """One's own TURN server, too; where it is not found, only what else is allowed."""
    if relay is None:
        return connections
    try:
        return await with_relay(connections, relay, time.time())
    except RelayUnknown as error:
        call_log(log, call.id).error("its audio does not go through the TURN server: %s", error)
        return replace(connections, servers=(), p2p_allowed=False) if relay.only else connections


def pass_signalling(scope: Scope, phone_call: PhoneCall, audio: MediaProcess) -> None:
    """Pass the media engines' messages on, both ways, until the end."""
    scope.spawn(_signals_to_telegram(scope.call, phone_call, audio))
    scope.spawn(_signals_from_telegram(scope.call, phone_call, audio))


async def audio_lost(call: Call, audio: MediaProcess) -> Ending:
    """The media process, or the path to Telegram, is gone."""
    return outcome.audio_lost(str(await audio.lost()), call.talking)


async def follow_transfers(call: Call, leg: Leg) -> None:
    """Keep which channel is the call's."""
    while True:
        await leg.transferred()
        await transferred(call, leg)


async def transferred(call: Call, leg: Leg) -> None:
    """The leg has another channel now, which is the call's."""
    call.opened(leg=LegPart.of(leg))
    with best_effort(f"call {call.id}: Linkedid after a transfer"):
        await leg.learn_linkedid()
    call.channel = leg.pbx_channel
    call.opened(leg=LegPart.of(leg))
    if isinstance(leg, IncomingLeg):
        await tell_channel(call, leg)
    call.add_event(events.Transferred(leg.channel.name))


async def external_gone(call: Call, external: ExternalMediaLeg) -> Ending:
    """Asterisk has closed the external media channel, which nobody but us should."""
    return outcome.audio_lost(f"Asterisk closed its media channel ({await external.hung_up()})", call.talking)


async def not_translated(call: Call, external: ExternalMediaLeg, codec: str) -> Ending:
    """Asterisk has put the media channel out of the bridge again: the other party would be in silence."""
    await external.left_bridge()
    ending = outcome.not_translated(codec, call.talking)
    call_log(log, call.id).error("%s", ending.detail)
    return ending


async def _signals_to_telegram(call: Call, phone_call: PhoneCall, audio: MediaProcess) -> None:
    """What fails here ends no call: its media may live, and its end comes by other ways (`ended_on_telegram`)."""
    trouble = _SignallingTrouble(call, Side.TELEGRAM)
    async for data in audio.signals():
        await _send(phone_call, data, trouble)
        if phone_call.over:
            return


async def _send(phone_call: PhoneCall, data: bytes, trouble: "_SignallingTrouble") -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + SIGNAL_S
    while True:
        try:
            await phone_call.send_signal(data)
        except TelegramError as error:
            if phone_call.over:
                return None
            trouble.begins(error)
            if not isinstance(error, PASSING) or loop.time() > until:
                return None
        except Exception as error:  # noqa: BLE001 - recorded
            return trouble.unexpected(error)
        else:
            return trouble.ends()
        await asyncio.sleep(SIGNAL_AGAIN_S)


async def _signals_from_telegram(call: Call, phone_call: PhoneCall, audio: MediaProcess) -> None:
    """As the other way."""
    trouble = _SignallingTrouble(call, Side.ASTERGRAM)
    async for data in phone_call.signals():
        try:
            await audio.signal(data)
        except MediaLost:
            return  # which `audio_lost` tells
        except MediaError as error:
            trouble.begins(error)
        except Exception as error:  # noqa: BLE001 - recorded
            trouble.unexpected(error)
        else:
            trouble.ends()


class _SignallingTrouble:
    """Says on the call flow when signalling begins to fail and when it works again, and not each time it fails."""

    def __init__(self, call: Call, side: Side) -> None:
        self._call = call
        self._side = side
        self._lasts = False

    def begins(self, error: Exception) -> None:
        """A message was not taken."""
        if not self._lasts:
            self._call.add_event(events.SignallingFailed(self._side.value, str(error)))
        else:
            call_log(log, self._call.id).info("signalling fails: %s", error)
        self._lasts = True

    def unexpected(self, error: Exception) -> None:
        """The like of it should not happen."""
        FAILURES.add(f"signalling of call {self._call.id}", error)
        self.begins(error)

    def ends(self) -> None:
        """A message was taken."""
        if self._lasts:
            self._call.add_event(events.SignallingRestored(self._side.value))
        self._lasts = False
