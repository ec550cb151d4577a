"""Keep-alive load through the balancer for as long as something is done to what is behind it."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cost import wrk_command

LONGEST_S = 3_600  # it is interrupted before
WARM_S = 2.0


@dataclass
class Seen:
    """What the load saw, once it is over. ``failed`` are answers other than 2xx and 3xx, and
    requests that got none."""

    requests: int = 0
    failed: int = 0
    slowest_s: float = 0.0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.failed:,} failed of {self.requests:,}, slowest {self.slowest_s:.2f} s"


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@contextmanager
def loaded(url: str, ids: list[str]) -> Iterator[Seen]:
    """64 connections that ask for these rows in turn, until the block ends."""
    seen = Seen()
    with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
        file.write("\n".join(ids) + "\n")
        file.flush()
        command = wrk_command(url, LONGEST_S, Path(file.name), count=len(ids))
        loading = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(WARM_S)
            yield seen
        finally:
            time.sleep(WARM_S)
            loading.send_signal(signal.SIGINT)
            text, _ = loading.communicate(timeout=30)
            read(text, seen)


def read(text: str, seen: Seen) -> None:
    """Takes in what wrk prints at its end."""
    seen.text = text
    requests = re.search(r"(\d+) requests in", text)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    slowest = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\s", text)
    broken = sum(map(int, errors.groups()[:3])) if errors else 0  # a timeout is late, and counted
    late = int(errors[4]) if errors else 0
    seen.requests = int(requests[1]) if requests else 0
    seen.failed = (int(other[1]) if other else 0) + broken + late
    seen.slowest_s = float(slowest[1]) * UNITS[slowest[2]] if slowest else 0.0
