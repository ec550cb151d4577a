"""The service as a process of its own, with a few rows whose ids are known before it starts."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from db.version import new_id

GENRES = ["Drama", "Spy/Espionage", "Été & fils"]
KEYS = [f"fuzz {number}" for number in range(9)]
IDS = [new_id(key) for key in KEYS]


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its address; what it logs goes to ``log`` in the folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environ = {
        **os.environ,
        "DRAIN_S": "0",
        "PORT": port,
        "EMBEDDED_PATH": str(folder / "content.sqlite3"),
    }
    command = [sys.executable, "service.py"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=environ, stderr=log) as process,
    ):
        try:
            yield _filled(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _filled(url: str) -> str:
    with httpx.Client(base_url=url, transport=httpx.HTTPTransport(retries=8)) as client:
        for number, key in enumerate(KEYS):
            draft = {"title": key, "genres": GENRES[: number % 3 + 1], "isMovie": number % 2 == 0}
            response = client.post("/content", json=draft, headers={"Idempotency-Key": key})
            assert response.json()["data"]["id"] == IDS[number]
    return url
