"""The commands that the documentation shows, typed into bash in this order, with the whole program in the sandbox."""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from ari_app.config import load
from ari_app.sandbox import debian
from ari_app.sandbox.stage import ANNA, LINE, Stage
from tests.docs_commands import RESTORE, RESTORE_ANEW, ROOT, RUN, Do
from tests.e2e.whole_program import WholeProgram, whole_program
from tests.integration.command import ENV, done
from tests.pictures import jpeg
from tests.proxies import proxy_server
from tests.unit.webhook_receiver import receiver

COMMAND_S = 60.0
EXTENSIONS = """\
[general]
static = yes

[phones]
include => phones-to-telegram
exten => _10X,1,Dial(PJSIP/${EXTEN},30,tT)
"""


class Shell:
    """A bash whose programs are those of a sandbox; ``places``: what stands in the documentation, and what is here."""

    def __init__(self, folder: Path, stage: Stage, config: Path) -> None:
        self.folder = folder
        self.places: dict[str, str] = {}
        self._bin = folder / "bin"
        for each in (self._bin, folder / "work", folder / "home/.config/fish/completions"):
            each.mkdir(parents=True)
        (folder / "work/docs").symlink_to(ROOT / "docs")
        etc = stage.asterisk.run_dir / "etc"
        own = f"{shlex.quote(sys.executable)} -m ari_app.cli --config {shlex.quote(str(config))}"
        self._program(
            "astergram",
            f"""case "$1 $2" in
"dialplan install"|"dialplan remove") exec {own} "$@" --to {shlex.quote(str(etc))} --yes;;
"line remove"|"people erase") exec {own} "$@" --yes;;
esac
exec {own} "$@" """,
        )
        self._program("asterisk", f'exec {shlex.join(stage.asterisk._command())} "$@"')
        self._program("sudo", 'shift 2; exec "$@"')
        promtool = debian.unpack("prometheus")
        self._program("promtool", f'exec {shlex.join(promtool.command("usr/bin/promtool"))} "$@"')

    def _program(self, name: str, script: str) -> None:
        path = self._bin / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def _here(self, text: str) -> str:
        for shown, here in self.places.items():
            text = text.replace(shown, here)
        return text

    async def run(self, each: Do, **environment: str) -> None:
        """Run it, and look at its status and at what it says."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            self._here(each.command),
            cwd=self.folder / "work",
            env={
                **ENV,
                **environment,
                "HOME": str(self.folder / "home"),
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(COMMAND_S):
                if each.endless:
                    assert process.stdout
                    said = ""
                    while not re.search(each.says, said) and (more := await process.stdout.read(4096)):
                        said += more.decode()
                else:
                    output, _ = await process.communicate(self._here(each.reads).encode())
                    said = output.decode()
                    assert process.returncode == each.status, f"{each.command}: status {process.returncode}\n{said}"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert re.search(each.says, said, re.IGNORECASE), f"{each.command}: {said}"


async def told(program: WholeProgram, *arguments: str) -> list[dict[str, str]]:
    """What a command lists."""
    listed = json.loads(await done(*arguments, "--json", "--config", program.config))
    assert isinstance(listed, list), listed
    return listed


@pytest.mark.timeout(900)
async def test_what_is_shown_works(sandbox: Stage, tmp_path: Path) -> None:
    asterisk = sandbox.asterisk
    etc = asterisk.run_dir / "etc"
    (etc / "extensions.conf").write_text(EXTENSIONS)
    (etc / "extensions_custom.conf").touch()
    await asterisk.cli("dialplan reload")
    bot = sandbox.bot()
    ami = {"port": asterisk.ami_port, "user": asterisk.ami_user, "password": asterisk.ami_password}
    config = await sandbox.configuration(ami=ami, bot=bot)
    await sandbox.sign_in_lines(load(config))
    async with receiver() as hook, proxy_server("socks5") as proxy, sandbox.person(ANNA):
        shell = Shell(tmp_path / "shell", sandbox, config)
        work = tmp_path / "shell/work"
        (work / "etc/bash_completion.d").mkdir(parents=True)
        (work / "company.jpg").write_bytes(jpeg())
        (work / "token").write_text(bot["token"])
        async with whole_program(config) as program:
            shell.places = {
                "http://127.0.0.1:8088": asterisk.ari_url.removesuffix("/ari"),
                "http://127.0.0.1:8090": program.url,
                "astergram:PASSWORD": f"astergram:{asterisk.ari_password}",
                "/etc/bash_completion.d": "etc/bash_completion.d",
                "BOT_TOKEN": bot["token"],
                "A_PROXY": proxy.url,
                "https://crm.example.com/astergram": hook.url,
                "smtp.example.com": "127.0.0.1",
                "5000000002": ANNA,  # who has not answered: her Telegram ID is not known
            }
            api = json.loads(await done("token", "add", "docs", "--scope", "admin", "--json", "--config", config))[
                "token"
            ]
            for each in RUN:
                if "resend" in each.command:
                    (sent, *_) = await told(program, "webhook", "deliveries", shell.places["0123456789ab"])
                    shell.places["1790000000123"] = str(sent["id"])
                await shell.run(each, TOKEN=api)
                if "webhook add" in each.command:
                    shell.places["0123456789ab"] = (await told(program, "webhook", "list"))[0]["id"]
                if "calls list" in each.command:
                    shell.places["CALLID"] = (await told(program, "calls", "list"))[0]["id"]
            await program.stop()
        await shell.run(RESTORE)
        shutil.rmtree(program.settings.state_dir)
        program.settings.state_dir.mkdir()
        await shell.run(RESTORE_ANEW)
    async with whole_program(config):
        assert LINE in await done("line", "list", "--config", config)
