"""A Docker engine of our own: its own data, socket and Swarm of one node, all on the loopback.

What it is told to publish is bound to 127.0.0.1 alone. There may be another engine on the machine;
the two know nothing of each other, but for the bridges' names, which cannot be had twice.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from bench.lab.processes import Server
from bench.lab.spawn import ServerError
from bench.lab.targets import installed

GATEWAY = "docker_gwbridge"
VOLUMES = [f"content_{each}" for each in ("cassandra", "cassandra2", "cassandra3", "prometheus")]
LOOPBACK = "com.docker.network.bridge.host_binding_ipv4=127.0.0.1"


class Engine(Server):
    """``dockerd`` and its client. What was built stays in ``folder`` for the next time."""

    name = "dockerd"
    stop_bound_s = 60.0

    def __init__(self, folder: Path) -> None:
        super().__init__("127.0.0.1", 0, folder)
        self.socket = f"unix://{folder}/docker.sock"

    def command(self) -> list[str]:
        return [
            *(installed("dockerd"), "--host", self.socket, "--ip", "127.0.0.1"),
            *("--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "run")),
            *("--pidfile", str(self.folder / "docker.pid")),
        ]

    def environment(self) -> dict[str, str]:
        # not DOCKER_HOST and its like: they are another engine's
        return {name: text for name, text in os.environ.items() if not name.startswith("DOCKER")}

    def answers(self) -> bool:
        return self._client(["version"]).returncode == 0

    def __call__(
        self,
        *arguments: str,
        input: bytes = b"",  # noqa: A002 - subprocess' name
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """What ``docker`` prints; raises ServerError with its complaint when it fails."""
        done = self._client(arguments, input, variables)
        if done.returncode:
            raise ServerError(f"docker {' '.join(arguments[:3])}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode().strip()

    def json(self, *arguments: str) -> list[Any]:
        """What it prints in lines of JSON, or as one list."""
        lines = map(orjson.loads, self(*arguments).splitlines())
        return [each for line in lines for each in (line if isinstance(line, list) else [line])]

    def _client(
        self,
        arguments: Sequence[str],
        input: bytes = b"",  # noqa: A002
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        command = [installed("docker"), "--host", self.socket, *arguments]
        # images of one layer after another need no BuildKit, which not every client has
        environment = {**self.environment(), "DOCKER_BUILDKIT": "0", **(variables or {})}
        return subprocess.run(command, input=input, env=environment, capture_output=True)

    def swarm(self) -> None:
        """Makes a Swarm of this machine alone, anew."""
        self._client(["swarm", "leave", "--force"])
        self("container", "prune", "--force")
        self("volume", "rm", "--force", *VOLUMES)
        if not self("network", "ls", "--quiet", "--filter", f"name={GATEWAY}"):
            name = f"com.docker.network.bridge.name={GATEWAY}"
            icc = "com.docker.network.bridge.enable_icc=false"
            options = [part for each in (name, icc, LOOPBACK) for part in ("--opt", each)]
            self("network", "create", *options, GATEWAY)
        self("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")


def until(what: str, is_so: Callable[[], bool], bound_s: float, pause_s: float = 0.5) -> float:
    """Waits, and says how many seconds; raises ServerError when it takes longer than that."""
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > bound_s:
            raise ServerError(f"not within {bound_s:.0f} s: {what}")
        time.sleep(pause_s)
    return time.monotonic() - begun
