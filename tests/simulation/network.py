"""The network between processes and Redis: latency, silence, cuts, and bytes split anywhere."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.loop import ProcessLoop
from tests.simulation.redis_server import Peer, Redis
from tests.simulation.sentinel import Sentinel
from tests.simulation.simulator import Simulator


@dataclass
class Weather:
    """How bad the network is: a one-way latency, its spikes, and how often bytes are
    split, or are read together with those sent before."""

    latency_s: float = 0.0005
    spike: float = 0.0
    spike_s: float = 0.03
    split: float = 0.0
    merge: float = 0.0


class Network:
    """Links from processes to the server that a name stands for now."""

    def __init__(self, simulator: Simulator, weather: Weather) -> None:
        self.simulator, self.weather = simulator, weather
        self.names: dict[str, Redis | Sentinel | None] = {}
        self.links: list[Link] = []
        self.silent_until_s: dict[str | tuple[str, str], float] = {}
        """By a process's name, or by its and a server's: nothing passes until then."""
        simulator.connect = self.connect

    def latency_s(self) -> float:
        weather, draw = self.weather, self.simulator.random.random
        if weather.spike and draw() < weather.spike:
            return weather.spike_s * draw()
        return weather.latency_s * (0.5 + draw())

    def clear_s(self, process: str, server: str) -> float:
        """When something may pass between the two: now, or after a silence."""
        now_s, silent = self.simulator.now_s, self.silent_until_s
        if not silent:
            return now_s
        return max(now_s, silent.get(process, 0.0), silent.get((process, server), 0.0))

    async def connect(
        self, loop: ProcessLoop, factory: Callable[[], Any], where: tuple[str, int]
    ) -> Any:
        """What ``loop.create_connection`` does: takes a round trip, refused if nobody listens."""
        made: asyncio.Future[None] = loop.create_future()

        def answer() -> None:
            if not made.done():
                made.set_result(None)

        server = self.names.get(where[0])
        at_s = self.clear_s(loop.name, server.name if server else "") + self.latency_s()
        self.simulator.at(at_s + self.latency_s(), loop.deliver, answer)
        await made
        server = self.names.get(where[0])
        if server is None:
            raise ConnectionRefusedError(f"nobody listens at {where[0]}")
        protocol = factory()
        link = Link(self, loop, protocol, server)
        self.links.append(link)
        protocol.connection_made(link)
        return link, protocol


class Link(asyncio.Transport):
    """One connection; to the process it is the transport."""

    def __init__(
        self, network: Network, loop: ProcessLoop, protocol: Any, server: Redis | Sentinel
    ) -> None:
        super().__init__()
        self.network, self.loop, self.protocol, self.server = network, loop, protocol, server
        self.is_closed = self._is_mute = False
        self.is_deaf = False  # whether the server has heard its last command
        self._up_at_s = self._down_at_s = 0.0
        self._unread: deque[bytearray] = deque()  # sent to the process, and not there yet
        self.peer = Peer(self)
        server.peers.append(self.peer)

    # the process's side: asyncio.Transport

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: Any) -> None:
        if self.is_closed:
            return
        self._up_at_s = self._when_s(self._up_at_s)
        self.network.simulator.at(self._up_at_s, self._to_server, bytes(data))

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def abort(self) -> None:
        """The process ends it; what it wrote before may still arrive."""
        self.close()

    def close(self) -> None:
        if not self.is_closed:
            self._end()
            if not self.is_deaf:
                self.is_deaf = self.network.simulator.random.random() < 0.5
            if not self.loop.dead:
                self.loop.call_soon(self._closed)

    def _closed(self) -> None:
        self.protocol.connection_lost(None)

    def _when_s(self, earliest_s: float) -> float:
        """When something sent now arrives: in order, and not while the network is silent."""
        network = self.network
        clear_s = network.clear_s(self.loop.name, self.server.name)
        return max(earliest_s, clear_s + network.latency_s())

    # the server's side

    def _to_server(self, data: bytes) -> None:
        if not self.is_deaf:
            self.server.receive(self.peer, data)

    def to_client(self, data: bytes) -> None:
        """Replies and pushes, perhaps in two pieces."""
        if self.is_closed:
            return
        network = self.network
        draw, split = network.simulator.random, network.weather.split
        if self._unread and draw.random() < network.weather.merge:
            self._unread[-1] += data
            return
        parts = [data]
        if split and draw.random() < split:
            at = draw.randrange(len(data))
            parts = [data[:at], data[at:]]
        for part in parts:
            if part:
                self._down_at_s = self._when_s(self._down_at_s)
                self._unread.append(bytearray(part))
                network.simulator.at(self._down_at_s, self._arrived)

    def _arrived(self) -> None:
        data = bytes(self._unread.popleft())
        if not self._is_mute and not self.is_closed:
            self.loop.deliver(self._read, data)

    def _read(self, data: bytes) -> None:
        if not self.is_closed:
            self.protocol.data_received(data)

    def cut(self, *, loses_commands: bool) -> None:
        """The connection breaks; the process learns of it a moment later."""
        if self.is_closed or self._is_mute:
            return
        self._is_mute = True
        self.is_deaf = loses_commands
        at_s = max(self._up_at_s, self._when_s(0.0))
        self.network.simulator.at(at_s, self.loop.deliver, self._broken)

    def vanish(self) -> None:
        """The process has died."""
        self._end()

    def _broken(self) -> None:
        if not self.is_closed:
            self._end()
            self.protocol.connection_lost(ConnectionResetError("the connection was reset"))

    def _end(self) -> None:
        self.is_closed = True
        if self.peer in self.server.peers:
            self.server.peers.remove(self.peer)
        if self in self.network.links:
            self.network.links.remove(self)
