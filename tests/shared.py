"""One Cassandra for all workers of pytest-xdist, in the process that started them.

The process that starts the workers listens on a Unix socket. A worker connects when its first test
needs Cassandra; the first connection starts the node, and each is told where the node is. The node
is a child of the listening process, so it outlives every worker, and ends with the run however the
run ends (`bench/lab/processes.py`). Without workers the node belongs to the process of the tests.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path

from bench.lab.cassandra_node import CassandraNode, Ports
from bench.lab.spawn import ServerError

HEAP = "768M"
ADDRESS = "TESTS_CASSANDRA"
"""The environment variable that names the socket to the workers."""
SHORT_LIVED = (
    "-XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
"""Java's fast compiler alone: the other one costs more in minutes than its code wins. Nor are the
classes of Cassandra's release verified again at each start."""
NEVER_STOPPED = "-Dcassandra.test.flush_local_schema_changes=false"
"""A table is made in half the time if that need not outlive the node."""


class SharedNode(CassandraNode):
    """A node that no test stops."""

    # a quarter less work than by G1; in so small a heap its pauses are as short
    collector = ("-XX:+UseSerialGC",)

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "JAVA_TOOL_OPTIONS": f"{SHORT_LIVED} {NEVER_STOPPED}"}


def listen() -> None:
    """Offer one node to the workers that this process will start."""
    listener = Listener(family="AF_UNIX")
    os.environ[ADDRESS] = str(listener.address)
    threading.Thread(target=_serve, args=(listener,), name="cassandra", daemon=True).start()


def _serve(listener: Listener) -> None:
    node: CassandraNode | None = None
    while True:
        with listener.accept() as worker, suppress(OSError):
            try:
                node = node or SharedNode(heap=HEAP).start()  # on other ports after a failure
            except Exception as error:  # noqa: BLE001 - it belongs to the test that asks
                worker.send(f"{type(error).__name__}: {error}")
            else:
                worker.send((node.folder, Ports(node.port, node.storage_port)))


@contextmanager
def cassandra() -> Iterator[CassandraNode]:
    """The node that this process shares with others, else a node of its own."""
    if address := os.environ.get(ADDRESS):
        with Client(address, family="AF_UNIX") as asking:
            answer: str | tuple[Path, Ports] = asking.recv()
        if isinstance(answer, str):
            raise ServerError(answer)
        folder, ports = answer
        yield CassandraNode(folder, heap=HEAP, ports=ports)
    else:
        with SharedNode(heap=HEAP) as node:
            yield node
