"""The demo's calls, told one after the other: people on Telegram, Astergram, Asterisk and phone 101."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from telethon import errors

from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.delay import HELLO_S, PAUSE_S, Timeline, Watch, delay_ms, talk_begins, watched, write_talk
from ari_app.sandbox.demo.program import Program, ProgramEnded
from ari_app.sandbox.demo.report import SIDES, CallReport, HeardTone, Report
from ari_app.sandbox.demo.show import Show
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.sip_phone import Codec, SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE, Stage
from ari_app.sandbox.supervisor import Supervisor
from ari_app.sandbox.tones import measure
from ari_app.telegram.phone import DiscardReason
from media.types import MediaError

VERA = "+79990000004"
PHONE = "101"
PERSON_HZ, PHONE_HZ = 440.0, 700.0
CODEC_NAMES: dict[Codec, str] = {"opus": "Opus", "alaw": "A-law"}
CODEC_IN: Codec = "opus"
CODEC_OUT: Codec = "alaw"

RING_S = 4.0
"""How long the one who never answers is rung; Telegram itself rings for 90 s."""
MARGIN_S = 15.0
"""A talk goes on a little longer than the call, so that nobody falls silent before the end."""

CALL_FAILURES = (SandboxError, MediaError, TimeoutError, errors.RPCError, errors.InvalidBufferError, ConnectionError)


@dataclass(frozen=True)
class Cast:
    """Everybody who takes part, besides phone 101, which starts anew for each call."""

    stage: Stage
    anna: Person
    boris: Person
    vera: Person


class Scenario:
    """The calls over one transport."""

    margin_s = MARGIN_S

    def __init__(
        self,
        cast: Cast,
        program: Program | Supervisor,
        transport: str,
        seconds: float,
        show: Show,
        report: Report,
    ) -> None:
        self._cast = cast
        self._program = program
        self._transport = transport
        self._seconds = seconds
        self._show = show
        self._report = report
        self._folder = cast.stage.folder
        self._anna_says = self._folder / "talks" / f"anna-{PERSON_HZ:.0f}Hz.wav"
        self._phone_says = self._folder / "talks" / f"phone-{PHONE_HZ:.0f}Hz.wav"

    async def play(self) -> None:
        """All calls; one that fails does not keep the next from being tried. Raises ProgramEnded."""
        await asyncio.to_thread(self._prepare)
        call = self._call("in", "in", CODEC_IN, "ANSWER", talk=True)
        self._show.heading(f"A Telegram user calls the line; the phone speaks {CODEC_NAMES[CODEC_IN]}")
        await self._attempt(call, self._incoming(call))
        call = self._call("out", "out", CODEC_OUT, "ANSWER", talk=True)
        self._show.heading(f"The phone calls a Telegram user; the phone speaks {CODEC_NAMES[CODEC_OUT]}")
        await self._attempt(call, self._outgoing(call))
        call = self._call("declined", "out", CODEC_OUT, "BUSY", talk=False)
        self._show.heading("The phone calls somebody who declines")
        await self._attempt(call, self._declined(call))
        call = self._call("unanswered", "out", CODEC_OUT, "NOANSWER", talk=False)
        self._show.heading("The phone calls somebody who never answers")
        await self._attempt(call, self._unanswered(call))

    async def _incoming(self, call: CallReport) -> None:
        anna = self._cast.anna
        async with self._phone(call) as phone:
            on_telegram = await anna.call(LINE)
            self._step(call, "calls", f"Anna ({ANNA}) calls the line {LINE}")
            await on_telegram.rings()
            self._step(call, "ringing", "Anna hears that it rings")
            await phone.incoming()
            self._step(call, "rings", f"the dialplan rings phone {PHONE}")
            self._step(call, "answers", f"phone {PHONE} answers")
            answered = time.monotonic()
            await phone.answer()
            heard = self._recording(call, "anna")
            await on_telegram.confirm(self._anna_says, heard)
            call.setup_ms = _since(answered)
            self._step(call, "connected", f"they hear each other, {call.setup_ms} ms later")
            watch = await self._talk(on_telegram, phone)
            await on_telegram.hang_up(duration_s=int(self._seconds))
            await phone.closed()
            self._step(call, "ends", f"Anna hangs up, and phone {PHONE} hears it")
            await on_telegram.close_audio()
            await self._finish(call, phone, watch)

    async def _outgoing(self, call: CallReport) -> None:
        anna = self._cast.anna
        async with self._phone(call) as phone:
            await phone.dial(ANNA)
            self._step(call, "calls", f"phone {PHONE} dials {ANNA}")
            on_telegram = await anna.incoming()
            await on_telegram.ring()
            self._step(call, "rings", "Anna's Telegram rings")
            await phone.wait_for("CALL_RINGING")
            self._step(call, "ringing", f"phone {PHONE} hears that it rings (180)")
            self._step(call, "answers", "Anna presses Accept")
            accepted = time.monotonic()
            heard = self._recording(call, "anna")
            await on_telegram.accept(self._anna_says, heard)
            await phone.established()
            call.setup_ms = _since(accepted)
            self._step(call, "connected", f"they hear each other, {call.setup_ms} ms later")
            watch = await self._talk(on_telegram, phone)
            await phone.hangup()
            await on_telegram.ended()
            self._step(call, "ends", f"phone {PHONE} hangs up, and Anna sees it")
            await on_telegram.close_audio()
            await self._finish(call, phone, watch)

    async def _declined(self, call: CallReport) -> None:
        async with self._phone(call) as phone:
            await phone.dial(BORIS)
            self._step(call, "calls", f"phone {PHONE} dials {BORIS}")
            on_telegram = await self._cast.boris.incoming()
            await on_telegram.ring()
            await phone.wait_for("CALL_RINGING")
            self._step(call, "rings", "Boris's Telegram rings")
            await on_telegram.hang_up(DiscardReason.BUSY)
            self._step(call, "declines", "Boris presses Decline")
            await self._refused(call, phone, "486")

    async def _unanswered(self, call: CallReport) -> None:
        timers = self._cast.stage.telegram.timers
        usual, timers.ring_s = timers.ring_s, RING_S
        try:
            async with self._phone(call) as phone:
                await phone.dial(VERA)
                self._step(call, "calls", f"phone {PHONE} dials {VERA}")
                on_telegram = await self._cast.vera.incoming()
                await on_telegram.ring()
                await phone.wait_for("CALL_RINGING")
                self._step(call, "rings", f"Vera's Telegram rings ({RING_S:g} s here, 90 s on the real one)")
                await self._show.talk("Vera does not answer", RING_S)
                await self._refused(call, phone, "480")
        finally:
            timers.ring_s = usual

    async def _refused(self, call: CallReport, phone: SipPhone, sip_code: str) -> None:
        call.sip_status = await phone.closed()
        await self._status(call)
        self._step(call, "refused", f"phone {PHONE} gets {call.sip_status}; TELEGRAM_STATUS is {call.status}")
        if not call.sip_status.startswith(sip_code):
            call.failures.append(f"phone {PHONE} got {call.sip_status!r}, and {sip_code} was expected")

    async def _talk(self, on_telegram: PersonCall, phone: SipPhone) -> Watch:
        assert on_telegram.audio is not None
        async with watched(on_telegram.audio, phone.run_dir / "heard") as watch:
            text = f"Anna says {PERSON_HZ:.0f} Hz, phone {PHONE} says {PHONE_HZ:.0f} Hz"
            await self._show.talk(text, HELLO_S + PAUSE_S + self._seconds)
        return watch

    async def _finish(self, call: CallReport, phone: SipPhone, watch: Watch) -> None:
        """Measure what both have heard, and take Astergram's word on how it ended."""
        await self._status(call)
        heard_by_phone = self._recording(call, "phone")
        shutil.copyfile(phone.recordings[-1], heard_by_phone)
        said_by_phone = next((phone.run_dir / "heard").glob("dump-*-enc.wav"))
        call.heard = await asyncio.to_thread(
            lambda: {
                "telegram": _heard(
                    PHONE_HZ, watch.phone_spoke, said_by_phone, watch.person_heard, self._recording(call, "anna")
                ),
                "phone": _heard(PERSON_HZ, watch.person_spoke, self._anna_says, watch.phone_heard, heard_by_phone),
            }
        )
        for side, tone in call.heard.items():
            problems = tone.problems()
            self._step(call, f"heard by {side}", f"{SIDES[side]} {_in_words(tone, problems)}", ok=not problems)

    async def _status(self, call: CallReport) -> None:
        call.status = (await self._program.call_ended()).status

    async def _attempt(self, call: CallReport, script: Coroutine[None, None, None]) -> None:
        self._program.forget()
        try:
            await self._program.during(script)
        except ProgramEnded as error:
            call.failures.append("Astergram ended by itself during this call")
            self._step(call, "astergram", str(error).partition(";")[0], ok=False)
            raise
        except CALL_FAILURES as error:
            text = failure_text(error)
            call.failures.append(text)
            self._step(call, "failed", text, ok=False)

    def _call(
        self, name: str, direction: Literal["in", "out"], codec: Codec, expected: str, *, talk: bool
    ) -> CallReport:
        call = CallReport(
            name=f"{name}-{self._transport}",
            direction=direction,
            transport=self._transport,
            phone_codec=codec,
            expected=expected,
            talk=talk,
        )
        self._report.calls.append(call)
        return call

    def _step(self, call: CallReport, name: str, text: str, ok: bool = True) -> None:
        self._show.step(f"{call.name}: {name}", text, ok)

    def _phone(self, call: CallReport, asterisk: PrivateAsterisk | None = None) -> SipPhone:
        return SipPhone(
            asterisk or self._cast.stage.asterisk,
            PHONE,
            codec=call.phone_codec,
            play=self._phone_says if call.talk else None,
            loop=False,
            call_s=HELLO_S + PAUSE_S + self._seconds + self.margin_s,
            run_dir=self._folder / "phones" / (f"{call.name}-b" if asterisk else call.name),
        )

    def _recording(self, call: CallReport, listener: str) -> Path:
        return self._folder / "recordings" / f"{call.name}-{call.phone_codec}-heard-by-{listener}.wav"

    def _prepare(self) -> None:
        for folder in ("talks", "recordings"):
            (self._folder / folder).mkdir(exist_ok=True)
        for path, hz in ((self._anna_says, PERSON_HZ), (self._phone_says, PHONE_HZ)):
            if not path.exists():
                write_talk(path, hz, self._seconds + self.margin_s)


def failure_text(error: BaseException) -> str:
    """What to say of one of `CALL_FAILURES`."""
    return str(error) or "somebody waited in vain"


def _since(moment: float) -> int:
    return round((time.monotonic() - moment) * 1000)


def _heard(expected_hz: float, spoken: Timeline, said: Path, heard: Timeline, recording: Path) -> HeardTone:
    found = measure(recording, start_s=talk_begins(recording))
    delay = delay_ms(spoken, said, heard, recording)
    return HeardTone.of(expected_hz, found.hz, found.level_dbfs, found.gaps, delay)


def _in_words(tone: HeardTone, problems: list[str]) -> str:
    if problems:
        return "; ".join(problems)
    delay = "" if tone.delay_ms is None else f", {tone.delay_ms} ms after it was spoken"
    return f"heard {tone.hz:.1f} Hz at {tone.level_dbfs:.1f} dBFS, without gaps{delay}"
