"""Redis' master replaced under load, and cut off with a replica of the service on its side: no read
fails, writes come back, and none is hidden behind an old row for longer than is documented."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.drills.traffic import reading, zipf
from bench.drills.world import World, said
from bench.lab.asking import ask, seconds_until
from bench.lab.proxy import Proxy
from bench.lab.sentinel import NAME, REDIS_ARGS, Sentinel, settings_of, wait_until, watched
from bench.lab.sentinel import ask as ask_redis
from bench.lab.servers import RedisServer
from bench.lab.targets import Service
from bench.load.loops import offered, paced

ROWS, RATE_S = 50, 100
DRAFT = {"title": "old", "genres": ["Documentaries"], "isMovie": True}
OLD_S = 5.0
"""README: for so long a replica that reaches the old master alone may answer from it."""
BACK_S = 60.0
"""As long as writes are waited for. What is judged is that they come back at all."""
MUTE = "island"
"""A user of Redis without channels: sentinels that sign in with it stay unknown to the others."""


class Split(NamedTuple):
    """Both sides of a network: ``links`` are what is cut."""

    inside: dict[str, str]
    outside: dict[str, str]
    links: list[Proxy]
    replica: RedisServer


def run(world: World) -> None:
    """Judge a failover, and a master that is cut off."""
    _replaced(world)
    with _split(world) as split:
        _cut_off(world, split)


def _services(world: World, name: str, *settings: dict[str, str]) -> list[Service]:
    """Replicas on one new embedded store; every row comes from Redis or from there."""
    path = str(world.folder / f"{name}.sqlite3")
    return [
        world.service(EMBEDDED_PATH=path, NEAR_BYTES="0", **each, **world.patience)
        for each in settings
    ]


def _posted(service: Service, count: int) -> list[str]:
    return [str(ask(service, "/content", "POST", DRAFT).data["id"]) for _ in range(count)]


def _write(service: Service, video_id: str) -> bool:
    return ask(service, f"/content/{video_id}", "PATCH", {"title": "new"}).status == 200


def _is_old(service: Service, video_id: str) -> bool:
    """Whether the row is served as it was; raises AssertionError when it is not served."""
    told = ask(service, f"/content/{video_id}")
    assert told.status == 200, told
    return bool(told.data["title"] == "old")


def _replaced(world: World) -> None:
    with watched() as redis:
        one, two = _services(world, "replaced", *[redis.settings] * 2)
        ids = _posted(one, ROWS)
        with offered(
            two.host, two.port, paced(zipf([reading(each) for each in ids]), RATE_S)
        ) as seen:
            time.sleep(1 if world.is_short else 5)
            redis.replace_master()
            back_s = seconds_until(lambda: _write(one, ids[0]), BACK_S)
            is_old = _is_old(two, ids[0])
            time.sleep(1 if world.is_short else 5)
    tally = seen.tally()
    world.judge(
        "the master killed, another promoted",
        "no read fails; writes come back, and what they wrote is read at once elsewhere",
        f"written again {said(back_s)} once the old one follows; old: {is_old}; {tally}",
        tally.total > 0 and not tally.failed and back_s is not None and not is_old,
    )


@contextmanager
def _split(world: World) -> Iterator[Split]:
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
    yield Split(
        settings_of([near[0], *beyond]), settings_of([near[0], *far]), [link, *beyond], replica
    )


def _cut_off(world: World, split: Split) -> None:
    island, main = _services(world, "split", split.inside, split.outside)
    (row,) = _posted(main, 1)
    assert _is_old(island, row)
    assert _is_old(main, row)
    for link in split.links:
        link.refuse()
    reads, last_old_s = 0, 0.0
    back_s = seconds_until(lambda: ask_redis(split.replica, "ROLE")[0] == "master", BACK_S)
    args = (*REDIS_ARGS, "--replicaof", split.replica.host, str(split.replica.port))
    world.running.enter_context(RedisServer(args=args))  # as Swarm starts the lost task anew
    written_s = seconds_until(lambda: _write(main, row), BACK_S)
    began_s = time.monotonic()
    while (since_s := time.monotonic() - began_s) < OLD_S + 3:
        asked_s = since_s
        if _is_old(island, row):
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
