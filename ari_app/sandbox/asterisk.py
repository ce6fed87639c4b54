"""A private Asterisk: Debian's own program, unpacked, with a run folder and ports of its own on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

import dialplan as dialplan_package
from ari_app.sandbox import debian
from ari_app.sandbox.ports import HOST, block
from ari_app.sandbox.processes import Child, notification, running, said_ready
from ari_app.sandbox.tones import write_tone

START_TIMEOUT_S = 30.0
CLI_TIMEOUT_S = 10.0

CONFIGURATION = Path(__file__).parent / "asterisk_conf"
PROJECT_DIALPLAN = Path(dialplan_package.__file__).parent / "extensions-astergram.conf"
SAMPLES = ("cdr_custom.conf", "cel_custom.conf")
"""Of dialplan/, beside the dialplan itself."""
PHONES = ("101", "102", "103", "104", "105", "106")

RTP_OFFSET = 10
"""RTP begins this far into the block of ports; HTTP, AMI and SIP come before."""
RTP_PORTS = 200
"""Two for each RTP stream, so this bounds the calls of one instance: a call to Telegram has two streams."""

# Their modules read them, and complain when they are absent; the defaults are what the sandbox wants.
EMPTY_FILES = (
    "acl ccss chan_websocket cli cli_permissions codecs pjproject queuerules sorcery stasis udptl websocket_client"
)

FOLDERS = (
    "etc lib/keys agi-bin spool/tmp spool/recording spool/monitor spool/outgoing moh log/cdr-custom log/cel-custom"
)

MUSIC_HZ = 350.0
"""What a held party hears."""
MUSIC_S = 10.0
"""Asterisk plays it again and again."""

BIND_FAILURE = re.compile(r"Unable to bind|Address already in use|bind failed|Unable to open .*socket", re.I)


class PrivateAsterisk:
    """An Asterisk that runs for as long as the context lasts.

    ``run_dir``: where configuration, logs and recordings go; without it a temporary folder, deleted at the end.
    ``dialplan``: text appended to extensions.conf. ``pjsip``: text appended to pjsip.conf, where the templates
    ``phone``, ``phone-auth`` and ``phone-aor`` exist. ``phones``: names of the SIP accounts, each with a password of
    its own. ``tree``: an unpacked Asterisk; without it the cached one, downloaded at first use. ``without``: what the
    names of modules begin with that are not loaded, besides those of modules.conf that this Asterisk does not have.
    ``inside``: what its command begins with, where it runs in a network of its own, which nobody reaches from here.
    """

    ari_user = "astergram"
    ami_user = "astergram"
    ami_host = sip_host = HOST

    def __init__(
        self,
        run_dir: Path | None = None,
        *,
        dialplan: str = "",
        pjsip: str = "",
        phones: Sequence[str] = PHONES,
        tree: debian.Tree | None = None,
        without: Sequence[str] = (),
        inside: Sequence[str] = (),
    ) -> None:
        self.ari_password = secrets.token_urlsafe(16)
        self.ami_password = secrets.token_urlsafe(16)
        self.phone_passwords = {phone: secrets.token_urlsafe(12) for phone in phones}
        self._given_run_dir = run_dir
        self._dialplan = dialplan
        self._pjsip = pjsip
        self._given_tree = tree
        self._without = tuple(without)
        self._inside = tuple(inside)
        self._stack = contextlib.AsyncExitStack()
        self.run_dir: Path
        self.tree: debian.Tree
        self.http_port: int
        self.ami_port: int
        self.sip_port: int
        self.rtp_ports: range
        self._child: Child
        self._program: contextlib.AsyncExitStack

    def __repr__(self) -> str:
        return f"<PrivateAsterisk {self.run_dir}>" if hasattr(self, "run_dir") else "<PrivateAsterisk, not started>"

    @property
    def ari_url(self) -> str:
        """Base address of ARI, such as ``http://127.0.0.1:20001/ari``."""
        return f"http://{HOST}:{self.http_port}/ari"

    @property
    def log(self) -> Path:
        """The full log, with verbose messages and DTMF."""
        return self.run_dir / "log" / "full"

    @property
    def pid(self) -> int:
        """Process id of Asterisk."""
        return self._child.process.pid

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self.tree = self._given_tree if self._given_tree else await asyncio.to_thread(debian.unpack, "asterisk")
            if self._given_run_dir is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="astergram-asterisk-"))
                self.run_dir = Path(folder)
            else:
                self.run_dir = self._given_run_dir.absolute()
            # Apart from the run folder, whose path may be too long for a Unix socket's address.
            self._sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="astergram-")))
            ports = stack.enter_context(block(RTP_OFFSET + RTP_PORTS))
            self.http_port, self.ami_port, self.sip_port = ports[:3]
            self.rtp_ports = ports[RTP_OFFSET:]
            await asyncio.to_thread(self._write_configuration)
            self._program = await stack.enter_async_context(contextlib.AsyncExitStack())
            await self.start()
            self._stack = stack.pop_all()
        return self

    async def start(self) -> None:
        """Start the program; it has been started already where it was not killed."""
        with notification(self._sockets / "notify") as started:
            self._child = await self._program.enter_async_context(
                running(
                    "Asterisk",
                    self._command("-f", "-n"),
                    self.run_dir / "log" / "console",
                    environment={**self._environment(), "NOTIFY_SOCKET": str(self._sockets / "notify")},
                    folder=self.run_dir,
                )
            )
            await self._child.ready(said_ready(started), START_TIMEOUT_S)
        await self._check()

    async def kill(self) -> None:
        """End the program as a crash does; `start` starts it again, with the same ports and configuration."""
        self._child.process.kill()
        await self._child.process.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def cli(self, command: str) -> str:
        """Return what a command prints on Asterisk's console, such as ``core show channels``."""
        process = await asyncio.create_subprocess_exec(
            *self._command("-r", "-x", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
        )
        try:
            async with asyncio.timeout(CLI_TIMEOUT_S):
                output, _ = await process.communicate()
        except TimeoutError:
            raise self._child.error(f"did not answer {command!r} within {CLI_TIMEOUT_S:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = output.decode(errors="replace").strip()
        if process.returncode != 0:
            raise self._child.error(f"could not be asked {command!r} ({text})")
        return text

    def _command(self, *options: str) -> list[str]:
        its = self.tree.command("usr/sbin/asterisk", "-C", self.run_dir / "etc" / "asterisk.conf", *options)
        return [*self._inside, *its]

    def _environment(self) -> dict[str, str]:
        return {**self.tree.environment(), "LC_ALL": "C.UTF-8", "HOME": str(self.run_dir)}

    def _write_configuration(self) -> None:
        etc = self.run_dir / "etc"
        for old in ("etc", "lib", "log"):  # of an earlier run: its registrations and its complaints are not ours
            shutil.rmtree(self.run_dir / old, ignore_errors=True)
        for folder in FOLDERS.split():
            (self.run_dir / folder).mkdir(parents=True, exist_ok=True)
        etc.chmod(0o700)  # passwords
        write_tone(self.run_dir / "moh" / "music.wav", MUSIC_HZ, MUSIC_S, rate=8000)
        values = {
            "RUN": self.run_dir,
            "SOCKETS": self._sockets,
            "TREE": self.tree.root,
            "MODULES": self._modules_folder(),
            "HOST": HOST,
            "HTTP_PORT": self.http_port,
            "AMI_PORT": self.ami_port,
            "SIP_PORT": self.sip_port,
            "RTP_FIRST": self.rtp_ports[0],
            "RTP_LAST": self.rtp_ports[-1],
            "ARI_USER": self.ari_user,
            "ARI_PASSWORD": self.ari_password,
            "AMI_USER": self.ami_user,
            "AMI_PASSWORD": self.ami_password,
            "PHONES": "\n".join(_phone(name, password) for name, password in self.phone_passwords.items()),
            "TELEGRAM_DIALPLAN": PROJECT_DIALPLAN,
            "EXTRA_PJSIP": self._pjsip,
            "EXTRA_DIALPLAN": self._dialplan,
        }
        for name in EMPTY_FILES.split():
            (etc / f"{name}.conf").touch()
        for name in SAMPLES:
            shutil.copy(PROJECT_DIALPLAN.parent / name, etc)
        for template in CONFIGURATION.glob("*.conf"):
            text = re.sub(r"@([A-Z_]+)@", lambda match: str(values[match[1]]), template.read_text())
            (etc / template.name).write_text(self._modules(text) if template.name == "modules.conf" else text)

    def _modules_folder(self) -> Path:
        """Where Debian keeps modules: in the triplet's folder since trixie."""
        folders = (self.tree.root / "usr/lib" / folder for folder in (f"{self.tree.triplet}/asterisk", "asterisk"))
        return next((folder for folder in folders if folder.is_dir()), self.tree.root) / "modules"

    def _modules(self, text: str) -> str:
        """Leave out the modules that are not wanted, and those that this Asterisk does not have."""
        folder = self._modules_folder()

        def is_loaded(line: str) -> bool:
            _, _, module = line.partition("load = ")
            return not module or ((folder / module).is_file() and not module.startswith(self._without))

        return "".join(line for line in text.splitlines(keepends=True) if is_loaded(line.rstrip()))

    async def _check(self) -> None:
        """Make sure that the one who answers is this instance, and that each of its ports is its own."""
        log = await asyncio.to_thread(self.log.read_text, errors="replace")
        if taken := next(filter(BIND_FAILURE.search, log.splitlines()), None):
            raise self._child.error(f"could not have one of its ports ({taken.strip()})")
        if self._inside:
            return
        headers = {"Authorization": aiohttp.encode_basic_auth(self.ari_user, self.ari_password)}
        timeout = aiohttp.ClientTimeout(total=CLI_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
                session.get(f"{self.ari_url}/asterisk/ping") as response,
            ):
                if response.status != 200:
                    raise self._child.error(f"answered ARI's ping with {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._child.error(f"does not answer ARI ({error!r})") from error


def _phone(name: str, password: str) -> str:
    return (
        f'[{name}](phone)\nauth = {name}\naors = {name}\ncallerid = "Phone {name}" <{name}>\n'
        f"[{name}](phone-auth)\nusername = {name}\npassword = {password}\n[{name}](phone-aor)\n"
    )
