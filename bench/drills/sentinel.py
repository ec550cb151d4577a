"""Redis' master cut off with a replica of the service on its side: no read fails, writes come back,
and none is hidden behind an old row for longer than is documented."""

import time
from typing import NamedTuple

from bench.drills.world import World, said
from bench.lab.asking import ask, seconds_until
from bench.lab.proxy import Proxy
from bench.lab.sentinel import NAME, REDIS_ARGS, Sentinel, settings_of, wait_until
from bench.lab.sentinel import ask as ask_redis
from bench.lab.servers import RedisServer
from bench.lab.targets import Service

DRAFT = {"title": "old", "genres": ["Documentaries"], "isMovie": True}
OLD_S = 5.0
"""docs/api.md: for so long a replica that reaches the old master alone may answer from it."""
BACK_S = 60.0  # as long as writes are waited for, because they have to come back at all
MUTE = "island"
"""A user of Redis without channels: sentinels that sign in with it stay unknown to the others."""


class Split(NamedTuple):
    """Both sides of a network: ``links`` are what is cut."""

    inside: dict[str, str]
    outside: dict[str, str]
    links: list[Proxy]
    replica: RedisServer


def run(world: World) -> None:
    """Judge a master that is cut off."""
    split = _split(world)
    island, main = (  # on one embedded store; every row comes from Redis or from there
        world.service(
            EMBEDDED_PATH=str(world.folder / "split.sqlite3"),
            NEAR_BYTES="0",
            **sentinels,
            **world.patience,
        )
        for sentinels in (split.inside, split.outside)
    )
    path = f"/content/{ask(main, '/content', 'POST', DRAFT).data['id']}"
    assert _is_old(island, path)
    assert _is_old(main, path)
    for link in split.links:
        link.refuse()
    reads, last_old_s = 0, 0.0
    back_s = seconds_until(lambda: ask_redis(split.replica, "ROLE")[0] == "master", BACK_S)
    args = (*REDIS_ARGS, "--replicaof", split.replica.host, str(split.replica.port))
    world.running.enter_context(RedisServer(args=args))  # as Swarm starts the lost task anew
    written_s = seconds_until(
        lambda: ask(main, path, "PATCH", {"title": "new"}).status == 200, BACK_S
    )
    began_s = time.monotonic()
    while (asked_s := time.monotonic() - began_s) < OLD_S + 3:
        if _is_old(island, path):
            last_old_s = asked_s
        reads += 1
        time.sleep(0.02)
    world.judge(
        "the master cut off, with a replica of the service on its side",
        f"no read fails; writes come back; nothing old {OLD_S:g} s after one",
        f"promoted {said(back_s)}, written {said(written_s)} later; {reads:,} reads beside the old "
        f"master, old ones up to {last_old_s:.1f} s after the write",
        back_s is not None and written_s is not None and last_old_s <= OLD_S,
    )


def _is_old(service: Service, path: str) -> bool:
    """Whether the row is served as it was; raises AssertionError when it is not served."""
    told = ask(service, path)
    assert told.status == 200, told
    return bool(told.data["title"] == "old")


def _split(world: World) -> Split:
    """Make both sides of a network.

    Inside are a master with a sentinel, and two sentinels that the inside alone sees until the cut.
    Outside are its replica, and two sentinels that know the master by the link.
    """
    start = world.running.enter_context
    master = start(RedisServer(args=REDIS_ARGS))
    ask_redis(master, *f"ACL SETUSER {MUTE} on nopass ~* +@all resetchannels".split())
    link = start(Proxy(master.host, master.port))
    replica = start(RedisServer(args=(*REDIS_ARGS, "--replicaof", link.host, str(link.port))))
    # or they would make it follow its old master again
    ask_redis(replica, *f"ACL SETUSER {MUTE} on nopass -@all".split())
    mute = (f"sentinel auth-user {NAME} {MUTE}", f"sentinel auth-pass {NAME} any")
    near = [start(Sentinel(master, 2, mute)) for _ in range(3)]
    far = [start(Sentinel(link, 2)) for _ in range(2)]
    beyond = [start(Proxy(each.host, each.port)) for each in near[1:]]
    wait_until(lambda: all("sentinels=2" in ask_redis(each, "INFO", "sentinel")[0] for each in far))
    wait_until(lambda: "state=online" in ask_redis(master, "INFO", "replication")[0])
    inside, outside = settings_of([near[0], *beyond]), settings_of([near[0], *far])
    return Split(inside, outside, [link, *beyond], replica)
