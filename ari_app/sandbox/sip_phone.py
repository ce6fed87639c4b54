"""A scripted SIP phone: Debian's baresip, controlled over its ctrl_tcp module (JSON in netstrings).

It speaks a wav file and records what it hears. The recording holds the audio that was decoded, packet after packet:
where the other side sent nothing (as Asterisk does while it is silent), it has no hole but is shorter.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import tempfile
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from ari_app.sandbox import debian
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.processes import Child, SandboxError, connected, running

Codec = Literal["opus", "alaw", "ulaw", "g722"]
CODECS: Mapping[Codec, str] = {
    "opus": "opus/48000/1",
    "alaw": "pcma/8000/1",
    "ulaw": "pcmu/8000/1",
    "g722": "g722/16000/1",
}

START_TIMEOUT_S = 15.0
EVENT_TIMEOUT_S = 15.0
COMMAND_TIMEOUT_S = 5.0
SAMPLE_RATE = 48000
RTP_OFFSET = 4
"""RTP ports come after those of SIP (UDP and TCP), of SIP over TLS and of the control connection."""
PORTS = 20
_ACTIVE_CALLS = re.compile(r"Active calls \((\d+)\)")

# Its files are named relative to the run folder, where it works: it cuts paths off at 127 characters.
CONFIG = """\
poll_method epoll
sip_listen {host}:{sip}
net_interface {host}
call_local_timeout 120
call_max_calls 4
statmode_default off
ringback_disabled yes
audio_source aufile,microphone.wav
audio_player aubridge,nobody
audio_alert aubridge,nobody
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
rtp_ports {rtp_first}-{rtp_last}
jitter_buffer_delay 2-5
opus_bitrate 32000
opus_stereo no
opus_sprop_stereo no
module_path {modules}
module opus.so
module g711.so
module g722.so
module aubridge.so
module aufile.so
module sndfile.so
snd_path heard
module uuid.so
module_tmp account.so
module_app menu.so
module ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
"""


@dataclass(frozen=True)
class PhoneEvent:
    """What baresip told: ``at`` on the event loop's clock (seconds), ``type`` such as CALL_ESTABLISHED."""

    at: float
    type: str
    parameter: str
    peer: str


class SipPhone:
    """A registered phone of a private Asterisk, for as long as the context lasts.

    ``user``: one of the Asterisk's phones. ``play``: a wav of 48000 Hz, mono, 16 bit that it speaks in every call: over
    and over if ``loop``, else once and then silence; without it, silence. ``call_s``: the longest call; baresip holds
    the audio for it in memory (96 kB a second) and hangs up at its end. ``auto_answer``: answer at once.
    """

    def __init__(
        self,
        asterisk: PrivateAsterisk,
        user: str,
        *,
        codec: Codec = "opus",
        play: Path | None = None,
        loop: bool = True,
        auto_answer: bool = False,
        call_s: float = 120.0,
        run_dir: Path | None = None,
        tree: debian.Tree | None = None,
    ) -> None:
        self.user = user
        self.codec: Codec = codec
        self.events: list[PhoneEvent] = []
        self.last_sip_status: str | None = None
        """Why the last call ended, such as ``486 Busy Here``, or baresip's own words when no SIP status came."""
        self.run_dir: Path
        self._asterisk = asterisk
        self._play = play
        self._loop = loop
        self._auto_answer = auto_answer
        self._call_s = call_s
        self._given_run_dir = run_dir
        self._tree = tree
        self._stack = contextlib.AsyncExitStack()
        self._fresh: list[PhoneEvent] = []
        self._changed = asyncio.Condition()
        self._tokens = itertools.count()
        self._answers: dict[str, asyncio.Future[tuple[bool, str]]] = {}
        self._gone = False
        self._writer: asyncio.StreamWriter
        self._child: Child

    def __repr__(self) -> str:
        return f"<SipPhone {self.user} {self.codec}>"

    @property
    def recordings(self) -> list[Path]:
        """What was heard, a wav for each call, oldest first; whole once `closed` has returned."""
        return sorted((self.run_dir / "heard").glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)

    @property
    def pid(self) -> int:
        """Process id of baresip."""
        return self._child.process.pid

    @property
    def log(self) -> Path:
        """What baresip printed."""
        return self.run_dir / "baresip.log"

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            tree: debian.Tree = self._tree if self._tree else await asyncio.to_thread(debian.unpack, "baresip")
            if self._given_run_dir is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"astergram-phone-{self.user}-"))
                self.run_dir = Path(folder)
            else:
                self.run_dir = self._given_run_dir.absolute()
            ports = stack.enter_context(block(PORTS))
            await asyncio.to_thread(self._prepare, tree, ports)
            self._child = await stack.enter_async_context(
                running(
                    f"baresip of phone {self.user}",
                    tree.command("usr/bin/baresip", "-f", self.run_dir),
                    self.log,
                    environment=tree.environment(),
                    folder=self.run_dir,
                )
            )
            control = connected(HOST, ports[RTP_OFFSET - 1])
            reader, self._writer = await self._child.ready(control, START_TIMEOUT_S)
            stack.push_async_callback(self._close)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            reading = tasks.create_task(self._read(reader), name=f"phone {self.user}")
            stack.callback(reading.cancel)
            self._stack = stack.pop_all()
        try:
            await self._register()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def dial(self, number: str) -> None:
        """Start a call. Events of earlier calls are no longer waited for."""
        self._fresh.clear()
        self.last_sip_status = None
        await self._command("dial", f"sip:{number}@{self._asterisk.sip_host}:{self._asterisk.sip_port}")

    async def answer(self) -> None:
        """Answer the incoming call."""
        await self._command("accept")

    async def hangup(self) -> None:
        """End the call; an incoming one that was not answered is declined with 486 Busy Here."""
        await self._command("hangup")

    async def active_calls(self) -> int:
        """How many calls it has now, those that ring too."""
        active = _ACTIVE_CALLS.search(await self._command("listcalls"))
        return int(active[1]) if active else 0

    async def hang_up_all(self) -> None:
        """End every call, if there is one. Its events are no longer waited for."""
        for _ in range(await self.active_calls()):
            await self._command("hangup")
        await self.active_calls()  # answered behind the events of the calls' ends
        self._fresh.clear()

    async def send_dtmf(self, digits: str) -> None:
        """Send digits (0-9, *, #, A-D) as RFC 4733 events."""
        await self._command("sndcode", digits)

    async def transfer(self, number: str, replaces: str = "") -> None:
        """Transfer the call (SIP REFER): blindly, or into another call of this phone with that number.

        ``replaces`` names the other one, as in RFC 3891: ``call-id;to-tag=...;from-tag=...``.
        """
        target = f"sip:{number}@{self._asterisk.sip_host}:{self._asterisk.sip_port}"
        await self._command("transfer", f"{target}?Replaces={quote(replaces, safe='')}" if replaces else target)

    async def select(self, line: int) -> None:
        """Make one of several calls the current one; the first one that was begun is 1."""
        await self._command("line", str(line))

    async def hold(self, held: bool = True) -> None:
        """Hold the call, or take it back, until Asterisk has agreed (re-INVITE)."""
        self._fresh = [event for event in self._fresh if event.type != "CALL_REMOTE_SDP"]
        await self._command("hold" if held else "resume")
        await self.wait_for("CALL_REMOTE_SDP")

    async def wait_for(self, event_type: str | tuple[str, ...], timeout: float = EVENT_TIMEOUT_S) -> PhoneEvent:
        """Return the next event of this type (or of one of these) which no earlier wait has returned.

        Types are baresip's: CALL_INCOMING, CALL_RINGING (180), CALL_PROGRESS (183), CALL_ESTABLISHED, CALL_RTPESTAB
        (first packet heard), CALL_CLOSED, CALL_DTMF_START and so on. Raises SandboxError after ``timeout`` seconds.
        """
        wanted = (event_type,) if isinstance(event_type, str) else event_type
        names = " or ".join(wanted)
        try:
            async with asyncio.timeout(timeout), self._changed:
                while True:
                    for event in self._fresh:
                        if event.type in wanted:
                            self._fresh.remove(event)
                            return event
                    if self._gone:
                        raise self._child.error(f"ended while {names} was awaited")
                    await self._changed.wait()
        except TimeoutError:
            seen = ", ".join(event.type for event in self.events) or "nothing"
            raise SandboxError(f"{self!r}: no {names} within {timeout:g} s; it saw {seen}") from None

    async def established(self, timeout: float = EVENT_TIMEOUT_S) -> PhoneEvent:
        """Wait until the call is answered."""
        return await self.wait_for("CALL_ESTABLISHED", timeout)

    async def incoming(self, timeout: float = EVENT_TIMEOUT_S) -> PhoneEvent:
        """Wait for an incoming call; ``peer`` of the event is the caller's SIP address."""
        return await self.wait_for("CALL_INCOMING", timeout)

    async def closed(self, timeout: float = EVENT_TIMEOUT_S) -> str:
        """Wait for the end of the call and return why it ended; its recording is whole then."""
        event = await self.wait_for("CALL_CLOSED", timeout)
        # baresip frees the call, and with it the recording, right after it has told: the next answer comes behind that.
        await self._command("listcalls")
        return event.parameter

    def _prepare(self, tree: debian.Tree, ports: range) -> None:
        heard = self.run_dir / "heard"
        heard.mkdir(parents=True, exist_ok=True)
        microphone = self.run_dir / "microphone.wav"
        _fill(microphone, self._play, self._call_s, loop=self._loop)
        # Absent files would be filled with examples.
        (self.run_dir / "accounts").touch()
        (self.run_dir / "contacts").touch()
        (self.run_dir / "config").write_text(
            CONFIG.format(
                host=HOST,
                sip=ports[0],
                control=ports[RTP_OFFSET - 1],
                rtp_first=ports[RTP_OFFSET],
                rtp_last=ports[-1],
                rate=SAMPLE_RATE,
                modules=tree.root / "usr/lib/baresip/modules",
            )
        )

    async def _register(self) -> None:
        server = f"{self._asterisk.sip_host}:{self._asterisk.sip_port}"
        password = self._asterisk.phone_passwords[self.user]
        answer = "auto" if self._auto_answer else "manual"
        # Not by the accounts file: REGISTER_OK would come before anybody listens for it.
        await self._command(
            "uanew",
            f"<sip:{self.user}@{server}>;auth_user={self.user};auth_pass={password};answermode={answer};"
            f"audio_codecs={CODECS[self.codec]};regint=60;ptime=20",
        )
        registered = await self.wait_for(("REGISTER_OK", "REGISTER_FAIL"))
        if registered.type == "REGISTER_FAIL":
            raise SandboxError(f"{self!r} could not register at {server}: {registered.parameter}")

    async def _command(self, command: str, parameters: str = "") -> str:
        token = str(next(self._tokens))
        answer: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        self._answers[token] = answer
        try:
            message = json.dumps({"command": command, "params": parameters, "token": token}).encode()
            self._writer.write(b"%d:%s," % (len(message), message))
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                done, text = await answer
        except TimeoutError:
            raise self._child.error(f"did not take the command {command!r} within {COMMAND_TIMEOUT_S:g} s") from None
        finally:
            del self._answers[token]
        if not done:
            raise SandboxError(f"{self!r} refused the command {command!r}: {text.strip()}")
        return text

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take netstrings (https://cr.yp.to/proto/netstrings.txt) until baresip closes the connection."""
        try:
            while True:
                length = await reader.readuntil(b":")
                message = await reader.readexactly(int(length[:-1]) + 1)
                await self._take(json.loads(message[:-1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            async with self._changed:
                self._gone = True
                self._changed.notify_all()
            for answer in self._answers.values():
                answer.set_exception(self._child.error("closed its control connection"))

    async def _take(self, message: Mapping[str, Any]) -> None:
        if message.get("response"):
            answer = self._answers.get(message.get("token", ""))
            if answer is not None and not answer.done():
                answer.set_result((bool(message.get("ok")), str(message.get("data", ""))))
            return
        at = asyncio.get_running_loop().time()
        event = PhoneEvent(at, message.get("type", ""), message.get("param", ""), message.get("peeruri", ""))
        if event.type == "CALL_CLOSED":
            self.last_sip_status = event.parameter
        async with self._changed:
            self.events.append(event)
            self._fresh.append(event)
            self._changed.notify_all()

    async def _close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def _fill(path: Path, play: Path | None, seconds: float, *, loop: bool) -> None:
    """Write the microphone's wav: baresip ends the call at the end of its file, so the file is as long as a call."""
    frames = int(seconds * SAMPLE_RATE)
    sound = b""
    if play is not None:
        with wave.open(str(play), "rb") as source:
            if (source.getframerate(), source.getnchannels(), source.getsampwidth()) != (SAMPLE_RATE, 1, 2):
                raise SandboxError(f"{play}: a phone plays wav files of {SAMPLE_RATE} Hz, mono, 16 bit")
            sound = source.readframes(min(frames, source.getnframes()))
    if sound and loop:
        sound *= -(-frames * 2 // len(sound))
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE)
        target.writeframes(sound[: frames * 2].ljust(frames * 2, b"\0"))
