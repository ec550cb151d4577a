"""wrk, which asks for as much as is answered: its command, and the counts that it prints."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from bench.lab.targets import ROOT, installed

CONNECTIONS = 64
LONGEST_S = 3_600  # it is interrupted before
WARM_S = 2.0
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass
class Seen:
    """The counts of a load that is over; ``failed`` are statuses of errors, and missing answers."""

    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0

    def read(self, text: str) -> None:
        """Take in the words of wrk at its end."""
        done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
        assert done is not None, text
        self.requests, self.seconds = int(done[1]), float(done[2]) * UNITS_S[done[3]]
        statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        sockets = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        self.failed = int(statuses[1]) if statuses else 0
        self.failed += sum(map(int, sockets.groups())) if sockets else 0
        slowest = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\s", text)
        self.slowest_s = float(slowest[1]) * UNITS_S[slowest[2]] if slowest else 0.0

    def __str__(self) -> str:
        return f"{self.failed:,} failed of {self.requests:,}, slowest {self.slowest_s:.2f} s"


def command(
    url: str, seconds: int, script: str, *arguments: object, more: Sequence[str] = ()
) -> list[str]:
    """Return the command of a keep-alive load by a script of ``bench/wrk``."""
    path = ROOT / "bench" / "wrk" / script
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *more, "-s", str(path)]
    return [installed("wrk"), *options, url, "--", *map(str, arguments)]


def run(command: Sequence[str]) -> Seen:
    """Run a load to its end."""
    seen = Seen()
    seen.read(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return seen


@contextmanager
def loaded(url: str, ids: Sequence[str]) -> Iterator[Seen]:
    """Keep a block under load: 64 connections ask for these rows in turn until it ends."""
    seen = Seen()
    with NamedTemporaryFile("w", suffix=".ids") as file:
        Path(file.name).write_text("\n".join(ids) + "\n")
        asking = command(url, LONGEST_S, "ids.lua", file.name)
        with subprocess.Popen(asking, stdout=subprocess.PIPE, text=True) as loading:
            try:
                time.sleep(WARM_S)
                yield seen
                time.sleep(WARM_S)
            finally:
                loading.send_signal(signal.SIGINT)
                text, _ = loading.communicate(timeout=30)
        seen.read(text)
