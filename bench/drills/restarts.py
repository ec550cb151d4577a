"""Restarts one after another behind HAProxy, under keep-alive load: how many requests fail?

Two embedded replicas on one file. HAProxy goes by `/readyz` and retries nothing, so what a replica
loses is seen: as a status above 399, a refused connection or one that ends without an answer. With
`--drain 0` it is seen what the drain is for. Needs haproxy and wrk.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cost import IDS, LOAD_CORE, SERVER_CORE, fetch, wrk_command
from bench.drills.world import World
from bench.lab.spawn import ServerError
from bench.lab.targets import HAProxy, HttpServer, Service, installed
from bench.stack import load_catalogue

LONGEST_S = 600  # it is interrupted before


def restart_each(replicas: Sequence[HttpServer], restarts: int) -> list[int]:
    """Restarts them in turn, with time to be found ready between; their exit statuses."""
    statuses = []
    for number in range(restarts):
        replica = replicas[number % len(replicas)]
        replica.terminate()
        statuses.append(replica.wait())
        replica.start()
        time.sleep(2)
    return statuses


def run(world: World) -> None:
    drain_s = world.options.drain_s
    restarts = 2 if world.is_short else world.options.restarts
    what = f"{restarts} restarts behind HAProxy, DRAIN_S={drain_s:g}"
    try:
        for program in ("haproxy", "wrk", "taskset"):
            installed(program)
    except ServerError as missing:
        world.judge(what, "no request fails", f"SKIPPED: {missing}", None)
        return
    settings = {"EMBEDDED_PATH": str(world.folder / "content.sqlite3"), "DRAIN_S": f"{drain_s:g}"}
    load_catalogue({**os.environ, **settings})
    pair = [Service(f"web{each}", SERVER_CORE, settings) for each in range(2)]
    for server in (*pair, balancer := HAProxy(LOAD_CORE, pair)):
        world.running.enter_context(server)
    ids = world.folder / "ids"
    ids.write_text("\n".join(fetch(f"{pair[0].url}/uuids?limit={IDS}")["data"]) + "\n")
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
    pair: Sequence[HttpServer], restarts: int, balancer: HttpServer, ids: Path
) -> tuple[list[int], str]:
    """Exit statuses, and what wrk says."""
    command = wrk_command(balancer.url, LONGEST_S, ids, IDS)
    loading = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        statuses = restart_each(pair, restarts)
    finally:
        loading.send_signal(signal.SIGINT)
        text, _ = loading.communicate(timeout=10)
    return statuses, text
