"""Simulated sentinels: each tells where it believes the master to be."""

from typing import Any

from tests.simulation.redis_data import RedisError
from tests.simulation.redis_server import MORE, Peer
from tests.simulation.resp import encode
from tests.simulation.simulator import Simulator

HOSTS = ("sentinel 0", "sentinel 1", "sentinel 2")
PORT = 26379


class Sentinel:
    """One sentinel of three. ``master`` is the host of the master."""

    def __init__(self, simulator: Simulator, name: str, master: str) -> None:
        self.simulator, self.name, self.master = simulator, name, master
        self.peers: list[Peer] = []

    def receive(self, peer: Peer, data: bytes) -> None:
        """Answer what a client asks, at once."""
        peer.reader.feed(data)
        out = []
        while (command := peer.reader.gets()) is not MORE:
            out.append(encode(self._reply([word.upper() for word in command[:2]])))
        peer.link.to_client(b"".join(out))

    def _reply(self, command: list[bytes]) -> Any:
        if command == [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME"]:
            return [self.master.encode(), b"6379"]
        if command == [b"SENTINEL", b"MASTER"]:
            return [b"num-other-sentinels", b"2"]
        return RedisError("ERR unknown command")
