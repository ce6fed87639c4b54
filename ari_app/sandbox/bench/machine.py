"""What a report says of the machine and of the programs that were measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ari_app import __version__

KB_IN_MB = 1024
PACKAGES = ("ntgcalls", "telethon", "aiohttp", "av", "numpy")


def machine(cpuinfo: Path = Path("/proc/cpuinfo"), meminfo: Path = Path("/proc/meminfo")) -> dict[str, Any]:
    """Cores, processor, memory, kernel, and how busy it is already: a busy machine's figures are worth little."""
    return {
        "cores": os.cpu_count(),
        "cpu": _field(cpuinfo, "model name"),
        "memory_mb": int(_field(meminfo, "MemTotal").split()[0]) // KB_IN_MB,
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of what does the work; Asterisk's is added where one was started."""
    return {
        "astergram": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def _field(path: Path, name: str) -> str:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "0")
