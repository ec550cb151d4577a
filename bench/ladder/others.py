"""How much of the machine others used while something was measured: a figure of a busy machine says
more about its other work than about the service, and should say so."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.lab.processes import Server
from bench.lab.targets import TICKS_PER_S, cpu_s_of

CALM_CORES = 0.15
"""Below this a machine counts as quiet; what a desktop does by itself is less."""


def _busy_s() -> float:
    """CPU seconds of everything on this machine since its start, and what a host took from it."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields[:8])
    return (user + nice + system + irq + soft + steal) / TICKS_PER_S


def _ours_s(servers: Iterable[Server]) -> float:
    """Of the servers, of us, and of the generators that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(map(cpu_s_of, servers)) + time.process_time() + ended.ru_utime + ended.ru_stime


def beside(servers: list[Server], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``measure`` finds, and ``others_cores``: how many cores were kept busy by what is not of
    this run."""
    if not Path("/proc/stat").exists():
        return {**measure(), "others_cores": 0.0}
    began_s, busy_s, ours_s = time.monotonic(), _busy_s(), _ours_s(servers)
    found = measure()
    taken_s = time.monotonic() - began_s
    others_s = (_busy_s() - busy_s) - (_ours_s(servers) - ours_s)
    return {**found, "others_cores": round(max(0.0, others_s / taken_s), 2)}


def calmest(
    servers: list[Server], measure: Callable[[], dict[str, Any]], tries: int
) -> dict[str, Any]:
    """Measures until the machine was quiet meanwhile, at most so often; the try beside the least
    other work, whatever it found."""
    found: list[dict[str, Any]] = []
    while len(found) < tries:
        found.append(beside(servers, measure))
        others = found[-1]["others_cores"]
        if others <= CALM_CORES:
            break
        print(f"  other work kept {others:.2f} of {os.cpu_count()} cores busy", flush=True)
    return min(found, key=lambda each: float(each["others_cores"]))
