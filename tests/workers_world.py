"""A service of several workers: which processes they are, and a way to speak to one of them."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.http.service import RunningService

BOUND_S = 20.0
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""What a scrape said, by the sample's name and labels."""


def workers(service: RunningService) -> list[int]:
    """The ids of those that live; the parent has another child, which only tidies up."""
    return [pid for pid in children(service.pid) if b"spawn_main" in command_line(pid)]


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def alone(service: RunningService, worker: int) -> Iterator[None]:
    """New connections are this worker's within the block, since the others are frozen: keep it
    short, for the parent replaces who is silent for 5 s."""
    others = [pid for pid in workers(service) if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection((service.host, service.port), timeout=BOUND_S)


def get(service: RunningService, path: str) -> httpx.Response:
    """On a connection of its own."""
    return httpx.get(
        f"http://{service.host}:{service.port}{path}", trust_env=False, timeout=BOUND_S
    )


def scrape(service: RunningService) -> Samples:
    answer = get(service, "/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    wanted = labels.items()
    return sum(value for (each, has), value in samples.items() if each == name and wanted <= has)
