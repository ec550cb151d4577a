"""The balancer of `deploy/haproxy.cfg` on this machine, but for addresses, before replicas."""

import csv
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.lab.processes import Server, exchange, free_ports
from bench.lab.targets import ROOT, HttpServer, installed

SHIPPED = ROOT / "deploy" / "haproxy.cfg"
MAXCONN = 8_000
NO_RETRIES = {"retries 3": "retries 0", "retry-on conn-failure empty-response": "retry-on none"}
"""Changes by which every request that a replica loses is seen."""
STATS_S = 5.0


class Stats(NamedTuple):
    """The counts of HAProxy for a replica, or for all of them (`BACKEND`)."""

    status: str
    checks_down: int
    failed: int
    """Answers 5xx, of the replica and of the balancer alike."""


class Balancer(HttpServer):
    """HAProxy over `replicas`, each as host and port. ``changes`` has further texts of the file,
    each with its replacement. ``pem`` holds a certificate with its key, for HTTPS at `tls_port`."""

    def __init__(
        self,
        replicas: Iterable[Server | tuple[str, int]],
        changes: Mapping[str, str] | None = None,
        pem: Path | None = None,
    ) -> None:
        super().__init__("haproxy", "/")
        self._metrics, self.tls_port = free_ports(2)
        self._pem = pem
        self._replicas = [
            (each.host, each.port) if isinstance(each, Server) else each for each in replicas
        ]
        self._changes = changes or {}
        self._socket = self.folder / "stats.sock"

    def program(self) -> list[str]:
        path = self.folder / "haproxy.cfg"
        path.write_text(self._text(SHIPPED.read_text()))
        return [installed("haproxy"), "-db", "-f", str(path)]

    def environment(self) -> Mapping[str, str]:
        ours = {"MAXCONN": str(MAXCONN), **({"TLS_PEM": str(self._pem)} if self._pem else {})}
        return {**os.environ, **ours}

    def answers(self) -> bool:
        """Return whether it listens; there may be no replica."""
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return exchange(self.host, self.port, request).startswith(b"HTTP/1.1 ")

    def all_up(self) -> bool:
        """Return whether it finds every replica ready."""
        return all(each.status == "UP" for each in self.stats().values())

    def stats(self) -> Mapping[str, Stats]:
        """Return its counts by the name of a replica, `web1` and so on, and of `BACKEND`."""
        lines = self._asked("show stat").removeprefix("# ").splitlines()
        return {
            line["svname"]: Stats(line["status"], int(line["chkdown"]), int(line["hrsp_5xx"]))
            for line in csv.DictReader(lines)
            if line["pxname"] == "web"
        }

    def own_failures(self) -> int:
        """Return the number of answers 5xx that no replica gave."""
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
            (r"bind :8080", f"bind {self.host}:{self.port}"),
            (r"bind :8443", f"bind {self.host}:{self.tls_port}"),
            (r"bind :8405", f"bind {self.host}:{self._metrics}"),
            (r" *server-template .*", servers),
            *((re.escape(old), new) for old, new in self._changes.items()),
        ):
            text, found = re.subn(pattern, ours, text)
            assert found == 1, pattern
        return text
