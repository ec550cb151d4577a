"""What the ring and the Sentinels of stack.cluster.yml bear."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

from tests.deploy.drills import Drill, Row, ids_of
from tests.deploy.engine import until
from tests.deploy.site import CATALOGUE_ROWS, Site

ASK = """
import asyncio, json, os
from config import Config
from db.cassandra import Cassandra
async def ask():
    session = await Cassandra(Config.from_env(os.environ), ()).visit()
    peers = len((await session.query("SELECT peer FROM system.peers")).all())
    copies = {}
    for name in ("content", "system_auth"):
        cql = f"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{name}'"
        copies[name] = str((await session.query(cql)).first().column_value("replication"))
    await session.close()
    print(json.dumps([peers + 1, copies]))
asyncio.run(ask())
"""


def deployed(site: Site) -> Iterator[Row]:
    taken_s = site.deploy()
    container = site.containers("web")[0]

    def ring() -> tuple[int, dict[str, str]]:
        nodes, copies = json.loads(site.engine("exec", container, "python", "-c", ASK))
        return nodes, copies

    whole_s = until("three nodes", lambda: ring()[0] == 3, 600, 5)
    nodes, copies = ring()
    copied = [name for name, text in copies.items() if "3" in text]
    yield Row(
        "deployed, all at once",
        f"{CATALOGUE_ROWS:,} rows; three nodes, content and logins at RF 3",
        f"after {taken_s:.0f} s, {nodes} nodes {whole_s:.0f} s later; RF 3: {', '.join(copied)}",
        nodes == 3 and copied == ["content", "system_auth"],
    )


def a_node_killed(site: Site) -> Iterator[Row]:
    ids = ids_of(site, 300)
    others = ("cassandra2", "cassandra3")
    until("all are healthy", lambda: all(site.healthy(each) == 1 for each in others), 300)
    site.crash("cassandra2")
    began = time.monotonic()
    statuses = [site.ask(f"/content/{each}")[0] for each in ids]
    taken_s = time.monotonic() - began
    back_s = until("it is back", lambda: site.healthy("cassandra2") == 1, 300)
    right = statuses.count(200)
    yield Row(
        "a node of three killed",
        "rows that nobody has asked for are read on, all but those on their way",
        f"{right} of {len(ids)} in {taken_s:.0f} s; the node is back {back_s:.0f} s later",
        right >= 0.98 * len(ids),
    )


def a_master_killed(site: Site) -> Iterator[Row]:
    def master() -> str:
        command = ("redis-cli", "-p", "26379", "sentinel", "get-master-addr-by-name", "content")
        return site.engine("exec", site.containers("sentinel")[0], *command).split()[0]

    def replicas(name: str) -> str:
        return site.engine("exec", site.containers(name)[0], "redis-cli", "info", "replication")

    until("a replica follows", lambda: "connected_slaves:1" in replicas("redis"), 120)
    before = master()
    site.engine("service", "scale", "--detach", "content_redis=0")  # gone for longer than a moment
    after_s = until("another master", lambda: master() != before, 60)
    now = master()
    site.engine("service", "scale", "--detach", "content_redis=1")
    follows_s = until("it follows", lambda: "connected_slaves:1" in replicas(now), 120)
    yield Row(
        "Redis' master gone, and back",
        "the replica is promoted; the old master comes back as its replica",
        f"{before}, after {after_s:.0f} s {now}; the old one follows {follows_s:.0f} s later",
        (before, now) == ("redis", "redis-replica"),
    )


DRILLS: Sequence[Drill] = (deployed, a_node_killed, a_master_killed)
