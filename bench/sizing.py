"""How much of everything a site needs: ``python -m bench.sizing --rate 10000 --rows 5000000``.

A small calculation from the figures that README.md gives under "What it costs", which are the
defaults here: measure your machine by ``python -m bench.cost``, and say what you measured. Rates
are requests a second at the peak; a core is one like those measured.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

MIB, GIB = 2**20, 2**30
LEAST_REPLICAS = 3  # one may be updated while another one fails
LEAST_NODES = 3  # at RF 3 with LOCAL_QUORUM one may be away
DISK_FACTOR = 2.0  # compaction needs as much again, at worst


@dataclass(frozen=True)
class Measured:
    """CPU in microseconds a request and sizes in bytes. The first three and ``row_bytes`` are
    README.md's; of the others the comment says how they were found."""

    near_us: float = 9.9
    redis_us: float = 16.8
    store_us: float = 130.9
    node_us: float = 100.0  # of a Cassandra node, a read by key; 78-100
    redis_server_us: float = 10.0  # of Redis, a read in a batch; an estimate
    balancer_us: float = 30.0  # of HAProxy, keep-alive on both sides; 29 in `make deploy-test`
    row_bytes: int = 800
    floor_bytes: int = 100 * MIB  # a replica without a near cache, an upper estimate

    @property
    def near_entry_bytes(self) -> int:
        return self.row_bytes + 540  # 64 MiB keep some 50,000 rows of 800 bytes

    @property
    def redis_entry_bytes(self) -> int:
        return self.row_bytes + 300  # key, head of the entry and Redis' own; an estimate

    @property
    def disk_bytes(self) -> int:
        return self.row_bytes * 3 // 2  # with its lines in genre lists, uncompressed; an estimate


@dataclass(frozen=True)
class Site:
    """What is asked for. ``near`` and ``redis`` are shares of the reads that end there."""

    rate: float
    rows: int
    near: float = 0.7
    redis: float = 0.28
    near_bytes: int = 64 * MIB
    busy: float = 0.5  # of a core at the peak: the rest is for failures and surprises

    @property
    def store(self) -> float:
        """The share that comes to Cassandra."""
        return max(0.0, 1 - self.near - self.redis)


@dataclass(frozen=True)
class Needs:
    """What a site takes."""

    replicas: int
    replica_bytes: int
    near_share: float  # of the rows, what one replica keeps near
    balancer_cores: float
    redis_cores: float
    redis_bytes: int
    nodes: int
    node_disk_bytes: int
    stops: str


def needs(site: Site, measured: Measured) -> Needs:
    """Return what the site takes, and what gives out first if it grows on."""
    cpu_us = site.near * measured.near_us + site.redis * measured.redis_us
    cpu_us += site.store * measured.store_us
    replicas = math.ceil(site.rate * cpu_us / 1e6 / site.busy) + 1  # one is down or being updated
    balancer_cores = site.rate * measured.balancer_us / 1e6
    redis_cores = site.rate * (1 - site.near) * measured.redis_server_us / 1e6
    node_cores = 2 * site.rate * site.store * measured.node_us / 1e6  # LOCAL_QUORUM reads two
    disk = site.rows * measured.disk_bytes * DISK_FACTOR * 3
    nodes = max(LEAST_NODES, math.ceil(node_cores / site.busy / 2))  # two cores a node for reads
    return Needs(
        replicas=max(LEAST_REPLICAS, replicas),
        replica_bytes=measured.floor_bytes + site.near_bytes,
        near_share=min(1.0, site.near_bytes / measured.near_entry_bytes / max(1, site.rows)),
        balancer_cores=balancer_cores,
        redis_cores=redis_cores,
        redis_bytes=math.ceil(site.rows * measured.redis_entry_bytes * 1.25),
        nodes=nodes,
        node_disk_bytes=math.ceil(disk / nodes),
        stops=_stops(balancer_cores, redis_cores, replicas),
    )


def _stops(balancer_cores: float, redis_cores: float, replicas: int) -> str:
    if balancer_cores > 1.6:
        return "the balancer, which stack.yml gives 2 cores: BALANCER_REPLICAS, on several nodes"
    if redis_cores > 0.8:
        return "one Redis is one core: it is full; raise NEAR_BYTES, or NEAR_TTL_S"
    if replicas > 32:
        return "haproxy.cfg has 32 slots: raise them"
    return "nothing yet"


def report(site: Site, measured: Measured) -> str:
    """Return the needs of a site for people."""
    need = needs(site, measured)
    shares = f"{site.near:.0%} near, {site.redis:.0%} Redis, {site.store:.0%} Cassandra"
    memory = f"maxmemory {need.redis_bytes / GIB:,.2f} GiB for every row"
    disk = f"{need.node_disk_bytes / GIB:,.1f} GiB of disk each"
    lines = [
        f"{site.rate:,.0f} requests/s over {site.rows:,} rows; {shares}",
        f"replicas (one core each)   {need.replicas}, of {need.replica_bytes / MIB:,.0f} MiB",
        f"rows near                  {need.near_share:.1%} of them in each replica",
        f"balancer                   {need.balancer_cores:.2f} cores",
        f"Redis                      {need.redis_cores:.2f} of its core, {memory}",
        f"Cassandra nodes (RF 3)     {need.nodes}, {disk}",
        f"gives out first            {need.stops}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, required=True, help="requests a second at the peak")
    parser.add_argument("--rows", type=int, required=True, help="rows of the catalogue")
    parser.add_argument("--near", type=float, default=Site.near, help="share of near hits")
    parser.add_argument("--redis", type=float, default=Site.redis, help="share of Redis hits")
    parser.add_argument("--near-bytes", type=int, default=Site.near_bytes)
    for name in ("near_us", "redis_us", "store_us", "node_us", "row_bytes"):
        kind = type(getattr(Measured, name))
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=getattr(Measured, name))
    options = vars(parser.parse_args())
    names = Site.__dataclass_fields__
    site = Site(**{name: value for name, value in options.items() if name in names})
    rest = {name: value for name, value in options.items() if name not in names}
    print(report(site, Measured(**rest)))


if __name__ == "__main__":
    main()
