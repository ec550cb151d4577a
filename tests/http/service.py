"""The service as its users meet it: a process of its own, spoken to over a socket."""

import resource
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.lab.processes import free_ports
from bench.lab.targets import Service

CLIENT_TIMEOUT_S = 20.0


class RunningService(Service):
    """``service.py`` with these settings and none of this shell's; what it says is kept."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        (port,) = free_ports(1)
        path = str(folder / "content.sqlite3")
        ours = {"HOST": "127.0.0.1", "PORT": str(port), "EMBEDDED_PATH": path}
        super().__init__({**ours, **settings}, folder)
        self.log_path = folder / "service.log"
        self.client = httpx.Client(
            base_url=f"http://{self.host}:{self.port}", timeout=CLIENT_TIMEOUT_S, trust_env=False
        )

    def log(self) -> str:
        """Everything it has said."""
        assert self.log_path is not None
        return self.log_path.read_text()


@contextmanager
def running(settings: Mapping[str, str], folder: Path) -> Iterator[RunningService]:
    """A service for as long as the block lasts."""
    service = RunningService(settings, folder)
    with service.client, service:
        yield service


def resident_bytes(service: RunningService) -> int:
    """How much memory it takes."""
    statm = Path(f"/proc/{service.pid}/statm").read_text()
    return int(statm.split()[1]) * resource.getpagesize()


def keyspace() -> str:
    """A keyspace that no other test has."""
    return f"http_{uuid.uuid4().hex[:12]}"
