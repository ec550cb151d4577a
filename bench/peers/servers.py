"""The peers as processes: other ways to answer the same requests, to be measured beside ours."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from bench.lab.spawn import ServerError
from bench.lab.targets import ROOT, HttpServer, installed

HERE = ROOT / "bench" / "peers"


class Python(HttpServer):
    """``bench/peers/floors.py``: ``kind`` is one of its floors, on the stores of ``settings``."""

    def __init__(
        self, kind: str, core: int, settings: Mapping[str, str] | None = None, video_id: str = "x"
    ) -> None:
        super().__init__(kind, f"/content/{video_id}", core=core)
        self.settings = settings or {}

    def program(self) -> Sequence[str]:
        return [sys.executable, "-m", "bench.peers.floors", self.name, str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), **self.settings}


class Nginx(HttpServer):
    """nginx with ``proxy_cache`` in front of ``upstream``, one worker."""

    def __init__(self, upstream: str, core: int | None = None) -> None:
        super().__init__("nginx", "/healthz", core=core)
        self.upstream = upstream

    def program(self) -> Sequence[str]:
        text = (HERE / "nginx.conf").read_text()
        path = self.folder / "nginx.conf"
        path.write_text(
            text % {"folder": self.folder, "port": self.port, "upstream": self.upstream}
        )
        return [installed("nginx"), "-p", str(self.folder), "-c", str(path)]


class Koa(HttpServer):
    """``bench/peers/koa``, its packages installed when they are not there.

    ``mode`` says what it answers: ``hits`` (bodies in Redis, at their best), ``shape`` (the
    original's shape: a hash a row, filled on a miss), ``uncached`` (the same, every read a miss,
    with a statement for each id, as in the original) or ``bare`` (such statements and no Redis).
    """

    def __init__(
        self, mode: str, redis_port: int, cassandra_port: int = 0, core: int | None = None
    ) -> None:
        super().__init__(f"koa-{mode}", "/healthz", core=core)
        self._arguments = [mode, str(self.port), str(redis_port), str(cassandra_port)]

    def program(self) -> Sequence[str]:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise ServerError("node and npm are not installed")
        home = HERE / "koa"
        if not (home / "node_modules" / "cassandra-driver").exists():
            install = [npm, "install", "--silent", "--no-package-lock"]
            if subprocess.run(install, cwd=home, check=False).returncode:
                raise ServerError("npm could not install its packages")
        return [node, str(home / "server.js"), *self._arguments]
