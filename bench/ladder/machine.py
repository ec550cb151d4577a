"""What a figure was measured on, and how much of the machine others used meanwhile."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.lab.jars import VERSION
from bench.lab.servers import redis_program
from bench.lab.spawn import ServerError
from bench.lab.targets import installed

PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "acsylla", "hiredis", "orjson")
PROGRAMS = {"wrk": "-v", "nginx": "-v", "haproxy": "-v", "node": "--version"}
IDLE = ("idle", "iowait", "guest", "guest_nice")


def machine() -> dict[str, object]:
    """Return processor, cores, memory, kernel, and the load of the last minute, ours included."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": found[1] if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_the_end": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Return the version of everything that took part and is there."""
    found = {"Python": platform.python_version(), "Cassandra": VERSION}
    found["Redis"] = _first_number([redis_program(), "--version"])
    found |= {package: importlib.metadata.version(package) for package in PACKAGES}
    for program, option in PROGRAMS.items():
        try:
            found[program] = _first_number([installed(program), option])
        except ServerError:
            continue
    return found


def _first_number(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    number = re.search(r"\d+(\.\d+)+", ran.stdout + ran.stderr)
    return number[0] if number else "?"


def beside(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what ``measure`` finds, and ``others_cores``: the cores that other work kept busy."""
    began_s, others_s = time.monotonic(), _others_s()
    found = measure()
    cores = (_others_s() - others_s) / (time.monotonic() - began_s)
    return {**found, "others_cores": round(max(0.0, cores), 2)}


def _others_s() -> float:
    """Return the CPU seconds of all processes but us and our children, ended or running."""
    busy = sum(s for name, s in psutil.cpu_times()._asdict().items() if name not in IDLE)
    us = psutil.Process()
    for each in (us, *us.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            busy -= sum(each.cpu_times()[:4])  # the last two are of its own ended children
    return float(busy)
