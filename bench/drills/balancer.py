"""The balancer of ``deploy/haproxy.cfg`` over three replicas.

An overload takes no replica out, although replicas shed requests. A draining or dead replica goes
out in time, and no read fails.
"""

import time
from collections.abc import Callable

from bench.drills.world import World, reading, said, warm, zipf
from bench.lab.asking import ids_of, seconds_until
from bench.lab.balancer import Balancer
from bench.lab.proxy import Proxy
from bench.lab.targets import Service
from bench.load import wrk
from bench.load.loops import offered, paced

CONNECTIONS = 3_000
OPTIONS = (f"-c{CONNECTIONS}", "--timeout=8s", "-H", "Priority: u=5")  # hovers
STORE_BYTES_S = 400_000  # some 500 rows a second, so that hovers are shed
ROWS, RATE_S = 500, 100
OUT_S = 2.0
"""A replica is out this long after the first sign of its end, plus half a second for what else this
machine does."""
TOLERANCE_S = 0.5


def run(world: World) -> None:
    """Judge an overload, a drain and a kill behind the balancer."""
    if not world.has("overload", "no replica goes out", "haproxy", "wrk"):
        return
    proxy = world.running.enter_context(Proxy(world.cassandra.host, world.cassandra.port))
    settings = {"NEAR_BYTES": "0", "DRAIN_S": f"{world.options.drain_s:g}"}
    replicas = [world.service(proxy, **settings) for _ in range(3)]
    balancer = world.running.enter_context(Balancer(replicas))
    assert seconds_until(balancer.all_up) is not None
    ids = ids_of(balancer)[:ROWS]
    warm(balancer, map(reading, ids))
    proxy.narrow(STORE_BYTES_S)
    _overload(world, balancer, ids)
    proxy.open()
    _end(world, balancer, ids, "a replica drains", "web1", replicas[0], Service.terminate)
    _end(world, balancer, ids, "a replica killed -9", "web2", replicas[1], Service.kill)


def _overload(world: World, balancer: Balancer, ids: list[str]) -> None:
    seconds = 4 if world.is_short else 15
    file = world.folder / "ids"
    file.write_text("\n".join(ids) + "\n")
    seen = wrk.run(wrk.command(balancer.url, seconds, "ids.lua", file, more=OPTIONS))
    stats = balancer.stats()
    by_balancer = balancer.own_failures()
    shed = stats["BACKEND"].failed - by_balancer
    downs = {name: each.checks_down for name, each in stats.items()}
    world.judge(
        f"{CONNECTIONS:,} connections for {seconds} s, a slow store",
        "no replica goes out; no 5xx is the balancer's own",
        f"{seen.requests:,} requests, {shed:,} shed, {by_balancer:,} refused by the balancer; "
        f"went down: {downs}",
        shed > 0 and not by_balancer and not any(downs.values()),
    )


def _end(
    world: World,
    balancer: Balancer,
    ids: list[str],
    what: str,
    name: str,
    replica: Service,
    ends: Callable[[Service], None],
) -> None:
    reads = zipf([reading(each) for each in ids])
    with offered(balancer.host, balancer.port, paced(reads, RATE_S)) as result:
        time.sleep(1)
        ends(replica)
        out_s = seconds_until(lambda: balancer.stats()[name].status in ("NOLB", "DOWN"))
        replica.wait()
        time.sleep(1)
        replica.start()
        back_s = seconds_until(balancer.all_up)
        time.sleep(1)
    tally = result.tally()
    world.judge(
        what,
        f"it is out within {OUT_S:g} s; no read fails",
        f"out {said(out_s)}; in again {said(back_s)}; {tally}",
        out_s is not None
        and out_s <= OUT_S + TOLERANCE_S
        and back_s is not None
        and tally.is_clean,
    )
