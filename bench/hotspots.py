"""Where the CPU time of the service goes under the visitors, on the top rung of the ladder.

    .venv/bin/python -m pip install py-spy    # once; it needs root, or kernel.yama.ptrace_scope=0
    python -m bench.hotspots [--rate 10000] [--seconds 20] [--zipf 0.9] [--writes 0.002]

py-spy looks at the process 200 times a second, C frames included, and each look counts for the
first place below that one of its frames belongs to.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import server
from bench.lab.processes import interruptible
from bench.lab.spawn import ServerError
from bench.lab.targets import installed
from bench.ladder.__main__ import FULL, inputs, warm
from bench.ladder.measure import Load, fill, open_loop
from bench.ladder.peak import GENERATORS
from bench.ladder.rungs import TOP, Base, rungs
from bench.load.activity import Behaviour

WARM_S = 8.0
LOOKS_S = 200
PLACES: Sequence[tuple[str, Sequence[str]]] = (
    ("the collector", ("gc_collect_main",)),
    ("the kernel: write, with the receiving end's part", ("write (libc", "writev (libc")),
    ("the kernel: read, and waiting for more", ("read (libc", "recv (libc", "epoll_pwait (libc")),
    ("the onion: writes, and what is neither near nor in Redis", ("run_asgi (uvicorn",)),
    ("reads of Redis, by the lane", ("cache/redis/", "_told (wire")),
    ("home pages, by the lane", ("Home.near (api",)),
    ("near hits, by the lane", ("Lane.near (wire", "_hit (wire")),
    ("parsing, where the lane has not seen the bytes before", ("StrictProtocol.feed",)),
    ("asking Redis", ("Protocol._ask",)),
    ("the protocol", ("data_received (wire",)),
    ("the driver and its requests", ("acsylla", "db/cassandra")),
)
REST = "uvloop, and the rest"


def place_of(frames: str) -> str:
    """Where a look, root first, belongs."""
    for name, marks in PLACES:
        if any(mark in frames for mark in marks):
            return name
    return REST


def shares(lines: Iterable[str]) -> list[tuple[str, float]]:
    """Of py-spy's raw lines, "frame;frame;... times": the share of each place, largest first."""
    found: Counter[str] = Counter()
    for line in lines:
        frames, _, times = line.rpartition(" ")
        found[place_of(frames)] += int(times)
    whole = found.total() or 1
    return [(name, times / whole) for name, times in found.most_common()]


def _spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else installed("py-spy")


def look(load: Load) -> None:
    """Stands the rung up, and prints what was seen of it."""
    spy = _spy()
    with ExitStack() as running, TemporaryDirectory(prefix="hotspots-") as folder:
        base = Base(running, Path(folder))
        (rung,) = (each for each in rungs() if each.name == TOP)
        stands = rung.build(base, running)
        ids, requests = inputs(rung, stands, base)
        warm(stands, ids, requests, FULL)
        fill(stands, ids)
        raw = Path(folder) / "raw"
        command = [spy, "record", "--native", "--format", "raw", "--output", str(raw)]
        command += ["--rate", str(LOOKS_S), "--duration", str(int(load.seconds))]
        command += ["--pid", str(stands.entry.pid)]
        looking = threading.Timer(load.warm_s, _run, (command,))
        looking.start()
        try:
            seen = open_loop(stands, ids, load, f"{load.rate_s:,.0f}/s")
        finally:
            looking.cancel()
            looking.join()
        if not raw.exists():
            raise ServerError("py-spy saw nothing; does it need root?")
        print(f"\n{load.rate_s:,.0f} requests/s: {seen['cpu_us']['service']} us of CPU each\n")
        print("| where | share | us/request |\n|---|---|---|")
        for name, share in shares(raw.read_text().splitlines()):
            print(f"| {name} | {share:.0%} | {share * seen['cpu_us']['service']:.1f} |")


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, env=os.environ, capture_output=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.hotspots", description=__doc__)
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--zipf", type=float, default=Behaviour.zipf)
    parser.add_argument("--writes", type=float, default=Behaviour.write_share)
    asked = parser.parse_args(arguments)
    load = Load(
        asked.rate,
        WARM_S,
        asked.seconds,
        GENERATORS,
        write_share=asked.writes,
        zipf=asked.zipf,
    )
    server.allow_connections()
    with interruptible():
        look(load)
        return 0
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main())
