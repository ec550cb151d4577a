"""How much of everything a site needs: ``python -m bench.sizing --rate 10000 --rows 5000000``.

The defaults are figures of docs/benchmarks.md: measure your machine by ``python -m bench.cost``.
Rates are requests a second at the peak.
"""

import argparse
import math
from dataclasses import MISSING, dataclass, fields

MIB, GIB = 2**20, 2**30
LEAST = 3  # replicas: one may be updated while another fails; nodes: at RF 3 one may be away
DISK_FACTOR = 2.0  # compaction needs as much again, at worst
FLOOR_BYTES = 100 * MIB  # a replica without a near cache, an upper estimate


@dataclass(frozen=True)
class Site:
    """A site, and what it takes. ``near`` and ``redis`` are shares of the reads that end there.

    Figures are CPU in microseconds a request, and sizes in bytes. The first three and ``row_bytes``
    are from docs/benchmarks.md; of the others the comment says how they were found.
    """

    rate: float
    rows: int
    near: float = 0.7
    redis: float = 0.28
    near_bytes: int = 64 * MIB
    busy: float = 0.5  # of a core at the peak: the rest is for failures and surprises
    near_us: float = 9.9
    redis_us: float = 16.8
    store_us: float = 130.9
    node_us: float = 100.0  # of a Cassandra node, a read by key; 78-100
    redis_server_us: float = 10.0  # of Redis, a read in a batch; an estimate
    balancer_us: float = 30.0  # of HAProxy, keep-alive on both sides; 29 in `make deploy-test`
    row_bytes: int = 800

    @property
    def store(self) -> float:
        """The share that comes to Cassandra."""
        return max(0.0, 1 - self.near - self.redis)

    @property
    def replicas(self) -> int:
        cpu_us = self.near * self.near_us + self.redis * self.redis_us + self.store * self.store_us
        busy = math.ceil(self.rate * cpu_us / 1e6 / self.busy)
        return max(LEAST, busy + 1)  # one is down or being updated

    @property
    def near_share(self) -> float:
        """The share of the rows that one replica keeps near."""
        entry_bytes = self.row_bytes + 540  # 64 MiB keep some 50,000 rows of 800 bytes
        return min(1.0, self.near_bytes / entry_bytes / max(1, self.rows))

    @property
    def balancer_cores(self) -> float:
        return self.rate * self.balancer_us / 1e6

    @property
    def redis_cores(self) -> float:
        return self.rate * (1 - self.near) * self.redis_server_us / 1e6

    @property
    def redis_bytes(self) -> float:
        """Memory for every row: its key, the head of its entry and Redis' own are an estimate."""
        return self.rows * (self.row_bytes + 300) * 1.25

    @property
    def nodes(self) -> int:
        """Nodes of Cassandra, two cores each for reads, of which LOCAL_QUORUM makes two."""
        cores = 2 * self.rate * self.store * self.node_us / 1e6
        return max(LEAST, math.ceil(cores / self.busy / 2))

    @property
    def node_disk_bytes(self) -> float:
        """A row with its lines in genre lists, uncompressed, three times; an estimate."""
        return self.rows * self.row_bytes * 1.5 * DISK_FACTOR * 3 / self.nodes

    @property
    def stops(self) -> str:
        """What gives out first if the site grows on."""
        if self.balancer_cores > 1.6:
            return (
                "the balancer, which stack.yml gives 2 cores: BALANCER_REPLICAS, on several nodes"
            )
        if self.redis_cores > 0.8:
            return "one Redis is one core: it is full; raise NEAR_BYTES, or NEAR_TTL_S"
        if self.replicas > 32:
            return "haproxy.cfg has 32 slots: raise them"
        return "nothing yet"

    def __str__(self) -> str:
        """Return the needs of the site for people."""
        shares = f"{self.near:.0%} near, {self.redis:.0%} Redis, {self.store:.0%} Cassandra"
        memory = f"maxmemory {self.redis_bytes / GIB:,.2f} GiB for every row"
        replica_mib = (FLOOR_BYTES + self.near_bytes) / MIB
        return (
            f"{self.rate:,.0f} requests/s over {self.rows:,} rows; {shares}\n"
            f"replicas (one core each)   {self.replicas}, of {replica_mib:,.0f} MiB\n"
            f"rows near                  {self.near_share:.1%} of them in each replica\n"
            f"balancer                   {self.balancer_cores:.2f} cores\n"
            f"Redis                      {self.redis_cores:.2f} of its core, {memory}\n"
            f"Cassandra nodes (RF 3)     {self.nodes}, "
            f"{self.node_disk_bytes / GIB:,.1f} GiB of disk each\n"
            f"gives out first            {self.stops}"
        )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for each in fields(Site):
        kind = int if each.type is int else float
        must = each.default is MISSING
        parser.add_argument(
            f"--{each.name.replace('_', '-')}", type=kind, default=each.default, required=must
        )
    print(Site(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
