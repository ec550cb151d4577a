"""A simulated Redis server: connections, RESP3, scripts, tracking, roles and replication ids.

A turn reads every connection that has input, executes all commands in it, appends the BCAST
invalidations of the turn behind the replies, and only then writes. That order is Redis' own, and
the service depends on it.
"""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hiredis

from tests.simulation.loop import EPOCH_S, ProcessLoop
from tests.simulation.redis_data import OK, Args, Data, RedisError, Status
from tests.simulation.redis_lua import run_script
from tests.simulation.resp import encode, sha_of, short, title_of, told_of
from tests.simulation.simulator import Simulator

if TYPE_CHECKING:
    from tests.simulation.network import Link

MORE = object()
MAX_LAG_S = 2.0
"""min-replicas-max-lag: how long after its last replica was lost a master still takes writes."""
SWEEP = 0.2
"""The share of turns in which expired keys are removed without being asked for."""
GROWING = frozenset((b"SET", b"ZADD", b"PEXPIRE"))
"""What a Redis without memory refuses, unless its script has written already."""
WRITES = frozenset((b"SET", b"DEL", b"UNLINK", b"PEXPIRE", b"ZADD", b"ZREM", b"ZREMRANGEBYSCORE"))


class Peer:
    """A client's connection, as the server sees it."""

    __slots__ = ("link", "out", "prefixes", "reader")

    def __init__(self, link: "Link") -> None:
        self.link = link
        self.reader = hiredis.Reader(notEnoughData=MORE)
        self.out: list[bytes] = []
        self.prefixes: tuple[bytes, ...] = ()


class Redis:
    """One server process. ``clock_offset_s`` is its clock against true time; ``role`` is "master"
    or "slave"; ``hung_until_s`` ends a time in which it does nothing."""

    def __init__(self, simulator: Simulator, name: str, clock_offset_s: float = 0.0) -> None:
        self.simulator, self.name = simulator, name
        self._clock_offset_s = clock_offset_s
        self._script_ms: float | None = None
        self.data = Data(self.now_ms, self._modified)
        self.peers: list[Peer] = []
        self.scripts: dict[bytes, bytes] = {}
        self.role = "master"
        self.run_id = self.new_id()
        self.replication_id = self.new_id()
        self.replicas = 0
        self.is_full = self._has_written = False
        self.is_deaf = False  # whether it refuses CLIENT TRACKING
        self.is_alone_since_s = float("inf")  # when the last replica was lost
        self.hung_until_s = 0.0
        self.heard: Callable[[str, ProcessLoop], None] | None = None
        """Is told the name of each script that ran, and whose call it was."""
        self._waiting: list[Peer] = []
        self._changed: dict[bytes, None] = {}
        self._commands = {
            b"HELLO": self._hello,
            b"INFO": self._info,
            b"CONFIG": self._config,
            b"CLIENT": self._client,
            b"EVALSHA": self._evalsha,
            b"EVAL": self._eval,
            b"SCRIPT": self._script,
            b"FLUSHALL": self._flushall,
        }

    def new_id(self) -> str:
        """Forty hexadecimal digits, as run ids and replication ids are."""
        return f"{self.simulator.random.getrandbits(160):040x}"

    def now_ms(self) -> float:
        if self._script_ms is not None:
            return self._script_ms
        return (EPOCH_S + self.simulator.now_s + self._clock_offset_s) * 1000

    def _modified(self, key: bytes) -> None:
        self._changed[key] = None

    # input

    def receive(self, peer: Peer, data: bytes) -> None:
        """Bytes from a client; the turn that reads them follows at once, or soon."""
        peer.reader.feed(data)
        if not self._waiting:
            simulator = self.simulator
            if simulator.now_s < self.hung_until_s:
                simulator.at(self.hung_until_s, self.turn)
            elif simulator.random.random() < 0.3:  # others may come in the same turn
                simulator.after(simulator.random.random() * 0.001, self.turn)
            else:
                self._waiting.append(peer)
                self.turn()
                return
        if peer not in self._waiting:
            self._waiting.append(peer)

    def turn(self) -> None:
        """Execute what has arrived; replies first, then the invalidations of this turn."""
        if self.simulator.now_s < self.hung_until_s:
            self.simulator.at(self.hung_until_s, self.turn)
            return
        if self.simulator.random.random() < SWEEP:
            self.data.expire()
        waiting, self._waiting = self._waiting, []
        for peer in waiting:
            gets = peer.reader.gets
            while (command := gets()) is not MORE and not peer.link.is_deaf:
                peer.out.append(encode(self._reply(peer, command)))
        self.flush()

    def flush(self) -> None:
        """The end of a turn: push what changed, and write."""
        changed, self._changed = self._changed, {}
        for peer in self.peers:
            for prefix in peer.prefixes if changed else ():
                if keys := [key for key in changed if key.startswith(prefix)]:
                    peer.out.append(b">2\r\n$10\r\ninvalidate\r\n" + encode(keys))
            if peer.out:
                peer.link.to_client(b"".join(peer.out))
                peer.out.clear()

    def flush_all(self) -> None:
        """FLUSHALL: one push without keys to whoever tracks."""
        self.data.values.clear()
        self.data.expires_ms.clear()
        self._changed.clear()
        for peer in self.peers:
            if peer.prefixes:
                peer.out.append(b">2\r\n$10\r\ninvalidate\r\n_\r\n")

    def restart(self, saved: tuple[dict[bytes, Any], dict[bytes, float]] | None) -> None:
        """Another process at the same place, with what was saved or with nothing."""
        self.peers.clear()
        self._waiting.clear()
        self.scripts.clear()
        self.data.load(saved or ({}, {}))
        self._changed.clear()
        self.run_id, self.replication_id = self.new_id(), self.new_id()

    def promote(self, data: tuple[dict[bytes, Any], dict[bytes, float]]) -> None:
        """A replica that had got so far becomes the master."""
        self.data.load(data)
        self._changed.clear()
        self.role, self.replication_id = "master", self.new_id()

    def _reply(self, peer: Peer, command: Args) -> Any:
        name = command[0].upper()
        self._has_written = False
        reply: Any
        try:
            own = self._commands.get(name)
            reply = own(peer, command[1:]) if own else self.call(command)
        except RedisError as error:
            reply = error
        if self.simulator.steps is not None:
            told = told_of(name, command)
            if told:
                self.simulator.say(f"{self.name} < {peer.link.loop.name}: {told} = {short(reply)}")
        return reply

    # commands

    def call(self, command: Args) -> Any:
        """A command of the data, from a client or a script."""
        name = command[0]
        found = self.data.commands.get(name)
        if found is None:
            return self._other(command)
        if name in WRITES:
            if self.role != "master":
                raise RedisError("READONLY You can't write against a read only replica.")
            if self.simulator.now_s > self.is_alone_since_s + MAX_LAG_S:
                raise RedisError("NOREPLICAS Not enough good replicas to write.")
            if self.is_full and name in GROWING and not self._has_written:
                raise RedisError("OOM command not allowed when used memory > 'maxmemory'.")
            self._has_written = True
        return found(command[1:])

    def _other(self, command: Args) -> Any:
        """A command in lower case, or one that only scripts send."""
        name = command[0].upper()
        if name == b"INFO":
            return self._info(None, command[1:])
        if name == command[0] or name not in self.data.commands:
            raise RedisError(f"ERR unknown command '{command[0].decode()}'")
        return self.call([name, *command[1:]])

    def _hello(self, peer: Peer, args: Args) -> Any:
        role = b"master" if self.role == "master" else b"replica"
        return {b"server": b"redis", b"proto": 3, b"mode": b"standalone", b"role": role}

    def _info(self, peer: Peer | None, args: Args) -> bytes:
        if args == [b"server"]:
            return f"# Server\r\nrun_id:{self.run_id}\r\n".encode()
        return (
            f"# Replication\r\nrole:{self.role}\r\nconnected_slaves:{self.replicas}\r\n"
            f"master_replid:{self.replication_id}\r\nmaster_replid2:{'0' * 40}\r\n"
        ).encode()

    def _config(self, peer: Peer, args: Args) -> Any:
        values = {b"save": b"", b"appendonly": b"no", b"min-replicas-to-write": b"1"}
        return {args[1]: values[args[1]]}

    def _client(self, peer: Peer, args: Args) -> Status:
        if args[0] == b"TRACKING":
            if self.is_deaf:
                raise RedisError("NOPERM this user has no permissions to run 'client|tracking'")
            named = itertools.pairwise(args)
            peer.prefixes = tuple(each for word, each in named if word == b"PREFIX")
        return OK

    def _script(self, peer: Peer, args: Args) -> Status:
        self.scripts.clear()
        return OK

    def _flushall(self, peer: Peer, args: Args) -> Status:
        self.flush_all()
        return OK

    def _evalsha(self, peer: Peer, args: Args) -> Any:
        text = self.scripts.get(args[0])
        if text is None:
            raise RedisError("NOSCRIPT No matching script. Please use EVAL.")
        return self._eval(peer, [text, *args[1:]])

    def _eval(self, peer: Peer, args: Args) -> Any:
        text, count = args[0], int(args[1])
        self.scripts[sha_of(text)] = text
        self._script_ms = self.now_ms()
        if self.heard is not None:
            self.heard(title_of(sha_of(text)), peer.link.loop)
        try:
            return run_script(text, args[2 : 2 + count], args[2 + count :], self.call)
        finally:
            self._script_ms = None
