"""What the ring and the Sentinels of stack.cluster.yml bear."""

import json
import time
from collections.abc import Iterator, Sequence

from bench.lab.spawn import ServerError
from tests.deploy.drills import Drill, Row, ids_of
from tests.deploy.engine import until
from tests.deploy.site import CATALOGUE_ROWS, Site

ASK = """
import asyncio, json, os, signal
signal.alarm(30)  # the driver may wait for ever for a node that joins meanwhile
from config import Config
from db.cassandra.session import make_cluster
async def ask():
    session = await make_cluster(Config.from_env(os.environ), None).create_session()
    peers = len(list((await session.query("SELECT peer FROM system.peers")).all()))
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
        try:
            nodes, copies = json.loads(site.engine("exec", container, "python", "-c", ASK))
        except ServerError:  # nobody signs in while a node takes over its share of the logins
            return 0, {}
        return nodes, copies

    seen: list[tuple[int, dict[str, str]]] = []

    def is_whole() -> bool:
        seen.append(ring())
        return seen[-1][0] == 3

    whole_s = until("three nodes", is_whole, 600, 5)
    nodes, copies = seen[-1]
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


def a_master_gone(site: Site) -> Iterator[Row]:
    def replication(service: str) -> str:
        containers = site.containers(service)
        if not containers:
            return ""
        try:
            return site.redis_cli(containers[0], "info", "replication")
        except ServerError:  # it is starting
            return ""

    def leads(service: str) -> bool:
        return all(each in replication(service) for each in ("role:master", "connected_slaves:1"))

    def known(service: str) -> bool:
        """Whether it leads, and every sentinel has heard of its replica, which takes 10 s."""
        asked = ("-p", "26379", "--raw", "sentinel", "replicas", "content")
        told = [site.redis_cli(each, *asked) for each in site.containers("sentinel")]
        return leads(service) and all("master-link-status\nok" in each for each in told)

    until("sentinels are healthy", lambda: site.healthy("sentinel") == 3, 120)
    until("a replica follows", lambda: known("redis"), 120)
    site.engine("service", "scale", "--detach", "content_redis=0")
    after_s = until("promoted", lambda: "role:master" in replication("redis-replica"), 60)
    site.engine("service", "scale", "--detach", "content_redis=1")
    follows_s = until("the old master follows", lambda: known("redis-replica"), 120)
    site.crash("redis-replica")
    back_s = until("promoted again, and followed", lambda: leads("redis"), 120)
    yield Row(
        "Redis' master gone, back at another address, and the new one killed",
        "the replica is promoted; the old master follows it",
        f"after {after_s:.0f} s, followed {follows_s:.0f} s later; the other way {back_s:.0f} s",
        True,
    )


DRILLS: Sequence[Drill] = (deployed, a_node_killed, a_master_gone)
