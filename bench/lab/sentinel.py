"""A Redis with replicas that sentinels watch, for tests and drills.

A master that has heard of no replica for a second takes no writes, sooner than DOWN_AFTER_MS.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import hiredis

from bench.lab.asking import seconds_until
from bench.lab.processes import Server
from bench.lab.servers import Place, RedisServer, ServerError, redis_program

NAME = "content"
DOWN_AFTER_MS = 3_000
BOUND_S = 30.0
REDIS_ARGS = (
    *("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"),
    *("--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0"),
)


class Sentinel(RedisServer):
    """One sentinel; it writes what it learns to its configuration, as sentinels do."""

    name = "sentinel"

    def __init__(self, master: Place, quorum: int, lines: Sequence[str] = ()) -> None:
        super().__init__()
        self._lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f'dir "{self.folder}"',
            f"sentinel monitor {NAME} {master.host} {master.port} {quorum}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} 6000",
            *lines,
        ]

    def command(self) -> list[str]:
        path = self.folder / "sentinel.conf"
        if not path.exists():
            path.write_text("\n".join(self._lines) + "\n")
        return [redis_program(), str(path), "--sentinel"]


@dataclass
class Watched:
    """``servers``: the first one is the master at first."""

    servers: Sequence[RedisServer]
    sentinels: Sequence[Sentinel]

    @property
    def settings(self) -> dict[str, str]:
        """Return the environment variables by which the service finds it."""
        return settings_of(self.sentinels)

    def master(self) -> RedisServer:
        """Return the server that most sentinels name; raises ServerError if they do not agree."""
        ports = [self._named(each) for each in self.sentinels if each.running]
        for server in self.servers:
            if 2 * ports.count(server.port) > len(self.sentinels):
                return server
        raise ServerError(f"the sentinels name {ports}")

    def replica(self) -> RedisServer:
        """Return a server that is not the master."""
        master = self.master()
        return next(server for server in self.servers if server is not master)

    def fail_over(self) -> None:
        """Fail over in order: the master becomes a replica of its successor."""
        before = self.master()
        # refused while they have no word yet of the replica that the last failover made
        wait_until(lambda: ask(self.sentinels[0], "SENTINEL", "FAILOVER", NAME) == ["OK"])
        wait_until(lambda: self.master() is not before)
        self.settle()

    def replace_master(self) -> None:
        """Kill the master, and start it again, as a master, once there is another one."""
        before = self.master()
        before.kill()
        wait_until(lambda: self.master() is not before)
        before.start()
        self.settle()

    def settle(self) -> None:
        """Wait until every other running server is an acknowledged replica of the master."""
        others = sum(server.running for server in self.servers) - 1
        wait_until(lambda: _good_replicas(self.master()) >= others)

    def _named(self, sentinel: Sentinel) -> int:
        named = ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return int(named[1])


def settings_of(sentinels: Iterable[Place]) -> dict[str, str]:
    """Return the environment variables by which the service finds their master."""
    named = ",".join(f"{each.host}:{each.port}" for each in sentinels)
    return {"REDIS_SENTINELS": named, "REDIS_SENTINEL_MASTER": NAME}


@contextmanager
def watched() -> Iterator[Watched]:
    """Start a master, a replica and three sentinels that know each other; stop all at the end."""
    with ExitStack() as running:
        start = running.enter_context
        first = start(RedisServer(args=REDIS_ARGS))
        replicaof = ("--replicaof", first.host, str(first.port))
        replica = start(RedisServer(args=(*REDIS_ARGS, *replicaof)))
        world = Watched([first, replica], [start(Sentinel(first, quorum=2)) for _ in range(3)])
        wait_until(lambda: all(map(_knows_all, world.sentinels)))
        world.settle()
        yield world


def ask(server: Server, *words: str) -> list[str]:
    """Send one command on a connection of its own; raises an error that is answered."""
    reader = hiredis.Reader(notEnoughData=Ellipsis, encoding="utf-8")
    with socket.create_connection((server.host, server.port), timeout=2) as connection:
        connection.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # stub: of one
        while (reply := reader.gets()) is Ellipsis:
            reader.feed(connection.recv(65_536))
    if isinstance(reply, Exception):
        raise reply
    return reply if isinstance(reply, list) else [str(reply)]


def wait_until(holds: Callable[[], bool]) -> None:
    """Raise ServerError if ``holds`` does not come; a server that is away meanwhile is borne."""

    def now() -> bool:
        with suppress(OSError, ServerError, hiredis.HiredisError):
            return holds()
        return False

    if seconds_until(now, BOUND_S) is None:
        raise ServerError("it did not come to that in time")


def _knows_all(sentinel: Sentinel) -> bool:
    fields = ask(sentinel, "SENTINEL", "MASTER", NAME)
    known = dict(zip(fields[::2], fields[1::2], strict=True))
    return known["num-slaves"] == "1" and known["num-other-sentinels"] == "2"


def _good_replicas(master: Server) -> int:
    (info,) = ask(master, "INFO", "replication")
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    return int(fields.get("min_slaves_good_slaves", 0)) if fields["role"] == "master" else -1
