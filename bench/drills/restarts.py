"""Restarts one after another behind HAProxy without retries, under keep-alive load: how many fail?

`--drain 0` shows the purpose of the drain.
"""

import time

from bench.drills.world import World
from bench.lab.asking import ids_of, seconds_until
from bench.lab.balancer import NO_RETRIES, Balancer
from bench.lab.targets import load_catalogue
from bench.load.wrk import loaded

IDS = 1_000


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
    statuses = []
    with loaded(balancer.url, ids_of(pair[0], IDS)) as seen:
        for number in range(restarts):
            replica = pair[number % 2]
            replica.terminate()
            statuses.append(replica.wait())
            replica.start()
            time.sleep(2)  # to be found ready
    world.judge(
        what,
        "no request fails, none is refused; exit status 0",
        f"{seen}; exit statuses {statuses}",
        seen.requests > 0 and not seen.failed and not any(statuses),
    )
