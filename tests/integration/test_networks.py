"""Networks of machines' own: what is sent while a link is down is lost in silence, and the link comes back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ari_app.sandbox import networks

INSIDE = """
import asyncio, json, sys
from pathlib import Path
from ari_app.sandbox import networks

TALKS = "import socket, sys, time\\n" \\
    "with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as it:\\n" \\
    "    for n in range(400):\\n        it.sendall(b'x'); time.sleep(0.01)\\n"

async def main(log):
    await networks.begin()
    got = asyncio.Queue()

    async def serve(reader, writer):
        while data := await reader.read(1):
            got.put_nowait(data)
        writer.close()

    async def silent(within_s):
        try:
            await asyncio.wait_for(got.get(), within_s)
        except TimeoutError:
            return True
        return False

    async with networks.network("a", log) as a, networks.network("b", log) as b:
        link, other = await a.link("one"), await b.link("two")
        server = await asyncio.start_server(serve, link.here, 0)
        port = str(server.sockets[0].getsockname()[1])
        told = {}
        stranger = await asyncio.create_subprocess_exec(
            *b.inside, sys.executable, "-c", TALKS, link.here, port, stderr=asyncio.subprocess.DEVNULL)
        told["another network reaches it"] = await stranger.wait() == 0
        talking = await asyncio.create_subprocess_exec(*a.inside, sys.executable, "-c", TALKS, link.here, port)
        await got.get()
        async with link.down():
            while not await silent(0.5):
                pass
            told["it was told"] = talking.returncode is not None
        await got.get()
        told["it goes on"] = await talking.wait() == 0
        server.close()
        print(json.dumps(told))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_link_that_is_down_loses_all_and_tells_nobody(tmp_path: Path) -> None:
    if trouble := networks.trouble():
        pytest.skip(f"this computer has no networks for machines: {trouble}")
    done = subprocess.run(
        [*networks.OWN_NETWORK, sys.executable, "-c", INSIDE, str(tmp_path / "networks.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"another network reaches it": False, "it was told": False, "it goes on": True}
