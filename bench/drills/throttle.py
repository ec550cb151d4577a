"""A process that gets a share of the time only, so that it is what there is too little of.

On a machine where the load, the service and the store share two cores, four times what they can do
together is more than the load can offer. A store that is slow by itself leaves room for that, and
is what most services wait for anyway. Usage: `python -m bench.drills.throttle PID SHARE`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.processes import Server
from bench.spawn import spawn
from bench.targets import ROOT

PERIOD_S = 0.02


@contextmanager
def throttled(server: Server, share: float) -> Iterator[None]:
    """A block in which ``server`` stands still for most of each 20 ms."""
    command = [sys.executable, "-m", "bench.drills.throttle", str(server.pid), f"{share:g}"]
    throttle = spawn(command, {}, folder=ROOT)
    try:
        yield
    finally:
        throttle.kill()
        throttle.wait()
        server.resume()


def main(pid: int, share: float) -> None:
    """Until it is killed, or ``pid`` is gone."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(PERIOD_S * (1 - share))
            os.kill(pid, signal.SIGCONT)
            time.sleep(PERIOD_S * share)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
