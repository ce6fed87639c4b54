"""The sandbox's commands, as scripts/ run them."""

import asyncio
import sys
from typing import Any


async def printed_by(module: str, *arguments: Any, within_s: float) -> tuple[str, int]:
    """What `python -m ari_app.sandbox.MODULE` prints, and its exit status; it is stopped where it takes longer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"ari_app.sandbox.{module}", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within_s):
            printed = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()
    assert process.returncode is not None
    return printed, process.returncode
