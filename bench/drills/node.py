"""One node of three is killed under reads and writes; after what was in flight nothing fails."""

import time

from bench.drills.world import World, mixed, reading, writes, zipf
from bench.lab.asking import ids_of
from bench.lab.servers import cassandra_ring, settings_of
from bench.lab.targets import load_catalogue
from bench.load.loops import ClosedLoop, offered, paced

IN_FLIGHT_S = 1.0
WARM_S, MEASURE_S, CLIENTS = 20.0, 3.0, 4
LEAST_S, MOST_S = 20.0, 150.0
WRITES, WRITTEN = 0.1, 200
"""The share of writes, and how many rows they go to."""


def run(world: World) -> None:
    """Judge the loss of a node."""
    dead_s = 5.0 if world.is_short else 15.0
    ring = world.running.enter_context(cassandra_ring())
    load_catalogue(settings_of(ring[0]))  # with three nodes there, the keyspace gets three copies
    hosts = ",".join(node.host for node in ring)
    # nothing cached: every read is the ring's
    service = world.service(ring[0], NEAR_BYTES="0", CASSANDRA_HOST=hosts)
    ids = ids_of(service)
    reads = zipf([reading(each) for each in ids], 0.0)
    requests = mixed((1 - WRITES, reads), (WRITES, writes(ids[:WRITTEN])))
    # Java is slow at what it does for the first time, writes above all
    ClosedLoop(service.host, service.port, requests, WARM_S, CLIENTS).to_end()
    most = ClosedLoop(service.host, service.port, reads, MEASURE_S, CLIENTS).to_end().tally().good
    rate_s = max(LEAST_S, min(MOST_S, most / MEASURE_S / 4))  # borne with ease
    with offered(service.host, service.port, paced(requests, rate_s)) as result:
        time.sleep(dead_s / 2)
        killed_s = time.monotonic()
        ring[-1].kill()
        time.sleep(dead_s)
    for kind in ("read", "write"):
        usual = result.tally(kind, until_s=killed_s)
        world.judge("nothing yet", f"no {kind} fails", str(usual), usual.is_clean)
        early = result.tally(kind, killed_s, killed_s + IN_FLIGHT_S)
        after = result.tally(kind, killed_s + IN_FLIGHT_S)
        world.judge(
            "one of three nodes killed -9",
            f"after {IN_FLIGHT_S:g} s no {kind} fails",
            f"{after}; within it {early.failed} of {early.total} failed",
            after.is_clean,
        )
