"""Measure a rung, on schedule and at its limit; and what machine it was measured on."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import cycle
from math import inf, nan
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from bench.lab.jars import VERSION
from bench.lab.servers import redis_program
from bench.lab.spawn import ServerError
from bench.lab.targets import installed
from bench.ladder.rungs import Standing
from bench.load import wrk
from bench.load.__main__ import Load, figures, run
from bench.load.activity import Behaviour, reads
from bench.load.loops import ClosedLoop

PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "acsylla", "hiredis", "orjson")
PROGRAMS = {"wrk": "-v", "nginx": "-v", "haproxy": "-v", "node": "--version"}
IDLE = ("idle", "iowait", "guest", "guest_nice")

BAR_MS = 20.0  # the 99th percentile has to be below this; from the time due, so a queue is in it
STEP_WARM_S = 1.0
TRIES = 2
GENERATORS = 2
FULL = 0.75  # of all cores: above it a process that needs one finds none free for moments at a time

Step = tuple[int, float]  # a rate, and for how many seconds: p99 takes 10,000 requests


@cache
def _generator(_part: int) -> ProcessPoolExecutor:
    """Return the process that is this part of every load, and keeps what it has drawn."""
    return ProcessPoolExecutor(1, get_context("spawn"))


def open_loop(stands: Standing, ids: Path, load: Load) -> dict[str, Any]:
    """Offer the activity at its rate, by two generators, and return the result."""
    before, rate_s = _used(stands), load.behaviour.rate_s
    share = load._replace(behaviour=replace(load.behaviour, rate_s=rate_s / GENERATORS))
    where = stands.entry.host, stands.entry.port, ids
    parts = [_generator(part).submit(run, *where, share, part) for part in range(GENERATORS)]
    seen = [each.result() for each in parts]
    whole_s = load.warm_s + load.seconds
    summary = figures(seen, load.seconds)
    answers = summary["requests"] * whole_s / load.seconds  # about: those of the warm-up as well
    return {
        "rate_s": rate_s,
        "seconds": load.seconds,
        **summary,
        "cpu_us": _per_request(before, _used(stands), answers),
        "cores": round(sum(_used(stands).values()) - sum(before.values()), 3) / whole_s,
        "generator_cores": sum(each.cpu_s for each in seen) / whole_s,
    }


def limit(stands: Standing, requests: Path, ids: Path, seconds: int) -> dict[str, Any]:
    """Ask for as many of the activity's reads as are answered, by wrk or our own closed loop, which
    is slower than the service. Statuses are checked here; bodies are by the open loop."""
    before = _used(stands)
    try:
        seen, by = wrk.run(wrk.command(stands.entry.url, seconds, "replay.lua", requests)), "wrk"
    except ServerError:
        seen, by = _closed(stands, ids, seconds), "our closed loop"
    cpu_us = _per_request(before, _used(stands), seen.requests)
    return {
        "by": by,
        "requests": seen.requests,
        "failed": seen.failed,
        "goodput_s": max(0, seen.requests - seen.failed) / seen.seconds,
        "cpu_us": cpu_us,
        "cpu_us_total": sum(cpu_us.values()),
    }


def climb(
    stands: Standing, ids: Path, behaviour: Behaviour, warm_s: float, steps: Sequence[Step]
) -> list[dict[str, Any]]:
    """Offer one rate after the other, up to the first rate that is not held, and return all steps.
    A rate is tried a second time, because a moment of the machine may spoil a try."""
    found: list[dict[str, Any]] = []
    for rate_s, seconds in steps:
        load = Load(replace(behaviour, rate_s=rate_s), STEP_WARM_S if found else warm_s, seconds)
        for tries in range(1, TRIES + 1):
            seen = beside(partial(open_loop, stands, ids, load))
            seen |= {"holds": holds(seen), "verdict": verdict(seen), "tries": tries}
            p99_ms = seen["latency_ms"].get("99", nan)
            print(f"  {rate_s:,}/s: {seen['verdict']}, p99 {p99_ms:.1f} ms", flush=True)
            if seen["holds"]:
                break
        found.append(seen)
        if not seen["holds"]:
            break
    return found


def holds(seen: dict[str, Any]) -> bool:
    """Return whether all answers were right and in time, and no generator was late."""
    in_time = seen["latency_ms"].get("99", inf) <= BAR_MS
    return bool(in_time and not seen["failed"] and not seen["generator_was_the_limit"])


def verdict(seen: dict[str, Any]) -> str:
    """Return whether a try holds, and else its limit."""
    if holds(seen):
        return "holds"
    used = seen["cores"] + seen["generator_cores"] + seen["others_cores"]
    if used > FULL * (os.cpu_count() or 1):
        return "no core was left"
    return "the generators were the limit" if seen["generator_was_the_limit"] else "too much"


def _closed(stands: Standing, ids: Path, seconds: int) -> wrk.Seen:
    began_s, entry = time.monotonic(), stands.entry
    requests = cycle(reads(ids.read_text().split()))
    tally = ClosedLoop(entry.host, entry.port, requests, seconds, wrk.CONNECTIONS).to_end().tally()
    return wrk.Seen(tally.total, tally.failed, time.monotonic() - began_s)


def _used(stands: Standing) -> dict[str, float]:
    """Return the CPU seconds so far by role."""
    return {role: sum(each.cpu_s() for each in servers) for role, servers in stands.roles.items()}


def _per_request(
    before: dict[str, float], after: dict[str, float], requests: float
) -> dict[str, float]:
    used = {role: after[role] - before[role] for role in after}
    return {role: round(cpu_s / max(1, requests) * 1e6, 2) for role, cpu_s in used.items()}


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
