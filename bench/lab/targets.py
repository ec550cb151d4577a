"""The service as a process of its own, the base of HTTP servers, and the catalogue's tool."""

import os
import shutil
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.lab.processes import Server, exchange, free_ports
from bench.lab.spawn import ServerError, spawn
from config import Config

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = "data/netflix_titles.csv.gz"


class HttpServer(Server):
    """A server that has started once ``probe`` is answered with 200; pinned to ``core``, if any."""

    def __init__(self, name: str, probe: str, *, core: int | None = None, **place: Any) -> None:
        self.name, self.probe, self.core = name, probe, core
        super().__init__(**place)

    @abstractmethod
    def program(self) -> Sequence[str]:
        """Return the command line without the pinning."""

    def command(self) -> list[str]:
        pinned = [] if self.core is None else [installed("taskset"), "-c", str(self.core)]
        return [*pinned, *self.program()]

    def answers(self) -> bool:
        request = f"GET {self.probe} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        return exchange(self.host, self.port, request.encode()).startswith(b"HTTP/1.1 200")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


class Service(HttpServer):
    """``service.py`` with ``settings`` and nothing else of this environment, on a free port of the
    loopback, unless the settings have a ``HOST`` or a ``PORT``."""

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path | None = None,
        *,
        name: str = "service",
        core: int | None = None,
        logged: bool = True,
    ) -> None:
        ours = {"HOST": "127.0.0.1", "PORT": str(free_ports(1)[0])}
        # no balancer has to notice its end
        self.settings = {"DRAIN_S": "0", **ours, **settings}
        config = Config.from_env(self.settings)
        place = {"host": config.host, "port": config.port, "folder": folder, "logged": logged}
        super().__init__(name, "/readyz", core=core, **place)

    def program(self) -> Sequence[str]:
        return [sys.executable, str(ROOT / "service.py")]

    def environment(self) -> Mapping[str, str]:
        return self.settings


def catalogue(settings: Mapping[str, str], *arguments: str) -> None:
    """Run ``python -m db.catalog`` on the store of ``settings``; raises ServerError if it fails."""
    command = [sys.executable, "-m", "db.catalog", *arguments]
    tool = spawn(command, settings, folder=ROOT)
    try:
        if status := tool.wait():
            raise ServerError(f"db.catalog {arguments[0]} failed with status {status}")
    finally:
        tool.terminate()
        tool.wait()


def load_catalogue(settings: Mapping[str, str]) -> None:
    """Import the demonstration catalogue into a store that has no rows."""
    catalogue(settings, "import", CATALOGUE, "--if-empty")


def installed(program: str) -> str:
    """Return the path of ``program``, also where a server's would be; raises ServerError."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    found = shutil.which(program, path=path)
    if found is None:
        raise ServerError(f"{program} is not installed")
    return found
