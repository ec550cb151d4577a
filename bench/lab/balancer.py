"""The balancer of `deploy/haproxy.cfg` on this machine, in front of replicas on the loopback.

The file is used as it is shipped, but for addresses: its ports, the place of its log, and a line a
replica where a site asks Docker's DNS.
"""

from __future__ import annotations

import csv
import os
import re
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bench.lab.processes import Server, exchange, free_ports
from bench.lab.targets import ROOT, installed

SHIPPED = ROOT / "deploy" / "haproxy.cfg"
MAXCONN = 8_000
STATS_S = 5.0


class Stats(NamedTuple):
    """What HAProxy has counted for a replica, or for all (`BACKEND`)."""

    status: str
    checks_down: int
    failed: int
    """Answers 5xx, of the replica and of the balancer alike."""


class Balancer(Server):
    """HAProxy over `replicas`, each as host and port."""

    name = "haproxy"

    def __init__(
        self, replicas: Iterable[Server | tuple[str, int]], changes: Mapping[str, str] | None = None
    ) -> None:
        """``changes``: further texts of the file, each with its replacement."""
        self._front, self._metrics = free_ports(2)
        super().__init__("127.0.0.1", self._front, None)
        self._replicas = [
            (each.host, each.port) if isinstance(each, Server) else each for each in replicas
        ]
        self._changes = changes or {}
        self._socket = self.folder / "stats.sock"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def command(self) -> list[str]:
        path = self.folder / "haproxy.cfg"
        path.write_text(self._text(SHIPPED.read_text()))
        return [installed("haproxy"), "-db", "-f", str(path)]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "MAXCONN": str(MAXCONN)}

    def answers(self) -> bool:
        """Whether it listens; there may be no replica."""
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return exchange(self.host, self.port, request).startswith(b"HTTP/1.1 ")

    def stats(self) -> Mapping[str, Stats]:
        """By the name of a replica, `web1` and so on, and `BACKEND`."""
        lines = self._asked("show stat").removeprefix("# ").splitlines()
        return {
            line["svname"]: Stats(line["status"], int(line["chkdown"]), int(line["hrsp_5xx"]))
            for line in csv.DictReader(lines)
            if line["pxname"] == "web"
        }

    def own_failures(self) -> int:
        """Answers 5xx that no replica gave."""
        stats = dict(self.stats())
        return stats.pop("BACKEND").failed - sum(each.failed for each in stats.values())

    def _asked(self, command: str) -> str:
        answer = b""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(STATS_S)
            connection.connect(str(self._socket))
            connection.sendall(f"{command}\n".encode())
            while more := connection.recv(65_536):
                answer += more
        return answer.decode()

    def _text(self, text: str) -> str:
        servers = "\n".join(
            f"    server web{number} {host}:{port}"
            for number, (host, port) in enumerate(self._replicas, 1)
        )
        for pattern, ours in (
            (r"log stdout format raw local0", rf"\g<0>\n    stats socket {self._socket}"),
            (r"(?s)resolvers docker.*?(?=frontend site)", ""),
            (r"bind :8080", f"bind {self.host}:{self._front}"),
            (r"bind :8405", f"bind {self.host}:{self._metrics}"),
            (r" *server-template .*", servers),
            *((re.escape(old), new) for old, new in self._changes.items()),
        ):
            text, found = re.subn(pattern, ours, text)
            assert found == 1, pattern
        return text
