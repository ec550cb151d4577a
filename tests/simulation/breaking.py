"""What each kind of fault does to the world; those of Redis are in ``breaking_redis.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation import breaking_redis
from tests.simulation.breaking_redis import disturb
from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.replica import Replica
    from tests.simulation.world import World


def _live(world: World, number: int) -> Replica | None:
    replica = world.replicas[number]
    return None if replica.loop.dead or replica.is_stopping else replica


# the network


def _silence(world: World, fault: Fault, target: int) -> None:
    """Nothing passes between a replica and Redis."""
    disturb(world, fault.length_s)
    until_s = world.simulator.now_s + fault.length_s
    world.network.silent_until_s[world.replicas[target].name] = until_s


def _cut(world: World, fault: Fault, target: int) -> None:
    """The connection of one replica ends, or those of all."""
    loop = None if fault.share < 0.2 else world.replicas[target].loop
    for link in list(world.network.links):
        if loop is None or link.loop is loop:
            link.cut(loses_commands=fault.share * 10 % 1 < 0.5)


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
    disturb(world, fault.length_s)
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
    world.judge.gone[replica.life] = world.simulator.now_s
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
    **breaking_redis.ACTS,
    "silence": _silence,
    "cut": _cut,
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
