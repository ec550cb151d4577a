"""What each kind of fault does to the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.redis_server import Redis
    from tests.simulation.replica import Replica
    from tests.simulation.world import World

DOWN_AFTER_S = 5.0
"""down-after-milliseconds, as the stack sets it."""
NOTICED_S = 2.0
"""How long after a silence the near cache may still be old: until the heartbeat has failed."""


def _live(world: World, number: int) -> Replica | None:
    replica = world.replicas[number]
    return None if replica.loop.dead or replica.is_stopping else replica


def _disturb(world: World, length_s: float) -> None:
    now_s = world.simulator.now_s
    world.judge.disturbances.append((now_s, now_s + length_s + NOTICED_S))


def _unfenced(world: World) -> None:
    world.judge.unfenced_s.append(world.simulator.now_s)


# the network


def _silence(world: World, fault: Fault, target: int) -> None:
    """Nothing passes between a replica and Redis."""
    _disturb(world, fault.length_s)
    until_s = world.simulator.now_s + fault.length_s
    world.network.silent_until_s[world.replicas[target].name] = until_s


def _cut(world: World, fault: Fault, target: int) -> None:
    """The connection of one replica ends, or those of all."""
    loop = None if fault.share < 0.2 else world.replicas[target].loop
    for link in list(world.network.links):
        if loop is None or link.loop is loop:
            link.cut(loses_commands=fault.share * 10 % 1 < 0.5)


# Redis


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
    heals_s = now_s + fault.length_s
    saved = old.data.copy()
    inside = {old.name, world.sentinels[0].name}
    servers = [old.name, new.name, *(sentinel.name for sentinel in world.sentinels)]
    for replica in world.replicas:
        is_inside = replica.number == target
        for server in servers:
            if is_inside != (server in inside):
                world.network.silent_until_s[replica.name, server] = heals_s
    old.is_alone_since_s = now_s
    _disturb(world, 0.0)
    _unfenced(world)

    def promote() -> None:
        new.promote(saved)
        world.follow(new)
        world.sentinels[0].master = old.name
        _unfenced(world)

    def heal() -> None:
        _demote(world, old, loses_commands=fault.share < 0.5)
        old.is_alone_since_s = float("inf")
        world.sentinels[0].master = world.redis.name

    world.simulator.at(now_s + DOWN_AFTER_S + 0.3 * fault.share, promote)
    world.simulator.at(max(heals_s, now_s + DOWN_AFTER_S + 0.4), heal)


def _new_replica(world: World, fault: Fault, target: int) -> None:
    """A first replica is attached, or the last one was gone for long: another replication id."""
    world.redis.replicas = 1
    world.redis.replication_id = world.redis.new_id()
    _unfenced(world)


# Cassandra


def _away(world: World, fault: Fault, target: int) -> None:
    world.cassandra.away_until_s = world.simulator.now_s + fault.length_s


def _mute(world: World, fault: Fault, target: int) -> None:
    """Requests vanish."""
    world.cassandra.fates.silent_until_s = world.simulator.now_s + fault.length_s


def _slow_request(world: World, fault: Fault, target: int) -> None:
    """The next statement of a replica takes effect late."""
    world.cassandra.fates.held_s[target] = fault.length_s, 0.0


def _slow_answer(world: World, fault: Fault, target: int) -> None:
    """The next statement of a replica is answered late."""
    world.cassandra.fates.held_s[target] = 0.0, fault.length_s


def _fate(world: World, fault: Fault, target: int) -> None:
    """The next statement of a replica meets one of the troubles."""
    fates = ("lost", "mute", "frozen", "doubt", "refused")
    world.cassandra.fates.doomed[target] = fates[int(fault.share * len(fates))]


# processes


def _pause(world: World, fault: Fault, target: int) -> None:
    replica = _live(world, target)
    if replica is None or replica.loop.paused:
        return
    _disturb(world, fault.length_s)
    loop, timers_first = replica.loop, world.plan.timers_first
    loop.pause()

    def resume() -> None:
        if not loop.dead:
            loop.resume(timers_first=timers_first)

    world.simulator.after(fault.length_s, resume)


def _crash(world: World, fault: Fault, target: int) -> None:
    """The process dies; another takes its place."""
    replica = _live(world, target)
    if replica is None:
        return
    replica.loop.kill()
    for link in list(world.network.links):
        if link.loop is replica.loop:
            link.cut(loses_commands=fault.share < 0.5)
            link.vanish()
    _gone(world, replica)
    world.simulator.after(fault.length_s, _start, world, target)


def _gone(world: World, replica: Replica) -> None:
    world.judge.gone.add(replica.life)
    for client in world.clients:
        client.lost(replica)


def _start(world: World, target: int) -> None:
    world.replicas[target] = world.start(target)


def _stop(world: World, fault: Fault, target: int) -> None:
    """In order; another process takes its place once it has ended."""
    replica = _live(world, target)
    if replica is None:
        return
    replica.stop()
    world.faults.hold()

    def look() -> None:
        if not replica.loop.dead:
            world.simulator.after(0.05, look)
            return
        world.faults.release()
        _gone(world, replica)
        _start(world, target)

    look()


def _step(world: World, fault: Fault, target: int) -> None:
    """The wall clock of a replica jumps by up to 5 s either way."""
    world.replicas[target].loop.wall_offset_s += fault.share * 10 - 5


ACTS: dict[str, Callable[[World, Fault, int], None]] = {
    "silence": _silence,
    "cut": _cut,
    "hang": _hang,
    "evict": _evict,
    "flush": _flush,
    "flush scripts": _flush_scripts,
    "full": _full,
    "restart": _restart,
    "failover": _failover,
    "partition": _partition,
    "new replica": _new_replica,
    "away": _away,
    "mute store": _mute,
    "slow request": _slow_request,
    "slow answer": _slow_answer,
    "fate": _fate,
    "pause": _pause,
    "crash": _crash,
    "stop": _stop,
    "step": _step,
}
