"""Clients in a process of their own, so that the load generator need not wait for them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection as Pipe
from typing import Any

import uvloop

import server

Clients = Callable[..., Coroutine[Any, Any, None]]
"""An async function of a counter and further arguments."""

START_S = 120.0


@contextmanager
def apart(counts: Counter[str], clients: Clients, *arguments: object) -> Iterator[None]:
    """Run ``clients`` beside a block; what they have counted is added to ``counts`` at its end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, clients, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            assert ours.poll(START_S), "the clients do not begin"
            ours.recv()
            yield
            ours.send("end")
            assert ours.poll(START_S), "the clients do not end"
            counts += ours.recv()
    finally:
        process.join(START_S)
        process.kill()


def _run(pipe: Pipe, clients: Clients, arguments: tuple[object, ...]) -> None:
    """Run the process, until it is told to end, or its parent has gone."""
    server.allow_connections()

    async def run() -> Counter[str]:
        counts = Counter[str]()
        task = asyncio.create_task(clients(counts, *arguments))
        pipe.send("begun")
        await asyncio.to_thread(pipe.poll, None)
        seen = Counter(counts)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen

    counts = uvloop.run(run())
    with suppress(OSError):  # the parent has gone
        pipe.send(counts)
