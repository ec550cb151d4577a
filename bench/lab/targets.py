"""HTTP servers to be measured, each one process tree on the cores that it is given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.lab.processes import Server, exchange, free_ports
from bench.lab.spawn import ServerError

ROOT = Path(__file__).resolve().parents[2]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Cores = int | str
"""One, or several as taskset says it: ``0-1``."""


class HttpServer(Server):
    """A server on its cores; ``cpu_s`` is what it and its children have used so far."""

    def __init__(self, name: str, core: Cores, probe: str = "/", port: int | None = None) -> None:
        super().__init__("127.0.0.1", port or free_ports(1)[0], None)
        self.name = name
        self.core = core
        self.probe = probe

    def program(self) -> Sequence[str]:
        """The command line, without the pinning."""
        raise NotImplementedError

    def command(self) -> list[str]:
        return [installed("taskset"), "-c", str(self.core), *self.program()]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def answers(self) -> bool:
        request = f"GET {self.probe} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        return exchange(self.host, self.port, request.encode()).startswith(b"HTTP/1.1 200")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def cpu_s(self) -> float:
        return cpu_s_of(self)


class Empty(HttpServer):
    """``bench/peers/empty.py``: ``raw`` or ``route``."""

    def __init__(self, kind: str, core: Cores) -> None:
        super().__init__(f"empty-{kind}", core, "/content/x")
        self.kind = kind

    def program(self) -> Sequence[str]:
        return [sys.executable, "-m", "bench.peers.empty", self.kind, str(self.port)]


class Floor(HttpServer):
    """``bench/peers/floor.py``; ``video_id`` is of a row that is there."""

    def __init__(self, core: Cores, settings: Mapping[str, str], video_id: str) -> None:
        super().__init__("floor", core, f"/content/{video_id}")
        self.settings = settings

    def program(self) -> Sequence[str]:
        return [sys.executable, "-m", "bench.peers.floor", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), **self.settings}


class Service(HttpServer):
    """The service with the given settings."""

    def __init__(self, name: str, core: Cores, settings: Mapping[str, str]) -> None:
        super().__init__(name, core, "/readyz")
        self.settings = settings

    def program(self) -> Sequence[str]:
        return [sys.executable, str(ROOT / "service.py")]

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), **self.settings, "PORT": str(self.port)}


class Nginx(HttpServer):
    """nginx with ``proxy_cache`` in front of ``upstream``, one worker."""

    def __init__(self, core: Cores, upstream: str) -> None:
        super().__init__("nginx", core, "/healthz")
        self.upstream = upstream

    def program(self) -> Sequence[str]:
        nginx = installed("nginx")
        text = (ROOT / "bench" / "peers" / "nginx.conf").read_text()
        values = {"folder": self.folder, "port": self.port, "upstream": self.upstream}
        path = self.folder / "nginx.conf"
        path.write_text(text % values)
        return [nginx, "-p", str(self.folder), "-c", str(path)]


class Koa(HttpServer):
    """``bench/peers/koa``, its packages installed when they are not there: Redis hits at their
    best, and with ``cassandra_port`` in the original's shape."""

    def __init__(self, core: Cores, redis_port: int, cassandra_port: int | None = None) -> None:
        super().__init__("koa", core, "/healthz")
        self.ports = [str(port) for port in (redis_port, cassandra_port) if port]

    def program(self) -> Sequence[str]:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise ServerError("node and npm are not installed")
        home = ROOT / "bench" / "peers" / "koa"
        if not (home / "node_modules" / "cassandra-driver").exists():
            install = [npm, "install", "--silent", "--no-package-lock"]
            if subprocess.run(install, cwd=home, check=False).returncode:
                raise ServerError("npm could not install its packages")
        return [node, str(home / "server.js"), str(self.port), *self.ports]


class HAProxy(HttpServer):
    """A balancer over ``replicas`` that goes by ``/readyz`` and retries nothing."""

    def __init__(self, core: Cores, replicas: Sequence[HttpServer]) -> None:
        super().__init__("haproxy", core, "/healthz")
        self.replicas = replicas

    def program(self) -> Sequence[str]:
        haproxy = installed("haproxy")
        text = (ROOT / "bench" / "peers" / "haproxy.cfg").read_text() % self.port
        for number, each in enumerate(self.replicas):
            text += f"  server web{number} {each.host}:{each.port}\n"
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        return [haproxy, "-db", "-f", str(path)]


def installed(program: str) -> str:
    """Its path, where a server's would be, too; raises ServerError when it is not there."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    found = shutil.which(program, path=path)
    if found is None:
        raise ServerError(f"{program} is not installed")
    return found


def cpu_s_of(server: Server) -> float:
    """What it and its children have used so far."""
    return sum(_cpu_s(pid) for pid in _family(server.pid))


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        found.extend(map(int, children.split()))
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
