"""What each kind of fault does to Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.redis_server import Redis
    from tests.simulation.world import World

DOWN_AFTER_S = 5.0
"""down-after-milliseconds, as the stack sets it."""
NOTICED_S = 2.0
"""How long after a silence the near cache may still be old: until the heartbeat has failed."""


def disturb(world: World, length_s: float) -> None:
    """Pushes may be held up for that long."""
    now_s = world.simulator.now_s
    world.judge.disturbances.append((now_s, now_s + length_s + NOTICED_S))


def _unfenced(world: World) -> None:
    """Redis has lost the intents of writes under way."""
    world.judge.unfenced_s.append(world.simulator.now_s)


def _hang(world: World, fault: Fault, target: int) -> None:
    world.redis.hung_until_s = world.simulator.now_s + fault.length_s


def _evict(world: World, fault: Fault, target: int) -> None:
    """The intents alone, or any key."""
    data = world.redis.data
    for key in list(data.values):
        if fault.share > 0.6 or b":i:" in key:
            data.drop(key)
    _unfenced(world)
    world.redis.flush()


def _flush(world: World, fault: Fault, target: int) -> None:
    world.redis.flush_all()
    world.redis.flush()
    _unfenced(world)


def _flush_scripts(world: World, fault: Fault, target: int) -> None:
    world.redis.scripts.clear()


def _full(world: World, fault: Fault, target: int) -> None:
    """Redis refuses what needs memory: fills and leases, not writes."""
    world.redis.is_full = True

    def room() -> None:
        world.redis.is_full = False

    world.simulator.after(fault.length_s, room)


def _restart(world: World, fault: Fault, target: int) -> None:
    """Empty, or with what it saved; nobody listens meanwhile."""
    restarting = world.redis
    saved = restarting.data.copy() if fault.share < 0.5 else None
    _unfenced(world)
    names = world.network.names
    host = next((host for host, server in names.items() if server is restarting), None)
    if host is None:  # it is restarting already
        return
    names[host] = None
    for link in list(world.network.links):
        link.cut(loses_commands=fault.share * 10 % 1 < 0.5)

    def listen() -> None:
        restarting.restart(saved)
        names[host] = world.redis if host == "redis" else restarting
        _unfenced(world)

    world.simulator.after(fault.length_s, listen)


def _failover(world: World, fault: Fault, target: int) -> None:
    """A lagging replica becomes the master; what was written meanwhile is not there. The next
    failover goes back. As by Sentinel, the old master's clients are dropped in the same moment."""
    saved = world.redis.data.copy()
    _unfenced(world)

    def promote() -> None:
        _demote(world, world.redis, loses_commands=fault.share < 0.5)
        world.spare.promote(saved)
        world.follow(world.spare)
        _unfenced(world)

    world.simulator.after(fault.length_s, promote)


def _demote(world: World, master: Redis, *, loses_commands: bool) -> None:
    master.role = "slave"
    for link in list(world.network.links):
        if link.server is master:
            link.cut(loses_commands=loses_commands)


def _partition(world: World, fault: Fault, target: int) -> None:
    """One replica, the master and one sentinel are cut off. The others get a new master once they
    have missed the old one for five seconds; the old one follows when the partition ends."""
    old, new, now_s = world.redis, world.spare, world.simulator.now_s
    heals_s = now_s + max(fault.length_s, DOWN_AFTER_S + 0.4)
    saved = old.data.copy()
    inside = {old.name, world.sentinels[0].name}
    servers = [old.name, new.name, *(sentinel.name for sentinel in world.sentinels)]
    for replica in world.replicas:
        is_inside = replica.number == target
        for server in servers:
            if is_inside != (server in inside):
                world.network.silent_until_s[replica.name, server] = heals_s
    old.is_alone_since_s = now_s
    disturb(world, 0.0)
    _unfenced(world)

    def promote() -> None:
        if world.redis is not old:
            return  # a failover came first
        new.promote(saved)
        world.follow(new)
        world.sentinels[0].master = old.name
        _unfenced(world)

    def heal() -> None:
        if world.redis is not old:  # which another failover may have made the master again
            _demote(world, old, loses_commands=fault.share < 0.5)
        old.is_alone_since_s = float("inf")
        world.sentinels[0].master = world.redis.name
        world.faults.release()

    world.faults.hold()
    world.simulator.at(now_s + DOWN_AFTER_S + 0.3 * fault.share, promote)
    world.simulator.at(heals_s, heal)


def _new_replica(world: World, fault: Fault, target: int) -> None:
    """A first replica is attached, or the last one was gone for long: another replication id."""
    world.redis.replicas = 1
    world.redis.replication_id = world.redis.new_id()
    _unfenced(world)


ACTS: dict[str, Callable[[World, Fault, int], None]] = {
    "hang": _hang,
    "evict": _evict,
    "flush": _flush,
    "flush scripts": _flush_scripts,
    "full": _full,
    "restart": _restart,
    "failover": _failover,
    "partition": _partition,
    "new replica": _new_replica,
}
