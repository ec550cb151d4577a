"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from bench.lab.jars import VERSION
from bench.lab.servers import redis_program
from bench.lab.spawn import ServerError
from bench.lab.targets import installed

PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "acsylla", "hiredis", "orjson")
PROGRAMS = {"wrk": "-v", "nginx": "-v", "haproxy": "-v", "node": "--version"}


def machine() -> dict[str, object]:
    """Processor, cores, memory in GB, kernel, and how busy it was in the last minute: others'
    work included, and ours."""
    said = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.+)", said)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_the_end": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Of everything that took part and is there."""
    found = {"Python": platform.python_version(), "Cassandra": VERSION}
    found["Redis"] = _first_number([redis_program(), "--version"])
    for package in PACKAGES:
        found[package] = importlib.metadata.version(package)
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
