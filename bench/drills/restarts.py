"""Restarts one after another behind HAProxy, under keep-alive load: how many requests fail?

Two embedded replicas on one file, and HAProxy as shipped but for its retries. So a request that a
replica loses is seen: as a status above 399, a refused connection or one that ends without an
answer. `--drain 0` shows the purpose of the drain. Needs haproxy and wrk.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cost import wrk_command
from bench.drills.world import World
from bench.lab.asking import ids_of, seconds_until
from bench.lab.balancer import NO_RETRIES, Balancer
from bench.lab.targets import Service, load_catalogue

IDS = 1_000
LONGEST_S = 600  # it is interrupted before


def run(world: World) -> None:
    """Judge the restarts."""
    drain_s = world.options.drain_s
    restarts = 2 if world.is_short else world.options.restarts
    what = f"{restarts} restarts behind HAProxy, DRAIN_S={drain_s:g}"
    if not world.has(what, "no request fails", "haproxy", "wrk"):
        return
    settings = {"EMBEDDED_PATH": str(world.folder / "content.sqlite3"), "DRAIN_S": f"{drain_s:g}"}
    load_catalogue(settings)
    pair = [world.service(**settings) for _ in range(2)]
    balancer = world.running.enter_context(Balancer(pair, NO_RETRIES))
    assert seconds_until(balancer.all_up) is not None
    ids = world.folder / "ids"
    ids.write_text("\n".join(ids_of(pair[0], IDS)) + "\n")
    statuses, text = _restarted(pair, restarts, balancer, ids)
    found = re.search(r"(\d+) requests in", text)
    failures = re.findall(r"Non-2xx.*|Socket errors.*", text)
    requests = int(found[1]) if found else 0
    world.judge(
        what,
        "no request fails, none is refused; exit status 0",
        f"{requests:,} requests; {'; '.join(failures) or '0 failed'}; exit statuses {statuses}",
        requests > 0 and not failures and not any(statuses),
    )


def _restarted(
    pair: Sequence[Service], restarts: int, balancer: Balancer, ids: Path
) -> tuple[list[int], str]:
    """Restart the replicas in turn, under load; return their exit statuses and the words of wrk."""
    command = wrk_command(balancer.url, LONGEST_S, ids)
    loading = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    statuses = []
    try:
        for number in range(restarts):
            time.sleep(2)  # to be found ready
            replica = pair[number % len(pair)]
            replica.terminate()
            statuses.append(replica.wait())
            replica.start()
        time.sleep(2)
    finally:
        loading.send_signal(signal.SIGINT)
        text, _ = loading.communicate(timeout=10)
    return statuses, text
